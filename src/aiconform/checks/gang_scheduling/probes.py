"""gang_scheduling: all Pods of a group start, or none.

With room for it a gang runs and ends. With too few free accelerators on the nodes (Pods of no gang hold the others; no
quota is touched) none of its Pods is placed, the solution says that it waits, and all run as soon as there is room. Of
two gangs that fit one by one and not together, neither ever holds a part, and both end.

A gang is kept to accelerators of one node, or of as few nodes as have enough: so its room can be measured out, and what
else runs on the platform is not disturbed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from aiconform.check import (
    Access,
    Finding,
    Inspection,
    NothingToLookAt,
    Observation,
    Options,
    Settings,
    Target,
    assertion,
    holds,
    inspection,
    probe,
    undecided,
)
from aiconform.check.targets import Targets
from aiconform.checks.gang_scheduling import outcome as record
from aiconform.checks.gang_scheduling import placement as room
from aiconform.checks.gang_scheduling.choice import ADAPTERS, choose, solutions
from aiconform.checks.gang_scheduling.outcome import TOGETHER, Gang
from aiconform.checks.gang_scheduling.session import Refused, Stage, prepare
from aiconform.checks.gang_scheduling.timeline import watching
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import CLAIM_ACCESS
from aiconform.kit.pods import POD_ACCESS
from aiconform.platform import Platform
from aiconform.platform.accelerators.offered import AllocationWay

ALL = 1 << 20
"""Of the place where gangs run each probe holds all that is free: fillers and gangs together."""
_SLACK = 60.0
_BIGGEST = 16
ACCESS = (
    *POD_ACCESS,
    *CLAIM_ACCESS,
    Access("resource.k8s.io", "resourceclaimtemplates", ("create", "list", "watch", "delete")),
    Access("apps", "deployments", ("list",)),
    *(access for adapter in ADAPTERS for access in adapter.access),
)


class GangOptions(Options):
    """What can be set for gang_scheduling."""

    solution: Literal["", "kueue", "volcano", "kai", "yunikorn", "coscheduling", "native"] = Field(
        "", description="The solution to use, where several are installed."
    )
    queue: str = Field(
        "",
        description="An existing queue to use: Kueue's ClusterQueue, Volcano's, KAI's or YuniKorn's queue. Without it "
        "the check makes one (Kueue, KAI) or takes the default one.",
    )
    scheduler: str = Field("", description="The schedulerName of Pods, where it is not the solution's usual one.")
    size: int = Field(3, ge=2, le=_BIGGEST, description="Pods of a gang, at most; fewer where fewer fit.")
    window: float = Field(
        30.0,
        ge=5,
        description="Seconds for which a gang that does not fit is watched: long enough for the solution and the "
        "scheduler to try it, at least 5. Solutions that admit by quota start Pods within the first seconds.",
    )


def place(number: int) -> Targets:
    """Where a probe's gangs run: on nodes of its own, if there are enough, so that no probe waits for another."""

    async def targets(platform: Platform, settings: Settings) -> Sequence[Target]:
        found, _ = choose(await solutions(platform), settings.of(GangOptions).solution)
        places = await room.places(platform, found.adapter)
        return [places[number % len(places)]]

    return targets


async def stage(platform: Platform, scratch: Scratch, settings: Settings, target: room.Place) -> Stage:
    options = settings.of(GangOptions)
    return await prepare(
        platform,
        scratch,
        target,
        solution=options.solution,
        queue=options.queue,
        scheduler=options.scheduler,
        size=options.size,
    )


@inspection
async def inspect(platform: Platform, settings: Settings) -> Inspection:
    found = await solutions(platform)
    try:
        chosen, why = choose(found, settings.of(GangOptions).solution)
    except NothingToLookAt as reason:
        return Inspection(tuple(map(str, found)), (str(reason),))
    said = [f"{each}{' - taken: ' + why if each is chosen else ''}" for each in found if not each.problem]
    missing = [f"{each.adapter.title}: {each.problem}" for each in found if each.problem]
    missing += [f"{each.adapter.title}: {name} is not available" for each in found for name in each.down]
    try:
        target, *_ = await room.places(platform, chosen.adapter)
        sizes = room.sizes(target.free, settings.of(GangOptions).size)
        said.append(f"gangs of {sizes.gang} Pods on {target}: {target.free} free")
    except NothingToLookAt as reason:
        missing.append(str(reason))
    return Inspection(tuple(said), tuple(missing))


# What is seen


