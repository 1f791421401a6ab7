"""Which virtual devices a platform offers, and the physical fraction or device with which each is compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from aiconform.cluster import Object
from aiconform.platform.accelerators import virtual
from aiconform.platform.accelerators.counting import Room, open_
from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.offered import NodeAccelerators
from aiconform.platform.accelerators.selecting import DeviceClass, choose, selector_for
from aiconform.platform.accelerators.shares import SharedHardware, Shares
from aiconform.platform.accelerators.sharing import shared
from aiconform.platform.accelerators.ways import Ways, ways
from aiconform.platform.inventory import Platform

# How many shares of one device a physical fraction may have at most, where its driver leaves that to claims.
_MOST = 64


@dataclass(frozen=True)
class Asked:
    """One device that a Pod can ask for, alone or among others that no selector tells apart.

    counted: the accelerators among which the platform counts it. facts: what is published of it: kind and name ->
    value. what: `fraction` or `complete device` of a physical one. classes: the DeviceClasses that select it.
    """

    shares: Shares
    counted: NodeAccelerators
    facts: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    what: str = ""
    classes: tuple[str, ...] = ()

    @property
    def entry(self) -> NodeAccelerators:
        return self.shares.entry


@dataclass(frozen=True)
class VirtualDevices:
    """Virtual devices of one kind on one node.

    said: what says that they are virtual; empty if nothing published does. asked: those that are free, a device of DRA
    each; of a device plugin, the same for each. total: how many there are. parent: what tells their one physical
    device; empty if nothing does. shared: what says that several Pods may hold one. whole: the memory of the physical
    device, 0 if not known. other: what is compared with them, None if the platform has nothing physical of this family;
    other_free: for how many Pods it is free.
    """

    node: str
    said: str
    asked: tuple[Asked, ...]
    entry: NodeAccelerators
    counted: NodeAccelerators
    total: int
    parent: str = ""
    shared: str = ""
    whole: float = 0.0
    other: Asked | None = None
    other_free: int = 0

    @property
    def kind(self) -> tuple[str, ...]:
        """What is alike on several nodes has the same kind."""
        return (self.entry.way, self.entry.name, self.entry.product)

    def __str__(self) -> str:
        way = "DRA" if self.entry.way == "dra" else "device plugin"
        return f"{self.node}, {' '.join(filter(None, (self.entry.name, self.entry.product)))} by {way}"


@dataclass(frozen=True)
class Offers:
    """found: virtual devices. unmarked: what nothing published calls virtual. looked: where they would show."""

    found: tuple[VirtualDevices, ...]
    unmarked: tuple[VirtualDevices, ...]
    looked: str


async def virtual_offers(platform: Platform, *, named: Sequence[str] = (), node: str = "") -> Offers:
    """The virtual devices of the chosen nodes, or of this node alone. Raises ClusterError.

    named: drivers and extended resources whose devices are virtual by the user's word.
    """
    known = await ways(platform, _MOST)
    reader = _Reader(
        known,
        {each["metadata"]["name"]: each for each in await platform.nodes()},
        (await platform.devices())[0],
        [DeviceClass(item) for item in await platform.device_classes()],
        platform,
        named,
    )
    places = [each for entry in known.entries for each in reader.places(entry)]
    places = [each for each in _once(places) if node in ("", each.node)]
    profiles = dict.fromkeys(entry.profile for entry in known.entries)
    nodes = await platform.nodes()
    looked = "; ".join([virtual.looked_at(profiles), *virtual.for_machines(nodes)])
    places = [reader.compared(each) for each in places]
    found, unmarked = ([each for each in places if bool(each.said) is said] for said in (True, False))
    return Offers(tuple(found), tuple(unmarked), looked)


def _once(places: Sequence[VirtualDevices]) -> list[VirtualDevices]:
    """Without the other ways to ask for what is offered already."""
    there = {(each.node, each.counted.kind, bool(each.said)) for each in places}
    return [each for each in places if (each.node, each.counted.same_as, bool(each.said)) not in there]


class _Reader:
    def __init__(
        self,
        known: Ways,
        nodes: Mapping[str, Object],
        devices: Iterable[Device],
        classes: Sequence[DeviceClass],
        platform: Platform,
        named: Sequence[str],
    ) -> None:
        self._known, self._nodes, self._classes, self._named = known, nodes, classes, named
        self._profiles = platform.said.profiles
        self._on_node: dict[tuple[str, str], list[Device]] = defaultdict(list)
        for device in devices:
            self._on_node[device.node or "", device.driver].append(device)

    def places(self, entry: NodeAccelerators) -> list[VirtualDevices]:
        return self._by_dra(entry) if entry.way == "dra" else [self._by_plugin(entry)]

    def _said(self, device: Device, profile: str) -> str:
        if device.driver in self._named:
            return "so the user says"
        return virtual.of_device(device, profile)

    def _usable(self, entry: NodeAccelerators) -> list[Device]:
        """The devices behind an entry, and all of its driver on its node, that claims should have."""
        profile = self._profiles.by_driver(entry.name)
        unfit = profile.other_types if profile else ()
        there = self._on_node[entry.node, entry.name]
        return [each for each in there if not each.trouble and each.attribute("type") not in unfit]

    def _by_dra(self, entry: NodeAccelerators) -> list[VirtualDevices]:
        usable = self._usable(entry)
        groups: dict[tuple[bool, str], list[Device]] = defaultdict(list)
        for device in usable:
            if device.product == entry.product:
                said = bool(self._said(device, entry.profile))
                groups[said, virtual.parent_of(device) if said else ""].append(device)
        return [
            self._place(entry, members, usable, parent if is_virtual else "", said=is_virtual)
            for (is_virtual, parent), members in groups.items()
        ]

    def _place(
        self, entry: NodeAccelerators, members: list[Device], usable: list[Device], parent: str, *, said: bool
    ) -> VirtualDevices:
        room = Room(usable, self._known.held)
        free = room.fitting([each for each in members if open_(each, self._known.held)])
        physical = [each for each in usable if not self._said(each, entry.profile)]
        # Schedulers allocate the first devices that fit, so the last ones are the most likely to stay free.
        asked = tuple(self._asked(entry, each, usable) for each in (*free[-2:], *free[:-2]))
        if entry.unit > 1:
            # Only all devices of the host can be had together.
            every = Shares(entry, entry.total // entry.unit, devices=entry.devices, among=tuple(usable))
            asked = (replace(self._asked(entry, members[0], usable), shares=every),) * entry.room
        return VirtualDevices(
            node=entry.node,
            said=self._said(members[0], entry.profile) if said else "",
            asked=asked,
            entry=self._asked(entry, members[0], usable).entry,
            counted=entry,
            total=len(members),
            parent=parent,
            shared="its devices allow multiple allocations" if any(each.shareable for each in members) else "",
            whole=max((each.memory for each in physical), default=0.0) if said else 0.0,
        )

    def _asked(self, entry: NodeAccelerators, device: Device, usable: Sequence[Device], what: str = "") -> Asked:
        selector, wanted = selector_for([device], usable)
        alike = tuple(
            each for each in usable if all(each.attributes.get(name) == value for name, value in wanted.items())
        )
        own = replace(entry, devices=alike, selector="", capacity=(), unit=1, product=device.product)
        memory = virtual.memory_of_device(device, entry.profile)
        shares = Shares(own, len(alike), selector, alike, tuple(usable), memory=memory)
        classes = tuple(
            each.name for each in self._classes if device.driver in each.drivers and all(map(each.selects, alike))
        )
        return Asked(shares, entry, _facts(device), what, classes)

    def _by_plugin(self, entry: NodeAccelerators) -> VirtualDevices:
        node, profile = self._nodes[entry.node], self._profiles.by_resource(entry.name)
        labels = node["metadata"].get("labels") or {}
        said = virtual.of_resource(entry.name, entry.profile, entry.product, labels)
        said = "so the user says" if entry.name in self._named else said
        counted = profile.devices(labels, node["metadata"].get("annotations") or {}) if profile else 0
        total = min(entry.total, counted) if counted else entry.total
        memory = virtual.memory_of_resource(entry.name, entry.profile, entry.product, labels)
        used = self._known.used.get((entry.node, entry.name), 0)
        shares = Shares(entry, total, memory=memory)
        asked = Asked(shares, entry, _labels(entry.name, labels))
        return VirtualDevices(
            node=entry.node,
            said=said,
            asked=(asked,) * (max(0, min(total - used, entry.free)) // entry.unit),
            entry=entry,
            counted=entry,
            total=total,
            shared=shared(entry.name, labels),
        )

    def compared(self, place: VirtualDevices) -> VirtualDevices:
        """The same, with a physical fraction of its family, else a complete device, that is asked for alike if any is.

        On the same node if it can be, and free if it can be.
        """
        fractions = [each for hardware in self._known.found for each in self._fractions(hardware, place)]
        wholes = [each for entry in self._known.entries for each in self._wholes(entry, place)]
        if not place.said:
            # Should it be virtual all the same, devices of its kind are as well, and others may be.
            fractions, wholes = [each for each in fractions if each.counted.kind != place.counted.kind], []

        def room(each: Asked) -> int:
            return each.shares.free(self._known.held, self._known.used) // each.entry.unit

        def merit(each: Asked) -> tuple[bool, bool, bool]:
            return (each.entry.way != place.entry.way, not room(each), each.entry.node != place.node)

        other = min(fractions, key=merit, default=None) or min(wholes, key=merit, default=None)
        return replace(place, other=other, other_free=room(other)) if other else place

    def _fractions(self, hardware: SharedHardware, place: VirtualDevices) -> list[Asked]:
        offered = hardware.offered
        if hardware.way == "shared-claim" or offered.profile != place.entry.profile:
            return []
        found = []
        for each in hardware.shares:
            said = [self._said(device, offered.profile) for device in each.devices]
            labels = self._nodes[offered.node]["metadata"].get("labels") or {}
            if each.entry.way == "device-plugin":
                said = [virtual.of_resource(each.entry.name, offered.profile, each.entry.product, labels)]
            if any(said):
                continue
            facts = _facts(each.devices[0]) if each.devices else _labels(each.entry.name, labels)
            classes = [known.name for known in self._classes if each.devices and all(map(known.selects, each.devices))]
            found.append(Asked(each, offered, facts, "fraction", tuple(classes)))
        return found

    def _wholes(self, entry: NodeAccelerators, place: VirtualDevices) -> list[Asked]:
        if entry.profile != place.entry.profile:
            return []
        if entry.way == "device-plugin":
            found = self._by_plugin(entry)
            labels = self._nodes[entry.node]["metadata"].get("labels") or {}
            facts = _labels(entry.name, labels)
            return [] if found.said else [Asked(Shares(entry, entry.total), entry, facts, "complete device")]
        usable = self._usable(entry)
        physical = [each for each in usable if each.product == entry.product and not self._said(each, entry.profile)]
        free = [each for each in physical if open_(each, self._known.held)]
        if not physical:
            return []
        return [self._asked(entry, (free or physical)[-1], usable, "complete device")]


def common_class(classes: Iterable[DeviceClass], one: Asked, other: Asked) -> str:
    """The DeviceClass that selects both; empty if there is none."""
    devices = [*one.shares.devices, *other.shares.devices]
    return choose(classes, devices, []) if devices else ""


def _facts(device: Device) -> dict[str, str]:
    def name(full: str) -> str:
        return full.removeprefix(f"{device.driver}/")

    attributes = {f"attribute {name(key)}": str(value) for key, value in device.attributes.items()}
    return attributes | {f"capacity {name(each)}": "" for each in device.sizes}


def _labels(resource: str, labels: Mapping[str, str]) -> dict[str, str]:
    vendor = resource.partition("/")[0]
    return {f"label {name}": value for name, value in labels.items() if name.partition("/")[0] == vendor}
