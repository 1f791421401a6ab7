"""Which device the readings of an exporter are about: by labels that only one device has, else by their number."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.sharing import may_be_shares, shares_of_one
from aiconform.platform.monitoring.readings import Readings

# Labels with a device's number on its node.
INDEX_LABELS = (
    *("gpu", "gpu_id", "index", "minor_number", "device_index", "neuron_device_index", "id"),
    *("accelerator_index", "deviceidx"),
)
# A shorter value can match by chance.
TELLING_LENGTH = 4
PCI_ADDRESS = re.compile(r"([0-9a-f]{4})?[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]", re.IGNORECASE)
_LONG_PCI_DOMAIN = re.compile(r"0000([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])")
# The attribute of a partition with the UUID of its device: https://github.com/NVIDIA/k8s-dra-driver-gpu
_PARENT = ("parentUUID", "parentUuid")


def plain(value: str) -> str:
    """A value as it is compared: exporters and drivers write UUIDs and PCI addresses in several ways."""
    value = value.lower()
    match = _LONG_PCI_DOMAIN.fullmatch(value)
    if match:
        return match[1]
    uuid = value.removeprefix("gpu-")
    return uuid if len(uuid) >= TELLING_LENGTH else value


def _in_resources(profile: str) -> str:
    """A profile as it is in names of extended resources."""
    return profile.replace("+", ".")


def _labels(reading: Readings) -> set[str]:
    return {plain(value) for _, value in reading.labels}


def telling(devices: Sequence[Device]) -> dict[str, frozenset[str]]:
    """Name of each device -> the values that no other of these devices has: UUID, PCI address, name.

    Most values of a partition are those of its physical device, which partitions of other kinds have, too.
    """
    values = {
        device.name: {plain(text) for text in (device.name, *_identities(device)) if len(text) >= TELLING_LENGTH}
        for device in devices
    }
    counts = Counter(value for own in values.values() for value in own)
    return {name: frozenset(value for value in own if counts[value] == 1) for name, own in values.items()}


def _identities(device: Device) -> Iterator[str]:
    """The texts among a device's attributes that may be its own."""
    texts = [device.attribute("uuid")] if _parent(device) else device.attributes.values()
    return (text for text in texts if isinstance(text, str))


def match(devices: Sequence[Device], readings: Sequence[Readings]) -> dict[str, Readings]:
    """Device name -> its readings, for devices of one node: by a value that only it has, else by its index."""
    matched: dict[str, Readings] = {}
    values = telling(devices)
    named = [(each, _labels(each)) for each in readings if each.label]
    # A value in several readings is a property, such as the product.
    common = {value for value, number in Counter(v for _, labels in named for v in labels).items() if number > 1}
    for device in devices:
        found = [each for each, labels in named if (values[device.name] - common) & labels]
        # Labels number physical devices.
        index = None if _parent(device) else device.attribute("index", "minor")
        if not found and index is not None:
            keys = {(label, str(index)) for label in INDEX_LABELS}
            found = [each for each, _ in named if keys & each.labels]
        # Readings of several partitions of its device tell nothing of this one.
        if len(found) == 1:
            matched[device.name] = found[0]
    # A label that two devices share identifies neither.
    shared = Counter(each.label for each in matched.values())
    return {name: each for name, each in matched.items() if shared[each.label] == 1}


def may_be(device: Device, devices: Sequence[Device], readings: Sequence[Readings]) -> list[Readings]:
    """The readings of which one is this device's, where no label says which: of its partitions' kind, or of any device.

    Empty if one of them should say it. `devices` are those of its kind on the node.
    """
    matched = match(devices, readings)
    rest = [each for each in readings if each.label and each not in matched.values()]
    if _parent(device):
        of_parent = _of_parent(device, rest)
        return _of_profile(str(device.attribute("profile") or ""), of_parent) or of_parent
    return [] if matched or _can_be_joined(devices, rest) else rest


@dataclass(frozen=True)
class Covered:
    """The readings of the accelerators of one kind on one node.

    readings: with the name of the device, or "" where only their number is known. expected: how many devices must have
    some: physical devices instead of shares. missing: names of devices without any. counted: how they were counted, if
    not by name. undecided: why it cannot be said whether one is missing, and the way out.
    """

    readings: tuple[tuple[str, Readings], ...]
    expected: int
    missing: tuple[str, ...] = ()
    counted: str = ""
    undecided: str = ""


