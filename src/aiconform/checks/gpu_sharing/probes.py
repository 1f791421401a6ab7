"""What gpu_sharing does: as many Pods as are advertised hold shares of the devices of one node, and one more asks.

Where a device plugin gives shares, nobody can choose the device: so many Pods hold shares that two of them have one
device. By DRA, a selector chooses it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from aiconform.check import Inspection, NotApplicable, NothingToLookAt, Settings, inspection, probe
from aiconform.checks.gpu_sharing.holders import NEEDED, Holder, Holders
from aiconform.checks.gpu_sharing.observations import Excess, Sharing
from aiconform.checks.gpu_sharing.options import EACH_SECONDS, GpuSharing
from aiconform.checks.gpu_sharing.places import SharedPlace, advertised, again, places
from aiconform.cluster import Object, OverQuota, quantity
from aiconform.cluster.removal import RUN_LABEL
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import CLAIM_ACCESS
from aiconform.kit.inside import sources
from aiconform.kit.pods import POD_ACCESS
from aiconform.kit.priority import WAITING_ACCESS
from aiconform.kit.starting import BLAME_SECONDS
from aiconform.kit.waiting import kept_waiting
from aiconform.platform import Platform
from aiconform.platform.accelerators.counting import holdings
from aiconform.platform.accelerators.drivers import family_of
from aiconform.platform.accelerators.offered import requested
from aiconform.platform.accelerators.shares import SharedHardware, Shares
from aiconform.platform.accelerators.ways import Ways

ALL = 1 << 20
"""Its Pods hold all shares of a place together."""
FEW = "this run starts no more Pods than --set gpu_sharing.holders=N says: use {}"
_SLACK = 60.0
# How often nodes are read again within the patience.
_LOOKS = 4


def _limit(settings: Settings) -> float:
    options = settings.of(GpuSharing)
    # Patience for shares that may come; once for the holders, once for a Pod beyond the limit that starts.
    starts = _start_seconds(settings, options.holders) + _start_seconds(settings)
    return settings.patience + starts + options.observe_seconds + BLAME_SECONDS + _SLACK


def _start_seconds(settings: Settings, pods: int = 1) -> float:
    """The longest time until so many Pods run that start at once."""
    return max(settings.patience, settings.of(GpuSharing).start_seconds) + EACH_SECONDS * (pods - 1)


@probe(
    limit=_limit,
    targets=places,
    devices=(1, ALL),
    access=(*CLAIM_ACCESS, *POD_ACCESS, *WAITING_ACCESS),
)
async def sharing(platform: Platform, scratch: Scratch, settings: Settings, target: SharedPlace) -> Sharing:
    options = settings.of(GpuSharing)
    hardware, now = await _settled(platform, scratch, settings, target.hardware)
    about = {**await _about(platform, hardware), "lost": target.lost}
    if hardware.problem:
        return Sharing(**about, not_requestable=hardware.problem)
    room = await _room(platform, hardware.node)
    each_free = [each.free(now.held, now.used) for each in hardware.shares]
    wanted = planned(hardware, each_free, min(options.holders, room))
    free = now.free(hardware)
    about |= {"free": free}
    offered = hardware.offered
    found = sources(
        family_of(offered.profile), simulated=offered.simulated, memory=options.memory, device=options.device
    )
    pods = Holders(platform, scratch, hardware, found, options, _start_seconds(settings, len(wanted)))
    scratch.tell(f"{len(wanted)} Pods ask for shares of {hardware}")
    holders = await pods.start(wanted)
    control = await pods.look(holders)
    if hardware.bound and len(holders) < free:
        full = f"node {hardware.node} has room for no more Pods"
        about["fewer"] = pods.fewer or (full if room < options.holders else FEW.format(free))
    excess = None
    if hardware.bound and all(holder.running for holder in holders):
        few = about.get("fewer", "")
        excess = Excess(not_tried=f"{free} shares were free, and {few}") if few else None
        excess = excess or await _excess(platform, scratch, settings, hardware, pods, holders[0])
    together = await pods.together(holders)
    shares = [await pods.recorded(holder, control) for holder in holders]
    return Sharing(**about, shares=tuple(shares), together=together, control=control, excess=excess)


async def _settled(
    platform: Platform, scratch: Scratch, settings: Settings, hardware: SharedHardware
) -> tuple[SharedHardware, Ways]:
    """The hardware as it is offered now; of shares that only labels speak of, after a device plugin had time to start.

    Raises Stuck if it is not offered so any more, ClusterError.
    """
    deadline = time.monotonic() + settings.patience
    while True:
        found, now = await again(platform, settings, hardware)
        if not found.problem or time.monotonic() > deadline:
            return found, now
        scratch.tell(f"{found.problem}: waiting whether one comes")
        await asyncio.sleep(settings.patience / _LOOKS)


async def _room(platform: Platform, name: str) -> int:
    """For how many Pods a node has room, beside one more than these; for two in any case, which may have to wait."""
    if not (slots := (await platform.node(name))["status"].get("allocatable", {}).get("pods")):
        return ALL
    there = len([each for each in await platform.afresh().pods() if each["spec"].get("nodeName") == name])
    return max(NEEDED, quantity.whole(slots) - there - 1)


def planned(hardware: SharedHardware, free: Iterable[int], most: int) -> list[Shares]:
    """A share for each Pod: all that are free, but no more than `most`. Raises NothingToLookAt if two cannot be had."""
    free = list(free)
    if hardware.way == "shared-claim":
        (shares,) = hardware.shares
        if free[0] < shares.entry.unit:
            raise NothingToLookAt(f"nothing to look at: of the devices of {shares.entry}, {shares.entry.occupied}")
        return [shares, shares]
    wanted = [shares for shares, count in zip(hardware.shares, free, strict=True) for _ in range(count)]
    if len(wanted) < NEEDED:
        raise NothingToLookAt(
            f"nothing to look at: of the {hardware.bound} shares of {hardware}, {len(wanted)} are free; two are needed"
        )
    return wanted[:most]


async def _about(platform: Platform, hardware: SharedHardware) -> dict[str, Any]:
    kernel = (await platform.node(hardware.node))["status"].get("nodeInfo") or {}
    return {
        # As the run lists it: partitions and cores of a device can have names of their own.
        **hardware.offered.facts,
        "node": hardware.node,
        "strategy": hardware.way,
        "said": hardware.said,
        "bound": hardware.bound,
        "physical": hardware.physical,
        "whole": hardware.whole,
        "release": kernel.get("kernelVersion", ""),
        "boot": kernel.get("bootID", ""),
    }


async def _excess(
    platform: Platform,
    scratch: Scratch,
    settings: Settings,
    hardware: SharedHardware,
    pods: Holders,
    beside: Holder,
) -> Excess:
    """One Pod more than there are shares, and what became of it. Raises ClusterError."""
    options, shares = settings.of(GpuSharing), hardware.shares[0]
    if by := await _by_other_names(platform, hardware):
        return Excess(not_tried=f"others hold the same hardware as {by}, which the scheduler counts apart")
    before = await _others(platform, scratch, hardware)
    scratch.tell(f"all {hardware.bound} shares of {hardware} are held: one more Pod asks, and must wait")
    try:
        more = await pods.one_more(shares, beside)
    except OverQuota as error:
        return Excess(not_tried=str(error))
    about: dict[str, Any] = {"asked": shares.name, "window": options.observe_seconds, "others_before": before}
    seconds = _start_seconds(settings)
    waits, became = await kept_waiting(platform.cluster, more.created, seconds=seconds, window=options.observe_seconds)
    if waits:
        return Excess(**about, waits=waits, others_after=before, bound_after=hardware.bound)
    after = await _others(platform, scratch, hardware)
    later, _ = await again(platform, settings, hardware)
    return Excess(**about, became=became, others_after=after, bound_after=later.bound)


async def _others(platform: Platform, scratch: Scratch, hardware: SharedHardware) -> int:
    """How many shares others hold now."""
    later = platform.afresh()
    own = scratch.labels[RUN_LABEL]

    def of_others(found: Iterable[Object]) -> list[Object]:
        return [each for each in found if (each["metadata"].get("labels") or {}).get(RUN_LABEL) != own]

    held, used = holdings(of_others(await later.claims())), requested(of_others(await later.pods()))
    return hardware.bound - sum(each.free(held, used) for each in hardware.shares)


async def _by_other_names(platform: Platform, hardware: SharedHardware) -> str:
    used = requested(await platform.afresh().pods()) if hardware.aliases else {}
    return ", ".join(name for name in hardware.aliases if used.get((hardware.node, name)))


@inspection
async def offered_shares(platform: Platform, settings: Settings) -> Inspection:
    try:
        chosen = await places(platform, settings)
    except (NothingToLookAt, NotApplicable) as reason:
        return Inspection(missing=(str(reason),))
    known = await advertised(platform, settings)
    found, missing, problems = list[str](), list[str](), list[str]()
    problems += dict.fromkeys(lost for place in chosen for lost in place.lost)
    for each in (place.hardware for place in chosen):
        if each.problem:
            problems.append(f"{each}: {each.problem}")
            continue
        free = known.free(each)
        limit = f"{free} of {each.bound} shares are free" if each.bound else "no limit is advertised"
        found.append(f"{each}: {limit}; {each.said}")
        try:
            planned(each, [shares.free(known.held, known.used) for shares in each.shares], ALL)
        except NothingToLookAt as reason:
            missing.append(str(reason))
    nothing = len(missing) == len(chosen)
    return Inspection(
        tuple(found), tuple(missing if nothing else ()), tuple(problems if nothing else problems + missing)
    )
