"""What virtualized_accelerator does on one node.

Two Pods hold virtual devices of one physical device, and a third one a physical fraction or a complete device, all by
one manifest. One more Pod asks for what the first one has, and gets it when the first one is deleted. Where nothing
published says that devices are virtual, a Pod looks, because the hypervisor can give a virtual device to a node.
"""

from __future__ import annotations

from aiconform.check import Inspection, NothingToLookAt, Settings, inspection, probe
from aiconform.checks.virtualized_accelerator.holders import Holder, Holders, removed
from aiconform.checks.virtualized_accelerator.looking import told_inside
from aiconform.checks.virtualized_accelerator.observations import Interface, Release, Second, Virtual
from aiconform.checks.virtualized_accelerator.options import VirtualizedAccelerator
from aiconform.checks.virtualized_accelerator.places import VirtualPlace, again, offers, places
from aiconform.cluster import Object, OverQuota, TimedOut, wait
from aiconform.cluster.removal import RUN_LABEL
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import CLAIM_ACCESS, given
from aiconform.kit.inside import sources
from aiconform.kit.pods import POD_ACCESS, lost_node
from aiconform.kit.priority import WAITING_ACCESS
from aiconform.kit.starting import BLAME_SECONDS, holder_started
from aiconform.kit.together import gather
from aiconform.kit.waiting import kept_waiting
from aiconform.platform import Platform
from aiconform.platform.accelerators.devices import allocated_names
from aiconform.platform.accelerators.drivers import family_of
from aiconform.platform.accelerators.offered import requested
from aiconform.platform.accelerators.selecting import DeviceClass
from aiconform.platform.accelerators.virtual_devices import Asked, VirtualDevices, common_class

_SLACK = 60.0
_ALL = 512
"""Its Pods hold all virtual devices of a kind on a node, so that nobody else can have one that is given twice."""


def _seconds(settings: Settings) -> float:
    return max(settings.patience, settings.of(VirtualizedAccelerator).start_seconds)


def _limit(settings: Settings) -> float:
    options = settings.of(VirtualizedAccelerator)
    # Once for the first Pods, once for those beside one that was looked into, and for the one that waits.
    return 4 * _seconds(settings) + options.observe_seconds + options.release_seconds + 3 * BLAME_SECONDS + _SLACK


@probe(
    limit=_limit,
    targets=places,
    devices=(1, _ALL),
    security="baseline",
    access=(*CLAIM_ACCESS, *POD_ACCESS, *WAITING_ACCESS),
)
async def virtual_devices(platform: Platform, scratch: Scratch, settings: Settings, target: VirtualPlace) -> Virtual:
    devices = await again(platform, settings, target.devices)
    if not devices.asked:
        raise NothingToLookAt(f"nothing to look at: of the devices of {devices}, all are in use")
    # How many are left to hold follows from this; others may give some back while Pods start.
    others_before = await _others(platform, scratch, devices)
    options = settings.of(VirtualizedAccelerator)
    entry, other = devices.entry, devices.other
    alike = other is not None and other.entry.way == entry.way
    classes = [DeviceClass(item) for item in await platform.device_classes()] if alike and entry.way == "dra" else []
    common = common_class(classes, devices.asked[0], other) if other and classes else ""
    family = family_of(entry.profile)
    found = sources(family, simulated=entry.simulated, memory=options.memory, device=options.device, virtual=True)
    pods = Holders(platform, scratch, found, options, common, _seconds(settings))
    first = await pods.made(devices.asked[0], "virtual")
    said = devices.said or await told_inside(pods, first, target)
    second = await pods.made(devices.asked[1], "second") if len(devices.asked) > 1 else None
    not_beside = _not_beside(devices, common)
    beside = await pods.made(other, "physical") if other and not not_beside else None
    rest = _rest(devices)
    filler = await pods.made(devices.asked[0], "rest", count=rest) if rest else None
    holders = [each for each in (first, second, beside) if each]
    scratch.tell(f"{len(holders)} Pods ask for devices of {devices}, and of what is compared with them")
    await pods.started([*holders, *([filler] if filler else [])])
    more, why = await _one_more(platform, pods, devices, first, filler)
    control, waited = await gather(
        pods.looked(holders), _waited(platform, scratch, settings, devices, more, others_before)
    )
    recorded = {each.name: await pods.recorded(each, control) for each in holders}
    pair = [recorded[each.name] for each in (first, second) if each]
    excess = waited or Second(not_tried=why)
    released = await _released(platform, scratch, settings, devices, pods, first, more, excess)
    node = (await platform.node(devices.node))["status"].get("nodeInfo") or {}
    return Virtual(
        **entry.facts,
        said=said,
        total=devices.total,
        parent=devices.parent,
        elsewhere=tuple(name for each in pair for name in each.allocated if not devices.has(name)),
        shared=devices.shared,
        whole=devices.whole,
        interface=_interface(devices.asked[0], "virtual device"),
        other=_interface(other, other.what) if other else None,
        common_class=common,
        first=recorded[first.name],
        second=recorded[second.name] if second else None,
        beside=recorded[beside.name] if beside else None,
        not_beside=not_beside,
        control=control,
        release=node.get("kernelVersion", ""),
        boot=node.get("bootID", ""),
        unprivileged=pods.unprivileged,
        excess=excess,
        released=released,
    )


def _not_beside(devices: VirtualDevices, common: str) -> str:
    """Why no Pod asks for what is compared by the same manifest; empty if one does."""
    own, other = devices.asked[0], devices.other
    if other is None:
        return ""
    if other.entry.way != devices.entry.way:
        return "it is asked for by another interface"
    if (
        devices.entry.way == "dra"
        and not common
        and (own.classes or other.classes or own.entry.name != other.entry.name)
    ):
        return "no DeviceClass selects both"
    return "" if devices.other_free else "none is free"


