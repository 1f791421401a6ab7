"""Submitting gangs that fit, that do not fit, and that compete, and watching their Pods."""

from __future__ import annotations

from collections.abc import Sequence

from aiconform.check import Access, Inspection, NothingToLookAt, Settings, Target, inspection, probe
from aiconform.check.targets import Targets
from aiconform.checks.gang_scheduling import outcome, placement
from aiconform.checks.gang_scheduling.choice import ADAPTERS, choose, solutions
from aiconform.checks.gang_scheduling.observations import Contention, Room, Scarcity
from aiconform.checks.gang_scheduling.options import GangScheduling
from aiconform.checks.gang_scheduling.outcome import TOGETHER, Gang
from aiconform.checks.gang_scheduling.session import Refused, Session, prepare
from aiconform.checks.gang_scheduling.solutions.adapter import SCHEDULER_RETRIES, Order
from aiconform.checks.gang_scheduling.timeline import Timeline, watching
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import CLAIM_ACCESS
from aiconform.kit.pods import POD_ACCESS
from aiconform.kit.priority import PRIORITY_ACCESS
from aiconform.platform import Platform

ALL = 1 << 20
"""Fillers and gangs of a probe together hold all free accelerators of its place."""
_SLACK = 60.0
ACCESS = (
    *POD_ACCESS,
    *CLAIM_ACCESS,
    *PRIORITY_ACCESS,
    Access("resource.k8s.io", "resourceclaimtemplates", ("create", "list", "watch", "delete")),
    Access("apps", "deployments", ("list",), everywhere=True),
    *(access for adapter in ADAPTERS for access in adapter.access),
)


def place(number: int) -> Targets:
    """Where a probe's gangs run: on nodes of its own if there are enough, so that no probe waits for another."""

    async def targets(platform: Platform, settings: Settings) -> Sequence[Target]:
        found, _ = choose(
            await solutions(platform), settings.of(GangScheduling).solution, await placement.ways(platform)
        )
        places = await placement.places(platform, found.adapter)
        return [places[number % len(places)]]

    return targets


@inspection
async def inspect(platform: Platform, settings: Settings) -> Inspection:
    found = await solutions(platform)
    try:
        chosen, why = choose(found, settings.of(GangScheduling).solution, await placement.ways(platform))
    except NothingToLookAt as reason:
        return Inspection(tuple(map(str, found)), (str(reason),))
    shown = [f"{each}{' - taken: ' + why if each is chosen else ''}" for each in found if not each.problem]
    problems = [f"{each.adapter.title}: {each.problem}" for each in found if each.problem]
    problems += [f"{each.adapter.title}: {name} is not available" for each in found for name in each.down]
    if chosen.adapter.images and not chosen.controllers:
        problems.append(
            f"{chosen.adapter.title}: no Deployment of it was found; if its scheduler has another name than usual, "
            "give it (--set gang_scheduling.scheduler=NAME)"
        )
    missing: tuple[str, ...] = ()
    try:
        target, *_ = await placement.places(platform, chosen.adapter)
        sizes = placement.sizes(target.room, settings.of(GangScheduling).size)
        shown.append(f"gangs of {sizes.gang} Pods on {target}: {target.room} free")
    except NothingToLookAt as reason:
        missing = (str(reason),)
    return Inspection(tuple(shown), missing, tuple(problems))


# Probes


def _held(*gangs: Gang) -> int:
    return sum(member.left is None for gang in gangs for member in outcome.started(gang))


async def _why_not_whole(session: Session, timeline: Timeline, gang: Gang, order: Order, *others: Gang) -> str:
    """What the solution reports about a gang that does not run. Raises Stuck if the solution is not the reason."""
    await session.require_room(_held(gang, *others))
    await session.require_known_taints()
    await session.require_pods(gang)
    await session.require_managed(order)
    said = await session.reported(order, timeline)
    session.require_scheduler(f"{said}{timeline.reported(order.name)}")
    session.require_quota(said)
    session.require_short_devices(f"{said}; {timeline.reported(order.name)}")
    return said


