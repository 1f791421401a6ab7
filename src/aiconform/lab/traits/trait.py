"""What a trait is: something that real clusters ask, limit or lack, described in a single place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiconform.lab.faults.fault import InCluster

if TYPE_CHECKING:
    from aiconform.cluster import Object

LABEL = "aiconform.dev/trait"
"""On what a trait puts into Namespaces, and on Nodes that it makes up: its name."""


@dataclass(frozen=True)
class InNamespaces:
    """Objects that every Namespace gets as soon as it is made, except the platform's own (`is_covered`).

    objects: of the Namespace with this name, in a lab with its registry at this address. The keeper makes them, see
    `aiconform.lab.traits.keeper`.
    """

    objects: Callable[[str, str], Sequence[Object]]


@dataclass(frozen=True)
class MadeUpNode:
    """A Node object without a machine, whose Lease the keeper renews.

    node: the object with its status, for an extended resource that it offers.
    """

    node: Callable[[str], Object]


@dataclass(frozen=True)
class AtLastNode:
    """Carried out by the files of the lab's last node, see `aiconform.lab.kubernetes.nodes`."""


@dataclass(frozen=True)
class InRegistry:
    """Carried out by the lab's registry, which knows the trait by its name, beside objects of Namespaces (if any)."""

    beside: InNamespaces | None = None


@dataclass(frozen=True)
class Trait:
    """What a cluster asks, limits or lacks.

    description: what is so while it is on, in one line. says: what a run says of it. needs: add-ons that have to be
    installed.
    """

    name: str
    description: str
    says: str
    how: InCluster | InNamespaces | MadeUpNode | AtLastNode | InRegistry
    needs: tuple[str, ...] = ()

    @property
    def kept(self) -> InNamespaces | None:
        """What the keeper makes for it in Namespaces."""
        if isinstance(self.how, InRegistry):
            return self.how.beside
        return self.how if isinstance(self.how, InNamespaces) else None

    @property
    def helpers(self) -> tuple[str, ...]:
        """The modules of the lab that have to run beside the control plane while it is on."""
        keeper = ("aiconform.lab.traits.keeper",) if self.kept or isinstance(self.how, MadeUpNode) else ()
        return (*keeper, *(("aiconform.lab.traits.registry",) if isinstance(self.how, InRegistry) else ()))


def is_made_up(node: Object) -> bool:
    """Whether a trait made up this Node: it has no machine."""
    return LABEL in (node["metadata"].get("labels") or {})
