"""Which readings of two exporters are about the same device: one may report its utilization, the other its memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from aiconform.platform.accelerators.devices import Device
from aiconform.platform.monitoring.matching import PCI_ADDRESS, TELLING_LENGTH, match, plain
from aiconform.platform.monitoring.readings import Readings


@dataclass(frozen=True)
class Joined:
    """The readings of two exporters of one node.

    readings: those of the first, each with what the other one reports of the same device. more: those of devices that
    only the other one names, and identifies as both do others. apart: readings of the other one that may be about any
    of these, as no label says.
    """

    readings: tuple[Readings, ...]
    more: tuple[Readings, ...]
    apart: tuple[Readings, ...]


def join(devices: Sequence[Device], first: Sequence[Readings], second: Sequence[Readings]) -> Joined:
    """By the name of the device, where the driver publishes names; else by a label that only one device has."""
    pairs = _by_name(devices, first, second)
    left, right = _others(first, pairs), _others(second, pairs.values())
    parts = partitions(first) | partitions(second)
    pairs |= _by_label(left, right, parts)[0]
    _, kinds = _by_label(first, second, parts)
    left, right = _others(left, pairs), _others(right, pairs.values())
    named = {each.label for one in (first, second) for each in match(devices, one).values()}
    more: list[Readings] = []
    apart: list[Readings] = []
    for each in right:
        if any(_is_device_of(each, other, parts) for other in first):
            # What is reported of a divided device is about none of its partitions.
            continue
        if not all(_differ(other, each, kinds, named, parts) for other in left):
            apart.append(each)
        elif _is_identified(each, first, kinds, named):
            more.append(each)
    both = [replace(each, also=(*each.also, pairs[each.label])) if each.label in pairs else each for each in first]
    return Joined(tuple(both), tuple(more), tuple(apart))


def partitions(readings: Iterable[Readings]) -> set[str]:
    """The labels of an exporter's readings that are about partitions, also where whole devices have such labels.

    There it is what says so, and what is not the only one of its device.
    """
    found = [each for each in readings if each.is_partition]
    number = Counter(each.device for each in found)
    return {each.label for each in found if number[each.device] > 1 or _says_partition(each)}


def _says_partition(reading: Readings) -> bool:
    says = reading.convention.partition_has
    return not says or any(
        name == label and fnmatchcase(value, pattern) for name, value in reading.labels for label, pattern in says
    )


def _others(readings: Iterable[Readings], taken: Iterable[Readings | str]) -> list[Readings]:
    labels = {each if isinstance(each, str) else each.label for each in taken}
    return [each for each in readings if each.label and each.label not in labels]


def _by_name(devices: Sequence[Device], first: Sequence[Readings], second: Sequence[Readings]) -> dict[str, Readings]:
    """Label of a reading of the first -> that of the second about the same device of the driver."""
    one, other = match(devices, first), match(devices, second)
    return {one[name].label: other[name] for name in one if name in other}


def _by_label(
    first: Sequence[Readings], second: Sequence[Readings], parts: set[str]
) -> tuple[dict[str, Readings], set[tuple[str, str]]]:
    """(label of a reading of the first -> the one of the second, pairs of label names of which values were equal)."""
    one, other = _of_values(first, parts), _of_values(second, parts)
    found: dict[str, dict[str, Readings]] = defaultdict(dict)
    kinds: set[tuple[str, str]] = set()
    for value, (name, reading) in one.items():
        if value in other:
            found[reading.label][other[value][1].label] = other[value][1]
            kinds.add((name, other[value][0]))
    wanted = [label for partners in found.values() for label in partners]
    pairs = {label: next(iter(partners.values())) for label, partners in found.items() if len(partners) == 1}
    return {label: each for label, each in pairs.items() if wanted.count(each.label) == 1}, kinds


def _of_values(readings: Sequence[Readings], parts: set[str]) -> dict[tuple[str, ...], tuple[str, Readings]]:
    """What only one device or partition of an exporter has -> (the label's name, its reading)."""
    found: dict[tuple[str, ...], list[tuple[str, Readings]]] = defaultdict(list)
    for each in readings:
        # Exporters of one kind number devices alike.
        found[each.convention.name, each.label].append((each.label.partition("=")[0], each))
        for name, value in _identifying(each):
            found[(value, *(_partition(each) if each.label in parts else ()))].append((name, each))
    return {value: those[0] for value, those in found.items() if len({reading.label for _, reading in those}) == 1}


def _identifying(reading: Readings) -> set[tuple[str, str]]:
    """(label, value as it is compared) of what tells devices apart wherever they are named: no numbers."""
    return {
        (name, plain(value))
        for each in (reading, *reading.also)
        for name, value in each.identity
        if len(value) >= TELLING_LENGTH and (name in each.convention.device_labels or PCI_ADDRESS.fullmatch(value))
    }


def _partition(reading: Readings) -> tuple[str, ...]:
    names = reading.convention.partition_labels
    return tuple(value for name, value in sorted(reading.labels) if name in names)


def _is_device_of(whole: Readings, partition: Readings, parts: set[str]) -> bool:
    same = {value for _, value in _identifying(whole)} & {value for _, value in _identifying(partition)}
    return bool(same) and partition.label in parts and whole.label not in parts


def _differ(one: Readings, other: Readings, kinds: set[tuple[str, str]], named: set[str], parts: set[str]) -> bool:
    """Whether two readings without an equal label are about two devices: what is comparable in them is not equal."""
    if (one.label in parts) != (other.label in parts):
        return False
    if {one.label, other.label} <= named or (_has_address(one) and _has_address(other)):
        return True
    ours, theirs = ({name for name, value in each.identity if value} for each in (one, other))
    return any(name in ours and equal in theirs for name, equal in kinds)


def _is_identified(reading: Readings, others: Sequence[Readings], kinds: set[tuple[str, str]], named: set[str]) -> bool:
    """Whether it is identified as these others are: as a device of the driver, by its address, or by such a label."""
    names = {reading.label.partition("=")[0], *(name for name, _ in _identifying(reading))}
    return (
        reading.label in named
        or (_has_address(reading) and any(map(_has_address, others)))
        or any(equal in names for _, equal in kinds)
    )


def _has_address(reading: Readings) -> bool:
    return any(PCI_ADDRESS.fullmatch(value) for _, value in reading.labels)
