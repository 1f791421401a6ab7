"""The faults that are changes of objects in the cluster: of an add-on's configuration, of a controller's scale, ...

Each has an `on` and an `off`; both may be called again, and return when the change is in force.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiconform.cluster import Cluster

Change = Callable[["Cluster"], Awaitable[None]]


@dataclass(frozen=True)
class Action:
    """How a fault is put in force and taken back. Both raise ClusterError, LabError."""

    on: Change
    off: Change


ACTIONS: Mapping[str, Action] = {}
"""By the name of the fault, which the registry describes."""