class Setting(Observation):
    """The solution that was used (`chosen` says why), and the accelerators that gangs were kept to.

    down: its controllers that were not available. free: accelerators of the nodes that were free in the beginning.
    """

    solution: str
    version: str
    api: str
    chosen: str
    down: tuple[str, ...]
    way: AllocationWay
    resource: str
    simulated: bool
    nodes: tuple[str, ...]
    free: int


class Room(Setting):
    """A gang with room for it; `patience` seconds were given for its start. `problem`: it could not be submitted."""

    patience: float
    problem: str = ""
    gang: Gang | None = None
    said: str = ""


class Scarcity(Setting):
    """A gang that was submitted when `left` accelerators were free, too few for it, and watched for `window` seconds.

    said: what the solution said of it then. released: when more room was made (seconds after it was submitted), None if
    a Pod of it had been placed before that.
    """

    patience: float
    left: int
    window: float
    gang: Gang
    said: str
    released: float | None


class Contention(Setting):
    """Two gangs that were submitted at the same time with room for one of them.

    Each had `patience` seconds to start, and its work takes `work`. Without the end of both, watching ended when one
    had held a part for too long, or when that time was over.
    """

    patience: float
    work: float
    room: int
    gangs: tuple[Gang, Gang]


# Probes


def _held(*gangs: Gang) -> int:
    return sum(member.left is None for gang in gangs for member in record.started(gang))


@probe(limit=room.WORK + _SLACK, targets=place(2), devices=(2, ALL), access=ACCESS)
async def fitting(platform: Platform, scratch: Scratch, settings: Settings, target: room.Place) -> Room:
    at = await stage(platform, scratch, settings, target)
    order = at.order("gang")
    try:
        await at.set_up()
        async with watching(platform.cluster, await scratch.namespace(), scratch.selector) as timeline:
            timeline.begin()
            await at.submit(order)
            scratch.tell(f"a gang of {order.size} with room for it")

            def gang() -> Gang:
                return timeline.gang(order.name, order.size)

            whole = await timeline.until(lambda: record.most_at_once(gang()) >= order.size, seconds=settings.patience)
            if whole:
                await timeline.until(lambda: record.finished(gang()) is not None, seconds=at.sizes.work + _SLACK / 2)
                said = ""
            else:
                await at.insist_on_room(_held(gang()))
                said = await at.said(order, timeline)
            return Room(**at.about(), patience=settings.patience, gang=gang(), said=said)
    except Refused as refused:
        return Room(**at.about(), patience=settings.patience, problem=str(refused))


def _scarce_seconds(settings: Settings) -> float:
    return settings.patience + settings.of(GangOptions).window + _SLACK


@probe(limit=_scarce_seconds, targets=place(1), devices=(2, ALL), access=ACCESS)
async def scarcity(platform: Platform, scratch: Scratch, settings: Settings, target: room.Place) -> Scarcity:
    at = await stage(platform, scratch, settings, target)
    order, window = at.order("gang"), settings.of(GangOptions).window
    left = order.size - 1
    await at.set_up()
    fillers = await at.fill(target.free - left, settings.patience)
    async with watching(platform.cluster, await scratch.namespace(), scratch.selector) as timeline:
        timeline.begin()
        await at.submit(order)
        scratch.tell(f"a gang of {order.size} with room for {left}: watching for {window:.0f} s that none starts")

        def gang() -> Gang:
            return timeline.gang(order.name, order.size)

        began = await timeline.until(lambda: bool(record.started(gang())), seconds=window)
        said, released = await at.said(order, timeline), None
        if not began:
            released = timeline.now
            scratch.tell("making room for the gang")
            for filler in fillers:
                await platform.cluster.delete(filler)
            if not await timeline.until(lambda: record.most_at_once(gang()) >= order.size, seconds=settings.patience):
                await at.insist_on_room(_held(gang()))
        return Scarcity(
            **at.about(),
            patience=settings.patience,
            left=left,
            window=window,
            gang=gang(),
            said=said,
            released=released,
        )


def _contest_seconds(settings: Settings) -> float:
    # Two runs, each after a wait of its own; and the fillers before them.
    return 2 * (settings.patience + room.Sizes(settings.of(GangOptions).size, 0).work) + _SLACK


