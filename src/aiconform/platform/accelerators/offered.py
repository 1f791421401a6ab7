"""Which accelerators a platform offers, on which nodes, and how Pods request them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from aiconform.cluster import Object, quantity, wait
from aiconform.platform.accelerators.devices import Device

AllocationWay = Literal["dra", "device-plugin"]
Kind = tuple[str, str, str]
"""way of allocation, driver or resource, product"""


@dataclass(frozen=True, slots=True)
class NodeAccelerators:
    """The accelerators of one kind on one node.

    name: the DRA driver or the extended resource. total, free: how many there are, and how many of them are not in use.
    unit: how many a Pod must ask for at once; more than one where only all devices of a host can be had together.
    devices: the free ones (DRA only). device_class: a DeviceClass of the platform that selects all of them, or empty.
    selector: a CEL expression that only this kind satisfies; empty where the driver has no other kind. capacity: what a
    claim must ask of each device that others hold shares of: (name, amount). published: how many devices the driver
    publishes of this kind. physical: on how many physical devices they are, and partitions: how many partitions of such
    devices a resource stands for; 0 where it is not known. hardware: those physical devices, and divisible: whether
    the scheduler can divide them (both DRA only). worries: what is wrong with the node that does not keep Pods away.
    aliases: other extended resources for the same hardware. same_as: the kind of another entry for the same hardware,
    which counts instead of this one. among: what it is called among others that are offered in the same way on its
    node; empty if there are none.
    """

    way: AllocationWay
    node: str
    name: str
    product: str
    total: int
    free: int
    profile: str = ""
    simulated: bool = False
    device_class: str = ""
    devices: tuple[Device, ...] = field(default=(), repr=False)
    selector: str = ""
    capacity: tuple[tuple[str, float], ...] = ()
    unit: int = 1
    published: int = 0
    physical: int = 0
    partitions: int = 0
    hardware: tuple[str, ...] = field(default=(), repr=False)
    divisible: bool = False
    worries: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    same_as: Kind | None = None
    among: str = ""

    @property
    def room(self) -> int:
        """How many Pods that each ask for one unit find devices."""
        return self.free // self.unit

    @property
    def occupied(self) -> str:
        """Why there is no room, in words."""
        few = f"{self.free} are free of the {self.unit} that a Pod must ask for"
        return few if self.free and self.unit > 1 else "all are in use"

    @property
    def place(self) -> str:
        """For names of objects: differs between nodes, ways of allocation, and kinds."""
        return _place(self.node, self.way, self.among)

    @property
    def kind(self) -> Kind:
        """Accelerators are alike if their kinds are equal."""
        return (self.way, self.name, self.product)

    @property
    def facts(self) -> dict[str, Any]:
        """The fields that observations about accelerators have in common."""
        return {name: getattr(self, name) for name in ("node", "way", "name", "product", "simulated")}

    @property
    def members(self) -> tuple[NodeAccelerators, ...]:
        """This alone, as a group of one (see AcceleratorGroup)."""
        return (self,)

    def __str__(self) -> str:
        way = "DRA" if self.way == "dra" else "device plugin"
        return f"{self.node}, {self.among or self.name} by {way}"


@dataclass(frozen=True)
class AcceleratorGroup:
    """Accelerators of one kind on several nodes, where one node has too few. There is at least one member."""

    members: tuple[NodeAccelerators, ...]

    @property
    def way(self) -> AllocationWay:
        return self.members[0].way

    @property
    def name(self) -> str:
        return self.members[0].name

    @property
    def node(self) -> str:
        """Its first node and the number of further ones, for users and for names of objects."""
        more = len(self.members) - 1
        return self.members[0].node + (f"-and-{more}-more" if more else "")

    @property
    def place(self) -> str:
        return _place(self.node, self.way, self.members[0].among)

    @property
    def free(self) -> int:
        return sum(member.free for member in self.members)

    @property
    def room(self) -> int:
        return sum(member.room for member in self.members)

    @property
    def total(self) -> int:
        return sum(member.total for member in self.members)

    @property
    def simulated(self) -> bool:
        return any(member.simulated for member in self.members)

    def __str__(self) -> str:
        way = "DRA" if self.way == "dra" else "device plugin"
        nodes = ", ".join(member.node for member in self.members)
        return f"{nodes}, {self.members[0].among or self.name} by {way}"


def _place(node: str, way: str, among: str) -> str:
    return f"{node}-{way}" + re.sub(r"[^a-z0-9]+", "-", f" {among}".lower()).rstrip("-")


AcceleratorPlace = NodeAccelerators | AcceleratorGroup
"""Where accelerators of one kind are: on one node or on several."""


@dataclass(frozen=True)
class Accelerators:
    """All accelerators of a platform, and what is not usable, with the reasons.

    others: further ways to ask for the same hardware (`same_as`), for those who cannot ask for what is offered.
    """

    offered: tuple[NodeAccelerators, ...]
    passed_over: tuple[str, ...]
    others: tuple[NodeAccelerators, ...] = ()

    def one_of_each_kind(self) -> tuple[NodeAccelerators, ...]:
        """For each kind the best node: one that has a free device and is well, of these the one with the most free."""
        return tuple(members[0] for members in self.ranked())

    def ranked(self) -> list[list[NodeAccelerators]]:
        """The nodes of each kind, the best one first."""
        return [sorted(members, key=_merit, reverse=True) for members in self.by_kind().values()]

    def places(self, count: int) -> tuple[AcceleratorPlace, ...]:
        """For each kind the best node with room for `count`, or nodes that have it together; none if too few do."""
        found: list[AcceleratorPlace] = []
        for members in self.ranked():
            ranked = [each for each in members if each.room]
            if alone := next((each for each in ranked if each.room >= count), None):
                found.append(alone)
                continue
            taken: list[NodeAccelerators] = []
            for each in _alike(ranked):
                if sum(member.room for member in taken) < count:
                    taken.append(each)
            if sum(member.room for member in taken) >= count:
                found.append(AcceleratorGroup(tuple(taken)))
        return tuple(found)

    def by_kind(self) -> dict[Kind, list[NodeAccelerators]]:
        kinds: dict[Kind, list[NodeAccelerators]] = {}
        for entry in self.offered:
            kinds.setdefault(entry.kind, []).append(entry)
        return kinds

    def by_ways(self, ways: Collection[AllocationWay]) -> tuple[NodeAccelerators, ...]:
        """What can be asked for in one of these ways, each hardware once."""
        found = [entry for entry in self.offered if entry.way in ways]
        known = {(entry.node, entry.kind) for entry in found}
        return (*found, *(each for each in self.others if each.way in ways and (each.node, each.same_as) not in known))


def _alike(entries: Sequence[NodeAccelerators]) -> list[NodeAccelerators]:
    """Those of these from which Pods of one template can have devices: whose unit is that of the most."""
    common = Counter(each.unit for each in entries).most_common(1)
    return [each for each in entries if each.unit == common[0][0]]


def _merit(entry: NodeAccelerators) -> tuple[bool, int, int]:
    return (entry.room > 0, -len(entry.worries), entry.free)


def told_apart(entries: Iterable[NodeAccelerators]) -> tuple[NodeAccelerators, ...]:
    """The same, each with what it is called among those that its node offers in the same way."""
    given = tuple(entries)
    ways = Counter((each.node, each.way) for each in given)
    names = Counter((each.node, each.way, each.name) for each in given)

    def among(entry: NodeAccelerators) -> str:
        if ways[entry.node, entry.way] == 1:
            return ""
        alone = names[entry.node, entry.way, entry.name] == 1
        return entry.name if alone else f"{entry.name} {entry.product}"

    return tuple(replace(each, among=among(each)) for each in given)


def ask(what: str, name: str) -> str:
    """The question to the user whether something is an accelerator."""
    return f"{what}: is it an accelerator? It is not tried. Say --accelerator {name} or --not-accelerator {name}"


def requested(pods: Iterable[Object]) -> dict[tuple[str, str], int]:
    """How many extended resources Pods hold, by (node, resource)."""
    used: dict[tuple[str, str], int] = defaultdict(int)
    for pod in pods:
        node = pod["spec"].get("nodeName")
        if not node or wait.ended(pod):
            continue
        for resource, count in (extended_resources(pod) - _claimed(pod)).items():
            used[node, resource] += count
    return used


def _claimed(pod: Object) -> Counter[str]:
    """What the scheduler gave a Pod by DRA for its extended resources: the claim counts, not the resource."""
    status = (pod.get("status") or {}).get("extendedResourceClaimStatus") or {}
    given = {entry["resourceName"] for entry in status.get("requestMappings") or []}
    return Counter({name: count for name, count in extended_resources(pod).items() if name in given})


def extended_resources(pod: Object) -> Counter[str]:
    """How many of each extended resource a Pod holds, counted as the scheduler does.

    Sidecars run beside its containers. What an init container asks for alone stays the Pod's to the end.
    https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
    """
    beside: Counter[str] = Counter()
    before: Counter[str] = Counter()
    for container in pod["spec"].get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            beside += _limits(container)
        else:
            before |= _limits(container) + beside
    return sum(map(_limits, pod["spec"]["containers"]), beside) | before


def _limits(container: Object) -> Counter[str]:
    limits = (container.get("resources") or {}).get("limits") or {}
    return Counter({name: quantity.whole(amount) for name, amount in limits.items() if "/" in name})
