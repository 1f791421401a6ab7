"""Redaction: a run without node names, addresses, account numbers and tokens."""

from aiconform.certify.redaction.redactor import Redaction
from aiconform.certify.redaction.run import CannotRedact, redact, same_but_for_the_time

__all__ = ["CannotRedact", "Redaction", "redact", "same_but_for_the_time"]
