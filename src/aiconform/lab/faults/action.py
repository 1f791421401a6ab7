"""How a fault that is a change of the cluster's objects is put in force and taken back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiconform.cluster import Cluster

Change = Callable[["Cluster"], Awaitable[None]]


@dataclass(frozen=True)
class Action:
    """Both may be called again, return when the change is in force, and raise ClusterError, LabError."""

    on: Change
    off: Change
