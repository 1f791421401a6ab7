"""Which accelerators a platform offers, on which nodes, and how Pods request them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from aiconform.cluster import Object, quantity, wait
from aiconform.platform.accelerators.classes import drivers_named
from aiconform.platform.accelerators.devices import Device, IncompletePool, allocated
from aiconform.platform.accelerators.nodes import closed_node
from aiconform.platform.accelerators.options import NOTHING_SAID, AcceleratorOptions
from aiconform.platform.accelerators.profiles import Profile

AllocationWay = Literal["dra", "device-plugin"]


@dataclass(frozen=True, slots=True)
class NodeAccelerators:
    """The accelerators of one kind on one node.

    name: the DRA driver or the extended resource. free: how many are not in use. devices: the free ones (DRA only).
    device_class: a DeviceClass of the platform that selects the driver, or empty.
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


def by_dra(
    nodes: Iterable[Object],
    devices: Iterable[Device],
    incomplete: Iterable[IncompletePool],
    claims: Iterable[Object],
    classes: Iterable[Object],
    options: AcceleratorOptions = NOTHING_SAID,
) -> Accelerators:
    """The accelerators among the devices that DRA drivers publish. `incomplete` are pools that are not complete."""
    profiles = options.profiles
    states = {node["metadata"]["name"]: closed_node(node, profiles, options.tolerated) for node in nodes}
    held = allocated(claims)
    class_of = _classes_by_driver(classes)
    passed_over = [f"pool {pool.name} of driver {pool.driver}: {pool.problem}" for pool in incomplete]
    groups: dict[tuple[str, str, str], list[Device]] = defaultdict(list)
    skipped: set[str] = set()
    unknown: Counter[str] = Counter()
    for device in devices:
        if profiles.by_driver(device.driver) is None:
            if profiles.is_other(device.driver):
                skipped.add(f"driver {device.driver}: its devices are not accelerators")
            else:
                unknown[device.driver] += 1
        elif device.tainted:
            skipped.add(f"device {device.name} of pool {device.pool}: tainted {device.tainted}")
        elif device.node is None:
            skipped.add(f"device {device.name} of pool {device.pool}: not tied to one node")
        elif problem := states.get(device.node, f"node {device.node} does not exist"):
            skipped.add(problem)
        else:
            groups[device.node, device.driver, device.product].append(device)
    offered = []
    for (node, driver, product), members in sorted(groups.items()):
        profile = profiles.by_driver(driver)
        free = tuple(device for device in members if device.id not in held)
        offered.append(
            NodeAccelerators(
                way="dra",
                node=node,
                name=driver,
                product=product,
                total=len(members),
                free=len(free),
                profile=profile.name if profile else "",
                simulated=_simulated(profile, members),
                device_class=class_of.get(driver, ""),
                devices=free,
            )
        )
    asked = [_ask(f"driver {name} publishes {count} device(s)", name) for name, count in sorted(unknown.items())]
    return Accelerators(tuple(offered), (*asked, *passed_over, *sorted(skipped)))


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
        _ask(f"extended resource {resource} is on {len(names)} node(s), such as {names[0]}", resource)
        for resource, names in sorted(unknown.items())
    ]
    return Accelerators(tuple(offered), (*asked, *dict.fromkeys(passed_over)))


def _ask(what: str, name: str) -> str:
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


def _simulated(profile: Profile | None, devices: Iterable[Device]) -> bool:
    return bool(profile and profile.simulated) or any(device.attribute("simulated") is True for device in devices)


def _classes_by_driver(classes: Iterable[Object]) -> dict[str, str]:
    """Driver -> a DeviceClass that selects it, preferably the one that has the driver's name."""
    found: dict[str, str] = {}
    for entry in sorted(classes, key=lambda item: str(item["metadata"]["name"])):
        for driver in drivers_named(entry):
            if driver not in found or entry["metadata"]["name"] == driver:
                found[driver] = entry["metadata"]["name"]
    return found
