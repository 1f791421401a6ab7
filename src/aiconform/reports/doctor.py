"""What stands in the way of a run, as text and as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from aiconform.engine.doctor.earlier import Earlier
from aiconform.engine.doctor.examination import Examination
from aiconform.engine.doctor.holding import Held, Holding
from aiconform.engine.doctor.points import Point, State
from aiconform.reports.plain import plain, shortened
from aiconform.reports.summary import counted

WORDS: dict[State, str] = {"fine": "fine", "undecided": "cannot be decided", "in-the-way": "stands in the way"}
_LIMIT = 1_000
_NAMED = 10
# So many lines of one point are shown; more are counted.
_SHOWN = 6


def as_data(found: Examination) -> dict[str, Any]:
    """For `-o json`: the points, and what a run would hold; times in seconds."""
    return {
        "server": found.server,
        "kubernetes": found.kubernetes,
        "standard": found.standard,
        "points": [{key: value for key, value in asdict(point).items() if key != "begins"} for point in found.points],
        "holds": _holding_data(found.holding) if found.holding else None,
        "leaks": list(found.leaks),
    }


def _holding_data(held: Holding) -> dict[str, Any]:
    earlier = held.earlier
    return {
        "accelerators": [asdict(each) for each in held.accelerators],
        "nodes": list(held.nodes),
        "probes": held.probes,
        "longest_limit": held.longest,
        "all_limits": held.in_turn,
        "disturbs": [asdict(each) for each in held.disturbs],
        "earlier": earlier
        and {
            "directory": str(earlier.path),
            "started": earlier.started,
            "seconds": earlier.seconds,
            "checks": list(earlier.checks),
        },
        "passed_over": list(held.passed_over),
    }


def lines(found: Examination) -> Iterator[str]:
    """The points with their ways out, what a run would hold, and how many points are not fine."""
    wide = max(len(point.id) for point in found.points)
    for point in found.points:
        yield from _point(point, wide)
    if found.holding:
        yield ""
        yield from _holding(found.holding)
    yield ""
    yield _sum(found)


def _point(point: Point, wide: int) -> Iterator[str]:
    texts = list(point.found[:_SHOWN])
    if hidden := len(point.found) - len(texts):
        texts.append(f"and {hidden} more (-o json lists them)")
    if point.help:
        texts.append(f"way out: {point.help}")
    if not point.counts and point.state != "fine":
        texts.append("no verdict of this run depends on it")
    head = f"{WORDS[point.state]:<17}  {plain(point.id):<{wide}}  "
    for text in texts:
        yield head + shortened(text, _LIMIT)
        head = " " * len(head)


def _holding(held: Holding) -> Iterator[str]:
    if not held.probes:
        yield "A run would hold nothing: no check can run."
        return
    yield f"A run would make {counted(held.probes, 'probe')}, and hold of accelerators:"
    for each in held.accelerators:
        yield "  " + plain(_accelerator(each))
    names = ", ".join(held.nodes[:_NAMED])
    more = f" and {len(held.nodes) - _NAMED} more" if len(held.nodes) > _NAMED else ""
    if not held.accelerators:
        yield "  none: the platform offers none that it could use"
    if names:
        yield f"  accelerators of {counted(len(held.nodes), 'node')}: {plain(names)}{more}"
    longest, sum_ = duration(held.longest), duration(held.in_turn)
    yield f"Time, by the limits of the probes: {sum_} at most, one after another; the longest takes {longest} at most"
    if held.earlier:
        yield "Time, as recorded: " + plain(_earlier(held.earlier))
    else:
        yield "Time, as recorded: no earlier run on this cluster is there (--earlier DIR)"
    for why in held.passed_over:
        yield f"  not used: {shortened(why, _LIMIT)}"
    for one in held.disturbs:
        yield plain(f"{one.check} disturbs, for {duration(one.seconds)} at most: {one.what}")


def _accelerator(each: Held) -> str:
    text = f"{each.accelerator}: {each.free} of {each.total} are free now"
    if not each.largest:
        return f"{text}; none would be held"
    text += f"; at most {each.at_once} would be held at once, {each.largest} by one probe"
    text += f"; {each.device_seconds / 3600:.2f} device hours by the limits"
    return text if each.recorded is None else f"{text}, {each.recorded / 3600:.2f} as recorded"


def _earlier(earlier: Earlier) -> str:
    checks = counted(len(earlier.checks), "check")
    return f"{duration(earlier.seconds)} for {checks} of these, in the run of {earlier.started} ({earlier.path})"


def duration(seconds: float) -> str:
    """In words, with two digits or a few."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _sum(found: Examination) -> str:
    counts = {state: sum(point.state == state for point in found.points) for state in WORDS}
    parts = []
    if number := counts["in-the-way"]:
        parts.append(f"{counted(number, 'point')} {'stands' if number == 1 else 'stand'} in the way of a run")
    if number := counts["undecided"]:
        parts.append(f"{counted(number, 'point')} cannot be decided")
    return ("; ".join(parts) or "Nothing is seen to stand in the way of a run") + "."
