"""Certification: read, validate, build, sign, verify, redact and compare submissions.

A submission is a folder `vX.Y/<product>/` with a PRODUCT.yaml and evidence, in the layout of the public programme.
"""
