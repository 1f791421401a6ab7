"""What a fault is: a deliberate defect of the lab, described in one place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiconform.cluster import Cluster

Change = Callable[["Cluster"], Awaitable[None]]


class Scope(StrEnum):
    """Where a fault can be put in force: in the whole lab only, or on one node."""

    LAB = "lab"
    NODE = "node"


@dataclass(frozen=True)
class InDriver:
    """Acted out by the process of each node's accelerators, which knows the fault by its name."""

    scope = Scope.NODE


@dataclass(frozen=True)
class InRuntime:
    """Acted out by the wrapper around each node's container runtime, which knows the fault by its name."""

    scope = Scope.NODE


@dataclass(frozen=True)
class InApiServer:
    """Acted out by an API server that does not serve these groups and versions."""

    unserved: tuple[str, ...]
    scope = Scope.LAB


@dataclass(frozen=True)
class InCluster:
    """A change of objects in the cluster.

    Both functions can be called again, return when the change is in force, and raise ClusterError, LabError.
    """

    on: Change
    off: Change
    scope = Scope.LAB


@dataclass(frozen=True)
class Fault:
    """A deliberate defect of the lab.

    description: what is wrong while it is on, in one line. breaks: assertions that fail because of it, as
    `check/assertion`, in a run of any of their checks; all others hold or are undecided. needs: add-ons that it takes.
    may_break: assertions that it sometimes breaks as well.
    """

    name: str
    description: str
    breaks: frozenset[str]
    how: InDriver | InRuntime | InApiServer | InCluster
    needs: tuple[str, ...] = ()
    may_break: frozenset[str] = frozenset()

    @property
    def scope(self) -> Scope:
        return self.how.scope

    @property
    def checks(self) -> frozenset[str]:
        """Ids of the checks that have an assertion which it breaks."""
        return frozenset(name.partition("/")[0] for name in self.breaks)

    def broken(self, check: str) -> frozenset[str]:
        """Ids of the assertions of one check that it breaks."""
        return frozenset(id_ for of, _, id_ in (name.partition("/") for name in self.breaks) if of == check)


def of(check: str, *assertions: str) -> frozenset[str]:
    """The full names of assertions of one check."""
    return frozenset(f"{check}/{assertion}" for assertion in assertions)
