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
from aiconform.platform.operators.others import OtherOperator, other_operators

__all__ = [
    "BadDefinition",
    "ChildKind",
    "ExpectedState",
    "InstalledOperator",
    "Operator",
    "OperatorChange",
    "OtherOperator",
    "installed_operators",
    "known",
    "other_operators",
    "read",
]