@probe(limit=_contest_seconds, targets=place(0), devices=(2, ALL), access=ACCESS)
async def contention(platform: Platform, scratch: Scratch, settings: Settings, target: room.Place) -> Contention:
    at = await stage(platform, scratch, settings, target)
    orders = (at.order("one"), at.order("two"))
    await at.set_up()
    if extra := target.free - at.sizes.room:
        await at.fill(extra, settings.patience)
    async with watching(platform.cluster, await scratch.namespace(), scratch.selector) as timeline:
        timeline.begin()
        await at.submit(*orders)
        scratch.tell(f"two gangs of {at.sizes.gang} with room for {at.sizes.room}")

        def gangs() -> tuple[Gang, Gang]:
            one, two = (timeline.gang(order.name, order.size) for order in orders)
            return one, two

        def ended() -> int:
            return sum(record.finished(gang) is not None for gang in gangs())

        def split() -> bool:
            return any(record.longest_split(gang) > TOGETHER for gang in gangs())

        # Each in its turn: a start, its work, its end.
        seconds = settings.patience + at.sizes.work
        if not (
            await timeline.until(lambda: ended() > 0 or split(), seconds=seconds)
            and await timeline.until(lambda: ended() > 1 or split(), seconds=seconds)
        ):
            await at.insist_on_room(_held(*gangs()))
        return Contention(
            **at.about(),
            patience=settings.patience,
            work=at.sizes.work,
            room=at.sizes.room,
            gangs=gangs(),
        )


# What it means


def _who(seen: Setting) -> str:
    down = f" (not available: {', '.join(seen.down)})" if seen.down else ""
    return f"{seen.solution} {seen.version or seen.api}".strip() + down


@assertion("gang_runs", "With room for it a gang runs, all its Pods at the same time, and ends")
def gang_runs(seen: Room) -> Finding:
    if seen.gang is None:
        return holds(False, seen.problem, subjects=1)
    gang, most = seen.gang, record.most_at_once(seen.gang)
    if most < gang.size:
        said = f"; it said: {seen.said}" if seen.said else ""
        text = f"{_who(seen)}: {most} of {gang.size} Pods ran together within {seen.patience:.0f} s{said}"
        return holds(False, text, subjects=gang.size)
    done = record.succeeded(gang)
    text = f"{_who(seen)}: all {gang.size} Pods ran together on {', '.join(seen.nodes)}, {len(done)} ended well"
    return holds(len(done) >= gang.size, text, subjects=gang.size)


@assertion("no_pod_starts", "Of a gang that the nodes have too little room for, no Pod starts")
def no_pod_starts(seen: Scarcity) -> Finding:
    began = record.started(seen.gang, seen.released)
    where = f"{_who(seen)}: {seen.left} accelerators free for a gang of {seen.gang.size}"
    if began:
        return holds(False, f"{where}, and placed were {record.times(began)}", subjects=seen.gang.size)
    return holds(True, f"{where}: no Pod was placed for {seen.window:.0f} s", subjects=seen.gang.size)


@assertion("wait_is_reported", "The solution says that such a gang waits")
def wait_is_reported(seen: Scarcity) -> Finding:
    if seen.released is None:
        return undecided("the gang did not wait")
    return holds(bool(seen.said), f"{_who(seen)} says: {seen.said or 'nothing'}", subjects=1)


@assertion("waiting_gang_runs", "All Pods of a gang that waited run once there is room")
def waiting_gang_runs(seen: Scarcity) -> Finding:
    if seen.released is None:
        return undecided("the gang did not wait for room")
    most = record.most_at_once(seen.gang)
    ran = f"{most} of {seen.gang.size} Pods ran together"
    text = f"{_who(seen)}: {ran} within {seen.patience:.0f} s after there was room"
    return holds(most >= seen.gang.size, text, subjects=seen.gang.size)


@assertion("no_partial_hold", "Of two gangs that do not fit together, neither holds a part of what it needs")
def no_partial_hold(seen: Contention) -> Finding:
    if not any(record.started(gang) for gang in seen.gangs):
        return undecided("neither of the gangs started")
    splits = [
        f"{gang.name} held accelerators for {longest:.0f} s without being whole ({record.times(record.started(gang))})"
        for gang in seen.gangs
        if (longest := record.longest_split(gang)) > TOGETHER
    ]
    where = f"{_who(seen)}, {seen.room} accelerators for two gangs of {seen.gangs[0].size}"
    return holds(not splits, f"{where}: {'; '.join(splits) or 'each was whole or not there'}", subjects=2)


@assertion("both_gangs_finish", "Of two gangs that do not fit together, one ends and then the other")
def both_gangs_finish(seen: Contention) -> Finding:
    if any(record.longest_split(gang) > TOGETHER for gang in seen.gangs):
        return undecided("the gangs held parts, and were watched no longer")
    ends = [record.finished(gang) for gang in seen.gangs]
    told = ", ".join(
        f"{gang.name} " + (f"did not end within {gang.watched:.0f} s" if end is None else f"ended after {end:.0f} s")
        for gang, end in zip(seen.gangs, ends, strict=True)
    )
    return holds(None not in ends, f"{_who(seen)}: {told}", subjects=2)
