"""Ways in which several Pods use one physical device at once, by what the platform publishes, not by product names.

By DRA: devices of which several claims hold a part (consumable capacity), and partitions of one device, which are
devices of their own. What device plugins offer is in `shares_of_plugins`; `ways` puts all of it together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from aiconform.platform.accelerators.counting import Holdings, Room, open_
from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.offered import NodeAccelerators
from aiconform.platform.accelerators.portions import Portion, portion
from aiconform.platform.accelerators.profiles import Profiles
from aiconform.platform.accelerators.selecting import DeviceClass, choose, expression, selector_for

Way = Literal[
    "consumable-capacity", "partitions-by-DRA", "hardware-partitions", "device-plugin-replicas", "shared-claim"
]
"""Claims that each hold a part of a device; partitions that are devices of a DRA driver; partitions that are extended
resources; extended resources of which there are more than devices; one claim of several Pods."""
WAYS: tuple[Way, ...] = (
    "consumable-capacity",
    "partitions-by-DRA",
    "hardware-partitions",
    "device-plugin-replicas",
    "shared-claim",
)
PARTITIONS: tuple[Way, ...] = ("partitions-by-DRA", "hardware-partitions")
"""The ways in which the hardware is divided, each part with a memory of its own."""
Used = Mapping[tuple[str, str], int]
"""(node, extended resource) -> how many Pods hold"""


@dataclass(frozen=True)
class Shares:
    """Shares of one kind at one place.

    entry: how a Pod asks for one of them, as one unit. bound: how many can be held together; 0 if no bound is
    advertised. selector: a CEL expression that only `devices` satisfy; `among`: all that consume counters with these
    (DRA only). portion: of a device that several claims hold. memory: how many bytes one has by what is advertised; 0
    if that is not known. besides: other extended resources that a Pod asks for with a share, and how much.
    """

    entry: NodeAccelerators
    bound: int
    selector: str = ""
    devices: tuple[Device, ...] = field(default=(), repr=False)
    among: tuple[Device, ...] = field(default=(), repr=False)
    portion: Portion | None = None
    memory: float = 0.0
    besides: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """What is asked for, in words."""
        return self.entry.name if self.entry.way == "device-plugin" else f"{self.entry.name} {self.entry.product}"

    def free(self, held: Holdings, used: Used) -> int:
        """How many are left of them, by who holds devices and resources."""
        if self.entry.way == "device-plugin":
            return max(0, self.bound - used.get((self.entry.node, self.entry.name), 0))
        left, room = [device for device in self.devices if open_(device, held)], Room(self.among, held)
        if self.portion is None:
            return room.most(left)
        return sum(self.portion.free(device, held) for device in room.fitting(left))


@dataclass(frozen=True)
class SharedHardware:
    """Hardware of one node that the platform offers in shares.

    said: what says so. shares: what can be asked for, the kind of which there are most first; none where it is only
    said (problem). physical: how many physical devices these are, 0 if that is not known. whole: the memory of one of
    them, in bytes; 0 if not known. offered: the accelerators that count for it (`Accelerators`). aliases: other
    resources by which the same hardware can be held.
    """

    way: Way
    node: str
    said: str
    offered: NodeAccelerators
    shares: tuple[Shares, ...] = ()
    physical: int = 0
    whole: float = 0.0
    problem: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def bound(self) -> int:
        """How many shares can be held together; 0 if no bound is advertised."""
        return sum(each.bound for each in self.shares)

    @property
    def hardware(self) -> frozenset[tuple[str, str]]:
        """What tells its physical devices apart: (node, device); of device plugins, their resources."""
        devices = {hardware_of(device) for each in self.shares for device in each.devices}
        return frozenset((self.node, name) for name in devices or {self.offered.name, *self.aliases})

    @property
    def kind(self) -> tuple[str, ...]:
        """What is alike on several nodes has the same kind."""
        return (self.way, self.offered.product, *(each.name for each in self.shares))

    def __str__(self) -> str:
        named = ", ".join(each.name for each in self.shares) or self.offered.name
        return f"{self.node}, {named} by {self.way}"


def by_dra(
    entries: Iterable[NodeAccelerators],
    devices: Iterable[Device],
    classes: Iterable[DeviceClass],
    profiles: Profiles,
    held: Holdings,
    most: int,
) -> list[SharedHardware]:
    """The hardware behind these entries that DRA drivers offer in shares; of devices that are alike, the freest one.

    most: how many shares of one device are asked for at most, where the driver leaves that to claims.
    """
    on_node: dict[tuple[str, str], list[Device]] = defaultdict(list)
    for device in devices:
        on_node[device.node or "", device.driver].append(device)
    offered: dict[tuple[str, str], list[NodeAccelerators]] = defaultdict(list)
    for entry in entries:
        offered[entry.node, entry.name].append(entry)
    classes, found = list(classes), list[SharedHardware]()
    for key, members in offered.items():
        profile = profiles.by_driver(key[1])
        unfit = profile.other_types if profile else ()
        there = on_node[key]
        usable = [each for each in there if not each.trouble and each.attribute("type") not in unfit]
        place = _Place(members, there, usable, classes)
        found += place.with_portions(held, most)
        found += place.with_partitions(held, most)
    return found


class _Place:
    """The devices of one driver on one node. there: all; usable: those that claims should have."""

    def __init__(
        self,
        entries: Sequence[NodeAccelerators],
        there: Sequence[Device],
        usable: Sequence[Device],
        classes: Sequence[DeviceClass],
    ) -> None:
        self._entries, self._there, self._usable, self._classes = entries, there, usable, classes

    def with_portions(self, held: Holdings, most: int) -> list[SharedHardware]:
        found: dict[str, list[SharedHardware]] = defaultdict(list)
        for device in self._usable:
            if part := portion(device, most):
                shares = self._shares([device], held)
                shares = replace(
                    shares,
                    bound=part.bound * len(shares.devices),
                    portion=part,
                    entry=replace(shares.entry, capacity=part.amounts),
                )
                said = f"device {device.name} allows multiple allocations"
                found[device.product].append(self._made("consumable-capacity", said, [shares], device.memory))
        return [_freest(each, held) for each in found.values()]

    def with_partitions(self, held: Holdings, most: int) -> list[SharedHardware]:
        found: dict[str, list[SharedHardware]] = defaultdict(list)
        for physical, group in _by_hardware(each for each in self._usable if not each.shareable):
            if kinds := _together(group, most):
                shares = [self._shares(kind, held) for kind in kinds]
                whole = max(each.memory for each in group)
                said = f"{len(group)} devices of {self._entries[0].name} are parts of {physical}"
                found[kinds[0][0].product].append(self._made("partitions-by-DRA", said, shares, whole))
        return [_freest(each, held) for each in found.values()]

    def _shares(self, kind: Sequence[Device], held: Holdings) -> Shares:
        """The devices of one kind as shares, with all others that no selector tells from them."""
        first = kind[0]
        selector, wanted = selector_for(kind, [each for each in self._usable if each.product == first.product])
        wanted = {**wanted, **first.kind}
        alike = [
            each for each in self._usable if all(each.attributes.get(name) == value for name, value in wanted.items())
        ]
        others = [each for each in self._usable if each.product != first.product]
        entry = replace(
            self._entry(first),
            product=first.product,
            device_class=choose(self._classes, alike, others),
            selector=expression(first.driver, first.kind),
            devices=tuple(alike),
            capacity=(),
            unit=1,
        )
        bound = Room(self._there, {}).most(alike)
        return Shares(entry, bound, selector, tuple(alike), tuple(self._there), memory=first.memory)

    def _entry(self, device: Device) -> NodeAccelerators:
        """The offered accelerators that count for a device."""
        return next((each for each in self._entries if each.product == device.product), self._entries[0])

    def _made(self, way: Way, said: str, shares: Sequence[Shares], whole: float) -> SharedHardware:
        devices = [device for each in shares for device in each.devices]
        return SharedHardware(
            way,
            self._entries[0].node,
            said,
            self._entry(devices[0]),
            tuple(shares),
            physical=len({hardware_of(each) for each in devices}),
            whole=whole,
        )


def hardware_of(device: Device) -> str:
    """What tells the physical device of a DRA device apart on its node; its partitions have it in common."""
    counters = sorted({each.counters for each in device.consumes})
    return device.physical if device.physical != device.name or not counters else f"{device.pool}/{counters[0]}"


def _by_hardware(devices: Iterable[Device]) -> list[tuple[str, list[Device]]]:
    found: dict[str, list[Device]] = defaultdict(list)
    for device in devices:
        found[hardware_of(device)].append(device)
    return [(name, members) for name, members in found.items() if len(members) > 1]


def _together(group: Sequence[Device], most: int) -> list[list[Device]]:
    """The kinds of partitions of one physical device of which two or more can be held together; none if none can.

    One kind if it alone is enough: that of which the most fit, but no more than `most`.
    """
    room = Room(group, {})
    kinds: dict[str, list[Device]] = defaultdict(list)
    for device in group:
        kinds[device.product].append(device)
    fitting = {product: room.most(members) for product, members in kinds.items()}
    best = max(fitting, key=lambda product: (fitting[product] <= most, fitting[product]))
    if fitting[best] > 1:
        return [kinds[best]]
    # Small ones first: the whole device would leave no room.
    order = sorted(group, key=lambda device: (sum(each.amount for each in device.consumes), device.memory))
    mixed = room.fitting(order)
    return [[device] for device in mixed] if len(mixed) > 1 else []


def _freest(found: Sequence[SharedHardware], held: Holdings) -> SharedHardware:
    """Of several physical devices, one of which the most is left; schedulers begin with the first, so the last one."""
    return max(reversed(found), key=lambda each: sum(shares.free(held, {}) for shares in each.shares))