def cover(
    devices: Sequence[Device], published: Sequence[Device], readings: Sequence[Readings], taken: Collection[str] = ()
) -> Covered:
    """The readings of devices with names. `published` are all devices of their driver on the node.

    taken: labels of other devices' readings. What is only counted is not counted among them again.
    """
    real, possible = _real(devices, published)
    matched = match(real, readings)
    rest = [each for each in readings if each.label and each not in matched.values()]
    left = [each for each in rest if each.label not in taken]
    found = list(matched.items())
    missing: list[str] = []
    counted: list[str] = []
    for parent, names in possible.items():
        # A partition that can be made is not there yet: its device stands for it.
        of_parent = _of(parent, rest)
        found += [("", each) for each in of_parent]
        missing += [] if of_parent else names[:1]
        counted.append(f"{len(names)} possible partitions as one device")
    unmatched = [device for device in real if device.name not in matched]
    for (_, profile), parts in _by_partition(unmatched).items():
        alike = _of_profile(profile, _of_parent(parts[0], left))
        found += [("", each) for each in alike[: len(parts)]]
        missing += [part.name for part in parts[len(alike) :]]
        counted += [f"{len(alike)} partitions of one device by number"] if alike else []
    undecided = ""
    wholes = [device for device in unmatched if not _parent(device)]
    # A device that is divided is there as its partitions.
    others = [device.name for device in wholes if not _of(plain(str(device.attribute("uuid"))), rest)]
    joined = _both_have_addresses(real, rest) or any(_of_parent(each, rest) for each in published if _parent(each))
    if others and len(others) == len(real) and left and not joined:
        # No label can be joined with what the driver says of its devices.
        if len(left) >= len(others) and not _both_have_uuids(real, rest):
            found += [("", each) for each in left[: len(others)]]
            counted.append(f"{len(others)} by number: the driver publishes none of their labels")
            others = []
        else:
            undecided = (
                f"{len(left)} of {len(others)} devices have readings, and no label says which: "
                "let the exporter report the UUID or the PCI address that the driver publishes"
            )
    missing += others
    told = "; ".join(dict.fromkeys(counted))
    return Covered(tuple(found), len(found) + len(missing), tuple(missing), told, undecided)


def _values(readings: Iterable[Readings]) -> Iterator[str]:
    return (value for each in readings for _, value in each.labels)


def _addresses(values: Iterable[str]) -> set[str]:
    """The PCI addresses among these values."""
    return {plain(value) for value in values if PCI_ADDRESS.fullmatch(value)}


def _both_have_addresses(devices: Iterable[Device], readings: Iterable[Readings]) -> bool:
    """Whether driver and exporter name PCI addresses."""
    return bool(_addresses(str(value) for each in devices for value in each.attributes.values())) and bool(
        _addresses(_values(readings))
    )


def _can_be_joined(devices: Sequence[Device], readings: Sequence[Readings]) -> bool:
    return _both_have_addresses(devices, readings) or _both_have_uuids(devices, readings)


def _both_have_uuids(devices: Iterable[Device], readings: Iterable[Readings]) -> bool:
    """Whether driver and exporter name UUIDs: if none of them are equal, they may be of other devices."""
    labels = {name.lower() for each in readings for name, _ in each.labels}
    return any(each.attribute("uuid") for each in devices) and any(name.endswith("uuid") for name in labels)


def _of(value: str, readings: Iterable[Readings]) -> list[Readings]:
    """The readings that have a label with this value."""
    return [each for each in readings if value in _labels(each)]


def _of_parent(partition: Device, readings: Iterable[Readings]) -> list[Readings]:
    """The readings of a partition's physical device, which is known by its UUID or its PCI address."""
    known = {_parent(partition)} | _addresses(str(value) for value in partition.attributes.values())
    return [each for each in readings if known & _labels(each)]


