"""What a fault is: a deliberate defect of the lab, described in a single place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from aiconform.lab.accelerators.config import Offer
from aiconform.lab.accelerators.devices import NodeRole, roles
from aiconform.lab.accelerators.identity import Identity
from aiconform.lab.accelerators.sharing import Way, ways
from aiconform.lab.accelerators.virtual import VirtualWay, virtual_ways

if TYPE_CHECKING:
    from aiconform.cluster import Cluster

Change = Callable[["Cluster"], Awaitable[None]]
EVERY_OTHER = "*"
"""In `disturbs`: every check that the fault does not break."""


class Scope(StrEnum):
    """Where a fault can take effect: only in the lab as a whole, or also on a single node."""

    LAB = "lab"
    NODE = "node"


@dataclass(frozen=True)
class InDriver:
    """Carried out by the accelerator process of each node, which knows the fault by its name."""

    scope = Scope.NODE


@dataclass(frozen=True)
class InRuntime:
    """Carried out by the wrapper around each node's container runtime, which knows the fault by its name."""

    scope = Scope.NODE


@dataclass(frozen=True)
class InSandboxes:
    """Carried out by the scripts around the sandboxed runtime, which know the fault by its name.

    A check looks at the sandbox of one node, which the scheduler chooses: so it is a fault of all nodes.
    """

    scope = Scope.LAB


@dataclass(frozen=True)
class InNetworks:
    """Carried out by the wrapper around each node's container runtime, in the networks of the Pods of one check.

    What it does depends on both ends of a link, so it is a fault of all nodes.
    """

    scope = Scope.LAB


IN_RUNTIMES = (InRuntime, InSandboxes, InNetworks)
"""What the switch file of each node's container runtime turns on."""


@dataclass(frozen=True)
class InApiServer:
    """Carried out by the API server, which does not serve these groups and versions."""

    unserved: tuple[str, ...]
    scope = Scope.LAB


@dataclass(frozen=True)
class InCluster:
    """A change of objects in the cluster.

    Both functions can be called repeatedly, return when the change has taken effect, and raise ClusterError, LabError.
    """

    on: Change
    off: Change
    scope = Scope.LAB


@dataclass(frozen=True)
class Fault:
    """A deliberate defect of the lab.

    description: what is wrong while it is on, in one line. breaks: the assertions that fail because of it, as
    `check/assertion`; all other assertions of these checks hold or are undecided. needs: add-ons that have to be
    installed. may_break: assertions that it breaks only sometimes. disturbs: other checks that see its consequences, so
    that no run shows anything of them while it is on, or EVERY_OTHER; for a fault of scope node, only at its nodes.
    roles: of device nodes that the lab's accelerators must have; those of the default identity have the main one only.
    ways: in one of which they must be shared, or virtual; devices of the default identity are only shared by a claim.
    """

    name: str
    description: str
    breaks: frozenset[str]
    how: InDriver | InRuntime | InSandboxes | InNetworks | InApiServer | InCluster
    needs: tuple[str, ...] = ()
    may_break: frozenset[str] = frozenset()
    disturbs: frozenset[str] = frozenset()
    roles: frozenset[NodeRole] = frozenset()
    ways: frozenset[Way] | frozenset[VirtualWay] = frozenset()

    @property
    def scope(self) -> Scope:
        return self.how.scope

    @property
    def checks(self) -> frozenset[str]:
        """Ids of the checks that it breaks."""
        return frozenset(name.partition("/")[0] for name in self.breaks)

    def shows_beside(self, other: Fault) -> bool:
        """Whether a run can show what this fault breaks while the other one is on at the same place."""
        reached = self.checks if EVERY_OTHER in other.disturbs else other.disturbs & self.checks
        return not reached and not self.checks & other.checks

    def suits(self, identity: Identity, offer: Offer | None = None) -> bool:
        """Whether accelerators of this identity can have it. offer: how Pods request them; None for the usual ways."""
        able = {*ways(identity, offer), *virtual_ways(identity, offer)}
        return self.roles <= roles(identity) and (not self.ways or bool(self.ways & able))

    def broken(self, check: str) -> frozenset[str]:
        """Ids of the assertions of one check that it breaks."""
        return frozenset(id_ for owner, _, id_ in (name.partition("/") for name in self.breaks) if owner == check)


def assertions(check: str, *ids: str) -> frozenset[str]:
    """Full names (`check/assertion`) of assertions of one check."""
    return frozenset(f"{check}/{id_}" for id_ in ids)
