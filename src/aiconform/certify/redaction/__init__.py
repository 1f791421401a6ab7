"""Redaction: a run without node names, addresses, account numbers and tokens."""

from aiconform.certify.redaction.redactor import Redaction
from aiconform.certify.redaction.run import CannotRedact, redact

__all__ = ["CannotRedact", "Redaction", "redact"]