def _of_profile(profile: str, readings: Iterable[Readings]) -> list[Readings]:
    """The readings of partitions that may have this profile."""
    return [each for each in readings if each.is_partition and each.profiles <= {_in_resources(profile)}]


def _real(devices: Sequence[Device], published: Iterable[Device]) -> tuple[list[Device], dict[str, list[str]]]:
    """(devices that are there, parent -> partitions that can be made of it). The driver publishes both in one pool."""
    wholes = {plain(str(uuid)) for each in published if (uuid := each.attribute("uuid")) and not _parent(each)}
    possible: dict[str, list[str]] = defaultdict(list)
    for device in devices:
        if (parent := _parent(device)) in wholes and device.attribute("uuid") is None:
            possible[parent].append(device.name)
    names = {name for each in possible.values() for name in each}
    real = [device for device in devices if device.name not in names]
    # Their device is in this list itself.
    for device in real:
        possible.pop(plain(str(device.attribute("uuid"))), None)
    return real, dict(possible)


def _parent(device: Device) -> str:
    return plain(str(device.attribute(*_PARENT) or ""))


def _by_partition(devices: Iterable[Device]) -> dict[tuple[str, str], list[Device]]:
    """(parent, profile) -> the partitions of it."""
    found: dict[tuple[str, str], list[Device]] = defaultdict(list)
    for device in devices:
        if parent := _parent(device):
            found[parent, str(device.attribute("profile") or "")].append(device)
    return found


@dataclass(frozen=True)
class Counted:
    """Devices behind a device plugin: their resource and number, and what the node's labels and the user say of them.

    physical: on how many devices they are, partitions: how many partitions they are, and shares: how many of the
    resource are one device, as the user says; each 0 if that is not known. known: whether the suite knows an exporter
    of this vendor.
    """

    resource: str
    advertised: int
    labels: Mapping[str, str] = field(default_factory=dict)
    physical: int = 0
    shares: int = 0
    known: bool = True
    partitions: int = 0

    @property
    def profile(self) -> str:
        """The profile of the partitions that the resource counts: `1g.10gb` of `nvidia.com/mig-1g.10gb`; or empty."""
        kind, _, profile = self.resource.rpartition("/")[2].removesuffix(".shared").partition("-")
        return profile if kind == "mig" else ""

    @property
    def devices(self) -> int:
        """How many devices or partitions these are; 0 if they may be shares of nobody knows how many."""
        there = self.partitions or (0 if self.profile else self.physical)
        if there and not self.shares:
            return there
        if shares := self.shares or shares_of_one(self.resource, self.labels):
            return -(-self.advertised // shares)
        return 0 if may_be_shares(self.resource) else self.advertised


def count(devices: Counted, readings: Sequence[Readings], taken: Collection[str] = ()) -> Covered:
    """The readings of devices of which only the number is known. `taken` are labels of other devices' readings."""
    rows = _of_resource(devices, [each for each in readings if each.label and each.label not in taken])
    expected = devices.devices or devices.advertised
    undecided = ""
    if devices.devices and any(row.is_core for row in rows):
        undecided = f"{len(rows)} cores have readings, and nothing tells which devices they are of"
    elif len(rows) < expected:
        if not devices.known:
            undecided = (
                f"{len(rows)} of {expected} devices have readings, in metrics that may be of others: "
                "name their exporter, --set accelerator_metrics.exporter=NAMESPACE/POD*"
            )
        elif rows and not devices.devices and expected % len(rows) == 0:
            undecided = (
                f"{devices.advertised} of {devices.resource} are shares of {len(rows)} devices, or some are missing; "
                "say how many are one device: --set accelerator_metrics.shares=NUMBER"
            )
    counted = "" if expected == devices.advertised else f"{devices.advertised} shares as {expected} devices"
    return Covered(tuple(("", each) for each in rows), expected, (), counted, undecided)


def _of_resource(devices: Counted, readings: Sequence[Readings]) -> list[Readings]:
    if devices.profile:
        partitions = [each for each in readings if each.is_partition]
        return [each for each in partitions if not each.profiles or devices.profile in each.profiles]
    # Beside partitions that have resources of their own, a plain resource counts whole devices.
    whole = [each for each in readings if not each.is_partition]
    return whole or list(readings)
