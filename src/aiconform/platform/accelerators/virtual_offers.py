"""Which virtual devices a platform offers, and the physical fraction or device with which each is compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import starmap

from aiconform.cluster import Object
from aiconform.platform.accelerators import virtual
from aiconform.platform.accelerators.counting import Room, open_
from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.offered import NodeAccelerators
from aiconform.platform.accelerators.profiles import Profiles
from aiconform.platform.accelerators.selecting import DeviceClass, selector_for
from aiconform.platform.accelerators.shares import Shares
from aiconform.platform.accelerators.sharing import perhaps_shared, shared
from aiconform.platform.accelerators.virtual_devices import (
    Asked,
    Counters,
    VirtualDevices,
    alike,
    apart,
    counters_of,
    facts_of_device,
    facts_of_labels,
    not_counted,
)
from aiconform.platform.accelerators.ways import Ways, ways
from aiconform.platform.inventory import Platform

# How many shares of one device a physical fraction may have at most, where its driver leaves that to claims.
_MOST = 64


class Offers:
    """found: virtual devices. unmarked: what nothing published calls virtual. looked: where they would show."""

    def __init__(self, reader: _Reader, looked: str, node: str) -> None:
        self._reader, self.looked = reader, looked
        places = _once(each for entry in reader.entries if node in ("", entry.node) for each in reader.places(entry))
        self.found = tuple(each for each in places if each.said)
        self.unmarked = tuple(each for each in places if not each.said)

    def completed(self, devices: VirtualDevices) -> VirtualDevices:
        """The same, with how each is asked for and with what is compared: a large platform has thousands of others."""
        return self._reader.compared(self._reader.asked_for(devices))


async def virtual_offers(platform: Platform, *, named: Sequence[str] = (), node: str = "") -> Offers:
    """The virtual devices of the chosen nodes, or of this node alone. Raises ClusterError.

    named: drivers and extended resources whose devices are virtual by the user's word.
    """
    known, nodes = await ways(platform, _MOST), await platform.nodes()
    classes = [DeviceClass(item) for item in await platform.device_classes()]
    reader = _Reader(known, nodes, (await platform.devices())[0], classes, platform.said.profiles, named)
    profiles = dict.fromkeys(entry.profile for entry in known.entries)
    looked = "; ".join([virtual.looked_at(profiles), *virtual.for_machines(nodes)])
    return Offers(reader, looked, node)


def _once(places: Iterable[VirtualDevices]) -> list[VirtualDevices]:
    """Without the other ways to ask for what is offered already."""
    every = list(places)
    there = {(each.node, each.kind, bool(each.said)) for each in every}
    return [each for each in every if (each.node, each.entry.same_as, bool(each.said)) not in there]


class _Reader:
    def __init__(
        self,
        known: Ways,
        nodes: Iterable[Object],
        devices: Iterable[Device],
        classes: Sequence[DeviceClass],
        profiles: Profiles,
        named: Sequence[str],
    ) -> None:
        self._known, self._classes, self._named, self._profiles = known, classes, named, profiles
        self._nodes = {each["metadata"]["name"]: each for each in nodes}
        self._on_node: dict[tuple[str, str], list[Device]] = defaultdict(list)
        for device in devices:
            self._on_node[device.node or "", device.driver].append(device)
        self._counted: dict[tuple[str, tuple[str, str, str]], NodeAccelerators] = {}

    @cached_property
    def entries(self) -> tuple[NodeAccelerators, ...]:
        """All accelerators, and virtual devices of which the platform counts their physical device instead."""
        offered: dict[tuple[str, str], list[NodeAccelerators]] = defaultdict(list)
        more = list[NodeAccelerators]()
        for entry in self._known.entries:
            if entry.way == "dra":
                offered[entry.node, entry.name].append(entry)
        for entries in offered.values():
            virtual_ones = [each for each in self._usable(entries[0]) if self._said(each, entries[0].profile)]
            for entry, counted in not_counted(entries, self._usable(entries[0]), virtual_ones):
                self._counted[entry.node, entry.kind] = counted
                more.append(entry)
        return (*self._known.entries, *more)

    def places(self, entry: NodeAccelerators) -> list[VirtualDevices]:
        return self._by_dra(entry) if entry.way == "dra" else [self._by_plugin(entry)]

    def _said(self, device: Device, profile: str) -> str:
        """What says that a device is virtual; empty if nothing does."""
        if device.driver in self._named:
            return "so the user says"
        return virtual.of_device(device, profile) or virtual.of_node(profile, self._labels_of(device.node or ""))

    def _labels_of(self, node: str) -> Mapping[str, str]:
        found: Mapping[str, str] = self._nodes[node]["metadata"].get("labels") or {}
        return found

    @cached_property
    def _virtual(self) -> frozenset[tuple[str, str, str]]:
        """(node, way, profile) of what is said to be virtual."""
        said = (each for each in self.entries if any(place.said for place in self.places(each)))
        return frozenset((each.node, each.way, each.profile) for each in said)

    @cached_property
    def _twice(self) -> frozenset[tuple[str, str]]:
        """(node, profile) of hardware that can be asked for in two ways."""
        return frozenset((each.node, each.profile) for each in self.entries if each.same_as)

    def _may_be_virtual(self, entry: NodeAccelerators) -> bool:
        """Whether the same hardware, asked for in the other way, is said to be virtual."""
        other = "device-plugin" if entry.way == "dra" else "dra"
        return (entry.node, entry.profile) in self._twice and (entry.node, other, entry.profile) in self._virtual

    def _usable(self, entry: NodeAccelerators) -> list[Device]:
        """All devices of an entry's driver on its node that claims should have."""
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
            VirtualDevices(
                said=self._said(members[0], entry.profile),
                entry=entry,
                total=len(members) // entry.unit,
                free=len(self._free(members, usable)) // entry.unit,
                devices=tuple(members),
                parent=parent,
                shared="its devices allow multiple allocations" if any(each.shareable for each in members) else "",
                counted=self._counted.get((entry.node, entry.kind)),
            )
            for (_, parent), members in groups.items()
        ]

    def _free(self, devices: Iterable[Device], usable: Sequence[Device]) -> tuple[Device, ...]:
        held = self._known.held
        return Room(usable, held).fitting(each for each in devices if open_(each, held))

    def _by_plugin(self, entry: NodeAccelerators) -> VirtualDevices:
        profile, labels = self._profiles.by_resource(entry.name), self._labels_of(entry.node)
        said = virtual.of_resource(entry.name, entry.profile, entry.product, labels)
        annotations = self._nodes[entry.node]["metadata"].get("annotations") or {}
        counted = profile.devices(labels, annotations) if profile else 0
        total = min(entry.total, counted) if counted else entry.total
        used = self._known.used.get((entry.node, entry.name), 0)
        return VirtualDevices(
            said="so the user says" if entry.name in self._named else said,
            entry=entry,
            total=total // entry.unit,
            free=max(0, min(total - used, entry.free)) // entry.unit,
            shared=shared(entry.name, labels) or self._shared(entry, counted, annotations),
        )

    def _shared(self, entry: NodeAccelerators, devices: int, annotations: Mapping[str, str]) -> str:
        """What says that a resource stands for shares of so many devices, where its plugin is one that shares them."""
        profile = self._profiles.by_resource(entry.name)
        shares = perhaps_shared(entry.name) or (profile and profile.registered(annotations))
        return f"{entry.total} {entry.name} are on {devices} device(s)" if shares and 0 < devices < entry.total else ""

    def asked_for(self, place: VirtualDevices) -> VirtualDevices:
        """The same, with how each free one is asked for."""
        entry = place.entry
        if entry.way == "device-plugin":
            return replace(place, asked=(self._of_resource(entry, place.total),) * place.free)
        usable = self._usable(entry)
        if entry.unit > 1:
            # Only all devices of the host can be had together.
            every = Shares(entry, place.total, devices=entry.devices, among=tuple(usable))
            asked = (replace(self._of_device(entry, place.devices[0], usable), shares=every),) * place.free
        else:
            # Schedulers allocate the first devices that fit, so the last ones are the most likely to stay free.
            free = self._free(place.devices, usable)
            if place.said and place.total == 1 and free:
                # The only one of its physical device stands beside one of another.
                alike = (each for each in usable if each.product == entry.product and self._said(each, entry.profile))
                free += self._free((each for each in alike if each not in place.devices), usable)[-1:]
            asked = tuple(self._of_device(entry, each, usable) for each in (*free[-2:], *free[:-2]))
        physical = [each.memory for each in usable if not self._said(each, entry.profile)]
        return replace(place, asked=asked, whole=max(physical, default=0.0) if place.said else 0.0)

    def _of_resource(self, entry: NodeAccelerators, total: int, what: str = "") -> Asked:
        labels = self._labels_of(entry.node)
        memory = virtual.memory_of_resource(entry.name, entry.profile, entry.product, labels)
        return Asked(Shares(entry, total, memory=memory), entry, facts_of_labels(entry.name, labels), what)

    def _of_device(self, entry: NodeAccelerators, device: Device, usable: Sequence[Device], what: str = "") -> Asked:
        selector, wanted = selector_for([device], usable)
        alike = tuple(
            each for each in usable if all(each.attributes.get(name) == value for name, value in wanted.items())
        )
        own = replace(entry, devices=alike, selector="", capacity=(), unit=1)
        memory = virtual.memory_of_device(device, entry.profile)
        shares = Shares(own, len(alike), selector, alike, tuple(usable), memory=memory)
        return Asked(shares, entry, facts_of_device(device), what, *self._classes_of(alike))

    def _classes_of(self, devices: Sequence[Device]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(the DeviceClasses that select all of these devices of one driver, those of which that is not known)."""
        known = [each for each in self._classes if devices and devices[0].driver in each.drivers]
        selecting = tuple(each.name for each in known if all(map(each.selects, devices)))
        return selecting, tuple(each.name for each in known if any(map(each.unclear, devices)))

    def compared(self, place: VirtualDevices) -> VirtualDevices:
        """The same, with a physical fraction of its family, else a complete device, that is asked for alike if any is.

        On the same node if it can be, and free if it can be.
        """
        fractions = [
            (each, hardware.offered)
            for hardware in self._known.found
            if hardware.way != "shared-claim" and alike(hardware.offered, place.entry)
            for each in hardware.shares
        ]
        entries = [each for each in self.entries if alike(each, place.entry)]
        taken = {counters for device in place.devices for counters in counters_of(device)}
        if not place.said:
            # Should it be virtual all the same, devices of its kind are as well, and others may be.
            fractions, entries = [each for each in fractions if each[1].kind != place.kind], []

        def order(each: NodeAccelerators) -> tuple[bool, bool]:
            return (each.way != place.entry.way, each.node != place.node)

        fractions.sort(key=lambda each: order(each[1]))
        entries.sort(key=order)
        wholes = (self._whole(each, taken) for each in entries)
        other = self._freest(starmap(self._fraction, fractions), taken) or self._freest(wholes, taken)
        return replace(place, other=other, other_free=self._room(other.shares, taken)) if other else place

    def _freest(self, found: Iterable[Asked | None], taken: Collection[Counters]) -> Asked | None:
        """The first that is free, of those that are asked for as the very first is; else that one."""
        first = None
        for each in filter(None, found):
            first = first or each
            if each.entry.way != first.entry.way:
                break
            if self._room(each.shares, taken):
                return each
        return first

    def _room(self, shares: Shares, taken: Collection[Counters]) -> int:
        """For how many Pods there is room beside virtual devices that take these counters of their physical device."""
        if shares.devices and not any(apart(each, taken) for each in shares.devices):
            return 0
        return shares.free(self._known.held, self._known.used) // shares.entry.unit

    def _fraction(self, shares: Shares, offered: NodeAccelerators) -> Asked | None:
        """Shares, if they are of physical devices."""
        entry = shares.entry
        if self._may_be_virtual(offered):
            return None
        if entry.way == "dra":
            if any(self._said(device, offered.profile) for device in shares.devices):
                return None
            facts = facts_of_device(shares.devices[0])
            return Asked(shares, offered, facts, "fraction", *self._classes_of(shares.devices))
        labels = self._labels_of(entry.node)
        if virtual.of_resource(entry.name, offered.profile, entry.product, labels):
            return None
        return Asked(shares, offered, facts_of_labels(entry.name, labels), "fraction")

    def _whole(self, entry: NodeAccelerators, taken: Collection[Counters]) -> Asked | None:
        """A complete device among these, if any is a physical one; one that is left beside the virtual ones, if any."""
        places = [] if self._may_be_virtual(entry) else [each for each in self.places(entry) if not each.said]
        if not places:
            return None
        if entry.way == "device-plugin":
            return self._of_resource(entry, places[0].total, "complete device")
        usable, members = self._usable(entry), places[0].devices
        free = self._free(members, usable)
        left = [each for each in free if apart(each, taken)]
        return self._of_device(entry, (left or free or members)[-1], usable, "complete device")