@probe(limit=placement.WORK + SCHEDULER_RETRIES + _SLACK, targets=place(2), devices=(2, ALL), access=ACCESS)
async def fitting(platform: Platform, scratch: Scratch, settings: Settings, target: placement.Place) -> Room:
    session = await prepare(platform, scratch, target, settings.of(GangScheduling))
    patience = session.patience(settings)
    order = session.order("gang")
    try:
        await session.set_up()
        async with watching(platform.cluster, await scratch.namespace(), scratch.selector) as timeline:
            timeline.begin()
            await session.submit(order)
            scratch.tell(f"a gang of {order.size} with room for it")

            def gang() -> Gang:
                return timeline.gang(order.name, order.size)

            whole = await timeline.until(lambda: outcome.most_at_once(gang()) >= order.size, seconds=patience)
            if whole:
                await session.require_managed(order)
                await timeline.until(
                    lambda: outcome.finished(gang()) is not None, seconds=session.sizes.work + _SLACK / 2
                )
                if outcome.finished(gang()) is None:
                    await session.require_nodes()
                said = ""
            else:
                said = await _why_not_whole(session, timeline, gang(), order)
            return Room(**session.about(), patience=patience, gang=gang(), said=said)
    except Refused as refused:
        return Room(**session.about(), patience=patience, problem=str(refused))


def _scarce_seconds(settings: Settings) -> float:
    return settings.patience + SCHEDULER_RETRIES + settings.of(GangScheduling).observe_seconds + _SLACK


@probe(limit=_scarce_seconds, targets=place(1), devices=(2, ALL), access=ACCESS)
async def scarcity(platform: Platform, scratch: Scratch, settings: Settings, target: placement.Place) -> Scarcity:
    session = await prepare(platform, scratch, target, settings.of(GangScheduling))
    patience = session.patience(settings)
    order, window = session.order("gang"), settings.of(GangScheduling).observe_seconds
    left = order.size - 1
    await session.set_up()
    fillers = await session.fill(target.room - left, settings.patience)
    async with watching(platform.cluster, await scratch.namespace(), scratch.selector) as timeline:
        timeline.begin()
        await session.submit(order)
        scratch.tell(f"a gang of {order.size} with room for {left}: watching for {window:.0f} s that none starts")

        def gang() -> Gang:
            return timeline.gang(order.name, order.size)

        began = await timeline.until(lambda: bool(outcome.started(gang())), seconds=window)
        said, released = await session.reported(order, timeline), None
        if began:
            await session.require_managed(order)
        else:
            released = timeline.now
            scratch.tell("making room for the gang")
            for filler in fillers:
                await platform.cluster.delete(filler)
            if await timeline.until(lambda: outcome.most_at_once(gang()) >= order.size, seconds=patience):
                await session.require_managed(order)
            else:
                await _why_not_whole(session, timeline, gang(), order)
        return Scarcity(
            **session.about(),
            patience=patience,
            left=left,
            window=window,
            gang=gang(),
            said=said,
            released=released,
        )


def _contest_seconds(settings: Settings) -> float:
    # Two runs, each after a wait of its own, and the fillers before them.
    work = placement.Sizes(settings.of(GangScheduling).size, 0).work
    return 2 * (settings.patience + SCHEDULER_RETRIES + work) + _SLACK


@probe(limit=_contest_seconds, targets=place(0), devices=(2, ALL), access=ACCESS)
async def contention(platform: Platform, scratch: Scratch, settings: Settings, target: placement.Place) -> Contention:
    session = await prepare(platform, scratch, target, settings.of(GangScheduling))
    patience = session.patience(settings)
    orders = (session.order("one"), session.order("two"))
    await session.set_up()
    if extra := target.room - session.sizes.room:
        await session.fill(extra, settings.patience)
    async with watching(platform.cluster, await scratch.namespace(), scratch.selector) as timeline:
        timeline.begin()
        await session.submit(*orders)
        scratch.tell(f"two gangs of {session.sizes.gang} with room for {session.sizes.room}")

        def gangs() -> tuple[Gang, Gang]:
            one, two = (timeline.gang(order.name, order.size) for order in orders)
            return one, two

        def ended() -> int:
            return sum(outcome.finished(gang) is not None for gang in gangs())

        def split() -> bool:
            return any(outcome.longest_split(gang) > TOGETHER for gang in gangs())

        # Each in its turn: a start, its work, its end.
        seconds = patience + session.sizes.work
        first = await timeline.until(lambda: ended() > 0 or split(), seconds=seconds)
        await session.require_managed(*orders)
        if not (first and await timeline.until(lambda: ended() > 1 or split(), seconds=seconds)):
            one, two = gangs()
            await _why_not_whole(session, timeline, one, orders[0], two)
            await _why_not_whole(session, timeline, two, orders[1], one)
        return Contention(
            **session.about(),
            patience=patience,
            work=session.sizes.work,
            room=session.sizes.room,
            gangs=gangs(),
        )
