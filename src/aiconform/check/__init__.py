"""The contract of checks: probes observe, observations are stored, assertions judge.

A probe acts on the cluster and returns an Observation: plain data, which is written to a file and can be read back
unchanged. An assertion is a pure function over one Observation. So anyone can recompute a verdict from the files of a
run. The names in `__all__` are the public surface: they change only with API_VERSION.
"""

from aiconform.check.assertion import Assertion, Finding, assertion, holds, left_out, undecided
from aiconform.check.check import API_VERSION, Check, Inspection, collect, inspection
from aiconform.check.observation import NotApplicable, NothingToLookAt, Observation
from aiconform.check.options import Options, Settings, option
from aiconform.check.probe import Access, Probe, probe
from aiconform.check.targets import PlatformComponent, Target, accelerators
from aiconform.cluster import ClusterError, wait
from aiconform.cluster.scratch import Scratch
from aiconform.platform import Platform

__all__ = [
    "API_VERSION",
    "Access",
    "Assertion",
    "Check",
    "ClusterError",
    "Finding",
    "Inspection",
    "NotApplicable",
    "NothingToLookAt",
    "Observation",
    "Options",
    "Platform",
    "PlatformComponent",
    "Probe",
    "Scratch",
    "Settings",
    "Target",
    "accelerators",
    "assertion",
    "collect",
    "holds",
    "inspection",
    "left_out",
    "option",
    "probe",
    "undecided",
    "wait",
]
