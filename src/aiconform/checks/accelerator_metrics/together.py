"""What the exporters of a vendor report together: of each device, what any of them reports counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from aiconform.checks.accelerator_metrics.observations import IN_USE
from aiconform.platform import Device
from aiconform.platform.monitoring.joining import join, partitions
from aiconform.platform.monitoring.matching import Covered, match
from aiconform.platform.monitoring.readings import MUST_BE_REPORTED, Readings
from aiconform.platform.monitoring.sources import NodeSources, Source

BESIDE = " and "
"""Between exporters that together report what one of them lacks."""
_LET_NAME = "let both exporters report the UUID or the PCI address of each device"


@dataclass(frozen=True)
class Together:
    """The readings of the accelerators of one kind on one node, of all exporters that add something to them.

    by_number: readings of another exporter that has as many devices as these, where no label says which is which; and
    numbered: its place. unsure: a quantity that the readings of a device lack -> why it may be reported all the same.
    """

    covered: Covered
    sources: tuple[Source, ...]
    by_number: tuple[Readings, ...] = ()
    numbered: str = ""
    unsure: dict[str, str] = field(default_factory=dict)

    @property
    def readings(self) -> list[Readings]:
        return [each for _, each in self.covered.readings]


def ranked(
    sources: Sequence[Source],
    devices: Sequence[Device],
    quantity: str = "",
    covered: Callable[[Sequence[Readings]], Covered] | None = None,
) -> list[Source]:
    """Those that report the most of these devices come first, or the most devices if their names are not known.

    Of several, the one that reports utilization and memory of the most. quantity: only devices of which it is reported
    decide, at first. covered: as in `together`; one that lacks nothing comes before one that only names more devices,
    which may be other hardware.
    """

    def reported(source: Source) -> tuple[int, ...]:
        readings = source.devices
        with_it = [each for each in readings if quantity and source.may_report(each, quantity)]
        whole = sum(1 for each in readings if each.label and each.reported >= {*MUST_BE_REPORTED})
        matched, labels = _named(devices, readings)
        seen = covered(readings) if covered else None
        enough = seen is not None and _lacks(seen) == (0, 0) and not seen.undecided
        return *_named(devices, with_it), matched, enough, labels, whole

    return sorted(sources, key=reported, reverse=True)


def _named(devices: Sequence[Device], readings: Sequence[Readings]) -> tuple[int, int]:
    return len(match(devices, readings)), sum(1 for each in readings if each.label)


def together(
    devices: Sequence[Device], found: NodeSources, covered: Callable[[Sequence[Readings]], Covered]
) -> Together | None:
    """None without a source. Others are looked at only for what the one that reports the most lacks.

    covered: which of some readings are of these devices.
    """
    sources = ranked(found.sources, devices, covered=covered)
    if not sources:
        return None
    readings: tuple[Readings, ...] = tuple(sources[0].devices)
    seen, used = covered(readings), [sources[0]]
    apart: list[tuple[Source, tuple[Readings, ...]]] = []
    for other in sources[1:]:
        if _lacks(seen) == (0, 0):
            break
        joined = join(devices, readings, other.devices)
        both, more = joined.readings, (*joined.readings, *joined.more)
        # Devices that only the other one names are needed only where some are missing.
        for joint in (both, more) if _lacks(seen)[0] else (both,):
            if _lacks(covered(joint)) < _lacks(seen):
                readings, seen = joint, covered(joint)
                used.append(other)
        if joined.apart:
            apart.append((other, joined.apart))
    return _with_others(Together(seen, tuple(used)), readings, found, apart)


def _lacks(seen: Covered) -> tuple[int, int]:
    """(how many devices have no readings, how many quantities the others lack)."""
    missing = max(len(seen.missing), seen.expected - len(seen.readings))
    return missing, sum(not each.reports(quantity) for _, each in seen.readings for quantity in MUST_BE_REPORTED)


def _with_others(
    seen: Together,
    readings: Sequence[Readings],
    found: NodeSources,
    apart: Sequence[tuple[Source, tuple[Readings, ...]]],
) -> Together:
    """The same, with what exporters say of which nobody knows the device, or may say at another time."""
    missing, lacking = _lacks(seen.covered)
    place, undecided = seen.sources[0].place, seen.covered.undecided
    unsure: dict[str, str] = {}
    for quantity in MUST_BE_REPORTED if lacking else ():
        without = sum(not each.reports(quantity) for each in seen.readings)
        if not without:
            continue
        having = [sum(quantity in each.reported for each in others) for _, others in apart]
        for (other, others), number in zip(apart, having, strict=True):
            whole = not missing and number == len(others) and seen.numbered in ("", other.place)
            if whole and _as_many(readings, seen.readings, other.devices, others):
                seen = replace(seen, by_number=others, numbered=other.place)
                break
        else:
            why = _elsewhere(seen, found, (quantity,))
            if sum(having) >= without:
                places = BESIDE.join(other.place for (other, _), number in zip(apart, having, strict=True) if number)
                why = f"{places} reports it of {sum(having)}, which no label joins with those of {place}: {_LET_NAME}"
            unsure |= {quantity: why} if why else {}
    if missing and not undecided:
        undecided = _elsewhere(seen, found, MUST_BE_REPORTED)
        if sum(len(others) for _, others in apart) >= missing:
            places = BESIDE.join(other.place for other, others in apart)
            undecided = f"no label says whether those of {place} and of {places} are the same devices: {_LET_NAME}"
    return replace(seen, unsure=unsure, covered=replace(seen.covered, undecided=undecided))


def _elsewhere(seen: Together, found: NodeSources, quantities: Sequence[str]) -> str:
    """Why another exporter may report these of a device; empty if none may."""
    for each in found.unread:
        return ". ".join(filter(None, (f"another exporter may report it: {each.message}", each.way_out)))
    others = [*(each.convention for each in found.sources if each not in seen.sources), *found.idle]
    idle = [each.name for each in others if {*quantities} <= {*each.only_in_use}]
    return f"{', '.join(dict.fromkeys(idle))} reports it only of devices in use: {IN_USE}" if idle else found.hidden


def _as_many(
    readings: Sequence[Readings], ours: Sequence[Readings], theirs: Sequence[Readings], apart: Sequence[Readings]
) -> bool:
    """Whether both exporters name as many devices, all of this kind, and nothing says that these are not the same."""
    named, others = ([each for each in one if each.label] for one in (readings, theirs))
    parts = partitions(readings) | partitions(theirs)
    alike = len({each.label in parts for each in (*ours, *apart)}) == 1
    uuids = [any(name.lower().endswith("uuid") for each in one for name, _ in each.labels) for one in (named, others)]
    return alike and len(named) == len(ours) == len(others) == len(apart) and not all(uuids)
