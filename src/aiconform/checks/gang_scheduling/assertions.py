"""What gang scheduling has to show: all Pods of a gang run at the same time, or none of them starts."""

from __future__ import annotations

from aiconform.check import Finding, assertion, holds, undecided
from aiconform.checks.gang_scheduling import outcome
from aiconform.checks.gang_scheduling.observations import Contention, Room, Scarcity, Setting
from aiconform.checks.gang_scheduling.outcome import TOGETHER


def _who(seen: Setting) -> str:
    down = f" (not available: {', '.join(seen.down)})" if seen.down else ""
    return f"{seen.solution} {seen.version or seen.api}".strip() + down


@assertion(
    "gang_runs",
    "All Pods of a gang that fits run at the same time, and finish",
    formerly=("With room for it a gang runs, all its Pods at the same time, and ends",),
)
def gang_runs(seen: Room) -> Finding:
    if seen.gang is None:
        return holds(False, seen.problem, subjects=1)
    gang, most = seen.gang, outcome.most_at_once(seen.gang)
    if most < gang.size:
        said = f"; it reports: {seen.said}" if seen.said else ""
        text = f"{_who(seen)}: {most} of {gang.size} Pods ran together within {seen.patience:.0f} s{said}"
        return holds(False, text, subjects=gang.size)
    done = outcome.succeeded(gang)
    text = f"{_who(seen)}: all {gang.size} Pods ran together on {', '.join(seen.nodes)}, {len(done)} succeeded"
    return holds(len(done) >= gang.size, text, subjects=gang.size)


@assertion(
    "no_pod_starts",
    "No Pod starts of a gang that does not fit on the nodes",
    formerly=("Of a gang that the nodes have too little room for, no Pod starts",),
)
def no_pod_starts(seen: Scarcity) -> Finding:
    began = outcome.started(seen.gang, seen.released)
    where = f"{_who(seen)}: {seen.left} accelerators free for a gang of {seen.gang.size}"
    if began:
        return holds(False, f"{where}, but these Pods were scheduled: {outcome.times(began)}", subjects=seen.gang.size)
    return holds(True, f"{where}: no Pod was scheduled for {seen.window:.0f} s", subjects=seen.gang.size)


@assertion(
    "wait_is_reported",
    "The solution reports that a gang waits",
    formerly=("The solution says that such a gang waits",),
)
def wait_is_reported(seen: Scarcity) -> Finding:
    if seen.released is None:
        return undecided("the gang did not wait")
    return holds(bool(seen.said), f"{_who(seen)} reports: {seen.said or 'nothing'}", subjects=1)


@assertion(
    "waiting_gang_runs",
    "All Pods of a gang that waited run at the same time once there is room",
    formerly=("All Pods of a gang that waited run once there is room",),
)
def waiting_gang_runs(seen: Scarcity) -> Finding:
    if seen.released is None:
        return undecided("the gang did not wait for room")
    most = outcome.most_at_once(seen.gang)
    ran = f"{most} of {seen.gang.size} Pods ran together"
    text = f"{_who(seen)}: {ran} within {seen.patience:.0f} s after there was room"
    return holds(most >= seen.gang.size, text, subjects=seen.gang.size)


@assertion(
    "no_partial_hold",
    "Neither of two gangs that do not fit together holds only a part of its accelerators",
    formerly=("Of two gangs that do not fit together, neither holds a part of what it needs",),
)
def no_partial_hold(seen: Contention) -> Finding:
    if not any(outcome.started(gang) for gang in seen.gangs):
        return undecided("neither of the gangs started")
    splits = [
        f"{gang.name} held accelerators for {longest:.0f} s while incomplete ({outcome.times(outcome.started(gang))})"
        for gang in seen.gangs
        if (longest := outcome.longest_split(gang)) > TOGETHER
    ]
    where = f"{_who(seen)}, {seen.room} accelerators for two gangs of {seen.gangs[0].size}"
    return holds(not splits, f"{where}: {'; '.join(splits) or 'each had all of its accelerators or none'}", subjects=2)


@assertion(
    "both_gangs_finish",
    "Two gangs that do not fit together finish one after the other",
    formerly=("Of two gangs that do not fit together, one ends and then the other",),
)
def both_gangs_finish(seen: Contention) -> Finding:
    if any(outcome.longest_split(gang) > TOGETHER for gang in seen.gangs):
        return undecided("a gang held only a part, which ended the observation")
    ends = [outcome.finished(gang) for gang in seen.gangs]
    ends_in_words = ", ".join(
        f"{gang.name} "
        + (f"did not finish within {gang.watched:.0f} s" if end is None else f"finished after {end:.0f} s")
        for gang, end in zip(seen.gangs, ends, strict=True)
    )
    return holds(None not in ends, f"{_who(seen)}: {ends_in_words}", subjects=2)
