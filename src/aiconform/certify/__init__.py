"""Certification: submissions read, validated, built, signed, verified, redacted and compared.

A submission is a folder `vX.Y/<product>/` with a PRODUCT.yaml and evidence, as the public programme wants it.
"""
