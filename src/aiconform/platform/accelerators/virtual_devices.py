"""Virtual devices as they are offered, how a Pod asks for one, and what is published of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.hardware import of_one_family
from aiconform.platform.accelerators.offered import NodeAccelerators
from aiconform.platform.accelerators.profiles import NAMED
from aiconform.platform.accelerators.selecting import DeviceClass, choose
from aiconform.platform.accelerators.shares import Shares

Counters = tuple[str, str]
"""pool, set of counters of a physical device"""


@dataclass(frozen=True)
class Asked:
    """One device that a Pod can ask for, alone or among others that no selector tells apart.

    counted: the accelerators among which the platform counts it. facts: what is published of it: kind and name ->
    value. what: `fraction` or `complete device` of a physical one. classes: the DeviceClasses that select it; unclear:
    those of which that is not known, because they have expressions that cannot be read here.
    """

    shares: Shares
    counted: NodeAccelerators
    facts: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    what: str = ""
    classes: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()

    @property
    def entry(self) -> NodeAccelerators:
        return self.shares.entry


@dataclass(frozen=True)
class VirtualDevices:
    """Virtual devices of one kind on one node.

    said: what says that they are virtual; empty if nothing published does. total: how many there are; free: how many of
    them Pods can have now. devices: all of them (DRA only). parent: what tells their one physical device; empty if
    nothing does. shared: what says that several Pods may hold one. counted: what the platform counts in place of them,
    because they use up the counters of their physical device; None if it counts them.

    The rest is there once they are chosen (`Offers.completed`). asked: those that are free, a device of DRA each; of a
    device plugin, the same for each. whole: the memory of the physical device, 0 if not known. other: what is compared
    with them, None if the platform has nothing physical of this family; other_free: for how many Pods it is free.
    """

    said: str
    entry: NodeAccelerators
    total: int
    free: int
    devices: tuple[Device, ...] = field(default=(), repr=False)
    parent: str = ""
    shared: str = ""
    counted: NodeAccelerators | None = None
    asked: tuple[Asked, ...] = ()
    whole: float = 0.0
    other: Asked | None = None
    other_free: int = 0

    @property
    def node(self) -> str:
        return self.entry.node

    @property
    def kind(self) -> tuple[str, ...]:
        """What is alike on several nodes has the same kind."""
        return self.entry.kind

    def has(self, allocated: str) -> bool:
        """Whether what a claim was allocated is one of these; a share of one has its ID at the end."""
        names = ("/".join(each.id) for each in self.devices)
        return any(allocated == name or allocated.startswith(f"{name}/") for name in names)

    def __str__(self) -> str:
        way = "DRA" if self.entry.way == "dra" else "device plugin"
        return f"{self.node}, {' '.join(filter(None, (self.entry.name, self.entry.product)))} by {way}"


def common_class(classes: Iterable[DeviceClass], one: Asked, other: Asked) -> str:
    """The DeviceClass that selects both; empty if there is none."""
    devices = [*one.shares.devices, *other.shares.devices]
    return choose(classes, devices, []) if devices else ""


def facts_of_device(device: Device) -> dict[str, str]:
    """`attribute NAME` -> value, and `capacity NAME`, of all that a device publishes, without its driver's domain."""

    def name(full: str) -> str:
        return full.removeprefix(f"{device.driver}/")

    attributes = {f"attribute {name(key)}": str(value) for key, value in device.attributes.items()}
    return attributes | {f"capacity {name(each)}": "" for each in device.sizes}


def facts_of_labels(resource: str, labels: Mapping[str, str]) -> dict[str, str]:
    """`label NAME` -> value, of the labels that have the domain of an extended resource."""
    vendor = resource.partition("/")[0]
    return {f"label {name}": value for name, value in labels.items() if name.partition("/")[0] == vendor}


def alike(one: NodeAccelerators, other: NodeAccelerators) -> bool:
    """Whether both are of one family; of what the user only named, whether the names are of one vendor."""
    unknown = one.profile == other.profile and one.profile in ("", NAMED)
    return of_one_family(one, other) or (unknown and one.name.partition("/")[0] == other.name.partition("/")[0])


def counters_of(device: Device) -> set[Counters]:
    """The sets of counters that a device takes from."""
    return {(device.pool, each.counters) for each in device.consumes}


def apart(device: Device, taken: Collection[Counters]) -> bool:
    """Whether a device takes none of these counters: it can be held together with those that do."""
    return counters_of(device).isdisjoint(taken)


def not_counted(
    entries: Sequence[NodeAccelerators], usable: Iterable[Device], virtual: Iterable[Device]
) -> list[tuple[NodeAccelerators, NodeAccelerators]]:
    """(virtual devices, what counts in place of them): the kinds of which no entry of their driver and node is.

    The platform counts a physical device and not the virtual ones that take its counters.
    """
    known = {each.product: each for each in entries}
    counting = {key: known[each.product] for each in usable if each.product in known for key in counters_of(each)}
    found: dict[str, tuple[NodeAccelerators, NodeAccelerators]] = {}
    for device in virtual:
        counted = next((counting[key] for key in sorted(counters_of(device)) if key in counting), None)
        if counted and device.product not in known:
            entry = replace(
                counted,
                product=device.product,
                devices=(),
                device_class="",
                selector="",
                among=f"{counted.name} {device.product}",
            )
            found[device.product] = (entry, counted)
    return [*found.values()]
