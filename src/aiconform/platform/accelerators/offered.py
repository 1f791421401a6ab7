"""Which accelerators a platform offers, on which nodes, and how Pods request them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from aiconform.cluster import Object, quantity, wait
from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.nodes import closed_node
from aiconform.platform.accelerators.options import NOTHING_SAID, AcceleratorOptions

AllocationWay = Literal["dra", "device-plugin"]


@dataclass(frozen=True, slots=True)
class NodeAccelerators:
    """The accelerators of one kind on one node.

    name: the DRA driver or the extended resource. free: how many are not in use. devices: the free ones (DRA only).
    device_class: a DeviceClass of the platform that selects all of them, or empty. selector: a CEL expression that only
    this kind satisfies; empty where the driver has no other kind. capacity: what a claim must ask of each device that
    others hold shares of: (name, amount). physical: on how many physical devices they are; 0 where it is not known.
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
    physical: int = 0

    @property
    def place(self) -> str:
        """For names of objects: differs between nodes and ways of allocation."""
        return f"{self.node}-{self.way}"

    @property
    def kind(self) -> tuple[str, str, str]:
        """Accelerators are alike if these are equal: way of allocation, driver or resource, product."""
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
        return f"{self.node}, {self.name} by {way}"


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
        return f"{self.node}-{self.way}"

    @property
    def free(self) -> int:
        return sum(member.free for member in self.members)

    def __str__(self) -> str:
        way = "DRA" if self.way == "dra" else "device plugin"
        return f"{', '.join(member.node for member in self.members)}, {self.name} by {way}"


@dataclass(frozen=True)
class Accelerators:
    """All accelerators of a platform, and what is not usable, with the reasons."""

    offered: tuple[NodeAccelerators, ...]
    passed_over: tuple[str, ...]

    def one_of_each_kind(self) -> tuple[NodeAccelerators, ...]:
        """For each kind the node with the most free devices."""
        best: dict[tuple[str, str, str], NodeAccelerators] = {}
        for entry in self.offered:
            if entry.kind not in best or entry.free > best[entry.kind].free:
                best[entry.kind] = entry
        return tuple(best.values())


def by_device_plugin(
    nodes: Iterable[Object], used: dict[tuple[str, str], int], options: AcceleratorOptions = NOTHING_SAID
) -> Accelerators:
    """The accelerators among extended resources. `used` counts the allocated ones by (node, resource)."""
    profiles = options.profiles
    offered: list[NodeAccelerators] = []
    passed_over: list[str] = []
    unknown: dict[str, list[str]] = defaultdict(list)
    for node in nodes:
        name = node["metadata"]["name"]
        problem = closed_node(node, profiles, options.tolerated)
        for resource, amount in sorted((node["status"].get("allocatable") or {}).items()):
            if "/" not in resource or resource.partition("/")[0].endswith("kubernetes.io"):
                continue
            profile = profiles.by_resource(resource)
            count = quantity.whole(amount)
            if profile is None:
                if count and not profiles.is_other(resource):
                    unknown[resource].append(name)
            elif problem:
                passed_over.append(problem)
            elif count:
                labels = node["metadata"].get("labels") or {}
                product = next((labels[label] for label in profile.labels if label in labels), "")
                offered.append(
                    NodeAccelerators(
                        way="device-plugin",
                        node=name,
                        name=resource,
                        product=product,
                        total=count,
                        free=max(0, count - used.get((name, resource), 0)),
                        profile=profile.name,
                        simulated=profile.simulated,
                    )
                )
    asked = [
        ask(f"extended resource {resource} is on {len(names)} node(s), such as {names[0]}", resource)
        for resource, names in sorted(unknown.items())
    ]
    return Accelerators(tuple(offered), (*asked, *dict.fromkeys(passed_over)))


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
        for resource, count in extended_resources(pod).items():
            used[node, resource] += count
    return used


def extended_resources(pod: Object) -> Counter[str]:
    """How many of each extended resource the containers of a Pod request."""
    asked: Counter[str] = Counter()
    for container in pod["spec"]["containers"]:
        for resource, amount in ((container.get("resources") or {}).get("limits") or {}).items():
            if "/" in resource:
                asked[resource] += quantity.whole(amount)
    return asked
