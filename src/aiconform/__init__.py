"""Kubernetes AI conformance: the standard, the suite, the certification and the lab."""

__version__ = "0.1.0"
