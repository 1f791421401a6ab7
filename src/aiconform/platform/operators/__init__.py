"""Operators for AI workloads: what is known of each, and which of them a platform has."""

from aiconform.platform.operators.definitions import (
    BadDefinition,
    ChildKind,
    ExpectedState,
    Operator,
    OperatorChange,
    known,
    read,
)
from aiconform.platform.operators.discovery import InstalledOperator, installed_operators

__all__ = [
    "BadDefinition",
    "ChildKind",
    "ExpectedState",
    "InstalledOperator",
    "Operator",
    "OperatorChange",
    "installed_operators",
    "known",
    "read",
]