def _rest(devices: VirtualDevices) -> int:
    """How many more devices have to be held, so that none is left for one more Pod that asks as the first does."""
    if devices.shared:
        return 0
    alike = [each.shares.selector == devices.asked[0].shares.selector for each in devices.asked]
    return sum(alike[2:])


async def _one_more(
    platform: Platform, pods: Holders, devices: VirtualDevices, first: Holder, filler: Holder | None
) -> tuple[Holder | None, str]:
    """(a Pod that asks for what the first one has, "") or (None, why there is none). Raises ClusterError."""
    if devices.shared:
        return None, f"several Pods may hold one: {devices.shared}"
    if first.running is None:
        return None, "the first Pod does not run"
    if filler and filler.running is None:
        return None, f"the others are not held: {filler.problem or filler.late or filler.waits}"
    try:
        return await pods.one_more(devices.asked[0], first), ""
    except OverQuota as error:
        return None, str(error)


async def _waited(
    platform: Platform, scratch: Scratch, settings: Settings, devices: VirtualDevices, more: Holder | None, before: int
) -> Second | None:
    """What became of one more Pod. before: how many others held when the devices were read. Raises ClusterError."""
    if more is None:
        return None
    window = settings.of(VirtualizedAccelerator).observe_seconds
    waits, became = await kept_waiting(platform.cluster, more.created, seconds=_seconds(settings), window=window)
    if waits and (lost := await lost_node(platform.cluster, devices.node, platform.said.tolerated)):
        return Second(not_tried=f"it waits, and meanwhile {lost}")
    allocated, _ = ((), ()) if waits else await given(platform, more.request)
    after = before if waits else await _others(platform, scratch, devices)
    return Second(
        asked=more.asked,
        window=window,
        waits=waits,
        became=became,
        allocated=allocated,
        others_before=before,
        others_after=after,
    )


async def _others(platform: Platform, scratch: Scratch, devices: VirtualDevices) -> int:
    """How many of such extended resources others hold now; claims say themselves what they have."""
    if devices.entry.way == "dra":
        return 0
    own = scratch.labels[RUN_LABEL]
    there = platform.cluster.list("v1", "Pod", fields=f"spec.nodeName={devices.node}")
    pods = [each async for each in there if each["status"].get("phase") not in ("Succeeded", "Failed")]
    held = requested(each for each in pods if (each["metadata"].get("labels") or {}).get(RUN_LABEL) != own)
    return held.get((devices.node, devices.entry.name), 0)


async def _released(
    platform: Platform,
    scratch: Scratch,
    settings: Settings,
    devices: VirtualDevices,
    pods: Holders,
    first: Holder,
    more: Holder | None,
    excess: Second,
) -> Release:
    """Delete the first Pod, and see that the one that waited gets its device. Raises ClusterError."""
    if more is None or not excess.waits:
        return Release(not_tried=excess.not_tried or "no Pod waited for the device")
    seconds = settings.of(VirtualizedAccelerator).release_seconds
    before, _ = await given(platform, first.request)
    scratch.tell(f"{first.name} ends: {more.name} must get its device")
    await removed(platform, first)
    try:
        await wait.until(platform.cluster, more.created, _placed, seconds=seconds, what="a device to be released")
    except TimedOut:
        if why := await more.waits_otherwise(platform.cluster) or await lost_node(
            platform.cluster, devices.node, platform.said.tolerated
        ):
            return Release(not_tried=f"the second Pod waits for something else: {why}")
        held = await pods.still_held(first)
        takers = ", ".join(await _takers(platform, before, first)) if not held else ""
        grown = await _others(platform, scratch, devices) > excess.others_before
        taken = bool(takers) or grown
        return Release(seconds=seconds, held=held or takers or ("more Pods of others" if grown else ""), taken=taken)
    running, problem = await holder_started(platform, scratch, more.created, seconds=_seconds(settings))
    return Release(seconds=seconds, placed=True, running=running is not None, problem=problem)


def _placed(seen: Object) -> Object | None:
    return seen if seen["spec"].get("nodeName") else None


async def _takers(platform: Platform, devices: tuple[str, ...], first: Holder) -> list[str]:
    """The claims of others that have one of these devices now."""
    own = {claim["metadata"]["name"] for claim in first.request.claims}
    return [
        each["metadata"]["name"]
        for each in await platform.afresh().claims()
        if each["metadata"]["name"] not in own and {*allocated_names(each)} & {*devices}
    ]


def _interface(asked: Asked, what: str) -> Interface:
    return Interface(
        what=what,
        node=asked.entry.node,
        way=asked.entry.way,
        name=asked.entry.name,
        asked=asked.shares.name,
        classes=asked.classes,
        unclear=asked.unclear,
        facts=dict(asked.facts),
    )


@inspection
async def offered_virtual_devices(platform: Platform, settings: Settings) -> Inspection:
    known = await offers(platform, settings)
    chosen = await places(platform, settings)
    found, problems = list[str](), list[str]()
    for each in (place.devices for place in chosen):
        if not each.said:
            found.append(
                f"{each}: nothing says that its devices are virtual; a run looks into a container with one (looked at "
                f"{known.looked})"
            )
            continue
        beside = f"compared with a {each.other.what}, {each.other.shares.name}" if each.other else "nothing to compare"
        found.append(f"{each}: {len(each.asked)} of {each.total} virtual devices are free; {each.said}; {beside}")
        if not each.asked:
            problems.append(f"{each}: all are in use")
    return Inspection(tuple(found), (), tuple(problems))
