"""What a run would hold of the cluster, and for how long: by limits, and by what an earlier run recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from aiconform.engine.doctor.earlier import Earlier
from aiconform.engine.preview import READY, Attempt, Preview
from aiconform.platform import Accelerators

Tried = tuple[str, Attempt]
"""(a check, one of its probes on one target)"""


@dataclass(frozen=True)
class Held:
    """Devices of one DRA driver or extended resource.

    free, total: of all nodes that the run uses. largest: the most that one probe holds. at_once: the most that all
    probes together can hold. device_seconds: devices times seconds, if every probe took its limit; recorded: if each
    took as long as in the earlier run, or None if that lacks one of them.
    """

    accelerator: str
    free: int
    total: int
    largest: int
    at_once: int
    device_seconds: float
    recorded: float | None


@dataclass(frozen=True)
class Disturbing:
    """What a check does to the platform, in words, and for how many seconds at most: the sum of its probes' limits."""

    check: str
    what: str
    seconds: float


@dataclass(frozen=True)
class Holding:
    """nodes: whose accelerators probes hold. probes: how many work. longest: the longest limit of one, in seconds.

    in_turn: the sum of all limits: no run takes longer.
    """

    accelerators: tuple[Held, ...]
    nodes: tuple[str, ...]
    probes: int
    longest: float
    in_turn: float
    disturbs: tuple[Disturbing, ...]
    earlier: Earlier | None
    passed_over: tuple[str, ...] = ()


def holding(
    previews: Sequence[Preview], offered: Accelerators, earlier: Earlier | None, passed_over: tuple[str, ...]
) -> Holding:
    """Of the checks that can run. passed_over: why earlier runs are not used."""
    able = [preview for preview in previews if preview.state == READY]
    tried = [(preview.id, attempt) for preview in able for attempt in preview.attempts]
    limits = [attempt.limit for _, attempt in tried]
    nodes = {place.node for _, attempt in tried for place in attempt.places}
    return Holding(
        tuple(_held(tried, offered, earlier)),
        tuple(sorted(nodes)),
        len(tried),
        max(limits, default=0.0),
        sum(limits),
        tuple(
            Disturbing(preview.id, preview.disturbs, sum(attempt.limit for attempt in preview.attempts))
            for preview in able
            if preview.disturbs
        ),
        earlier,
        passed_over,
    )


def _held(tried: Sequence[Tried], offered: Accelerators, earlier: Earlier | None) -> Iterator[Held]:
    names = sorted({entry.name for entry in offered.offered} | set(_names(tried)))
    for name in names:
        entries = [entry for entry in offered.offered if entry.name == name]
        free: dict[str, int] = defaultdict(int)
        for entry in entries:
            free[entry.node] += entry.free
        asked: dict[str, int] = defaultdict(int)
        largest, seconds = 0, 0.0
        recorded: float | None = 0.0 if earlier else None
        for check, attempt in tried:
            places = [place for place in attempt.places if place.accelerator == name]
            devices = sum(place.devices for place in places)
            if not devices:
                continue
            largest = max(largest, devices)
            seconds += devices * attempt.limit
            took = earlier.probes.get((check, attempt.probe)) if earlier else None
            recorded = None if took is None or recorded is None else recorded + devices * took
            for place in places:
                asked[place.node] += place.devices
        at_once = sum(min(count, free[node]) for node, count in asked.items())
        total = sum(entry.total for entry in entries)
        yield Held(name, sum(free.values()), total, largest, at_once, seconds, recorded)


def _names(tried: Iterable[Tried]) -> Iterator[str]:
    for _, attempt in tried:
        for place in attempt.places:
            yield place.accelerator
