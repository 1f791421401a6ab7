"""What dra_support does: it reads what is served and published, and makes claims that can and cannot be satisfied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from aiconform.check import NothingToLookAt, Settings, probe
from aiconform.check import accelerators as any_accelerators
from aiconform.checks.dra_support.observations import PLACED, Allocation, Excess, Published, ServedApi
from aiconform.cluster import Cluster, Object, TimedOut, conditions, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import CLAIM_ACCESS, CLAIM_DEVICES_MAX, allocated_claim, request_devices
from aiconform.kit.pods import POD_ACCESS, STAY, container, pod
from aiconform.kit.starting import BLAME_SECONDS, holder_started
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.accelerators.devices import Attribute, Device, allocated_names, results
from aiconform.platform.accelerators.resource_slices import DevicePools
from aiconform.platform.accelerators.selecting import DeviceClass, selector_for
from aiconform.platform.inventory import RESOURCE_API

# How long a claim that cannot be satisfied is watched after the scheduler's first decision.
EXCESS_WINDOW = 2.0


@probe(limit=30)
async def api(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> ServedApi:
    served = (await platform.groups()).get(RESOURCE_API, ())
    versions = {}
    for version in served:
        kinds = await platform.cluster.resources(f"{RESOURCE_API}/{version}")
        versions[version] = {kind: sorted(entry.verbs) for kind, entry in sorted(kinds.items())}
    return ServedApi(kubernetes=await platform.version(), versions=versions)


@probe(limit=30, access=CLAIM_ACCESS)
async def publishing(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> Published:
    devices, incomplete = await platform.devices()
    profiles = platform.said.profiles
    counts = Counter(device.driver for device in devices)
    accelerators = {driver: count for driver, count in counts.items() if profiles.by_driver(driver)}
    others = tuple(sorted(counts.keys() - accelerators.keys()))
    missing = [f"{pool.driver}/{pool.name}: {pool.problem}" for pool in incomplete if profiles.by_driver(pool.driver)]
    classes = [
        device_class.name
        for device_class in map(DeviceClass, await platform.device_classes())
        if any(map(profiles.by_driver, device_class.drivers))
    ]
    if not accelerators and not missing and not classes:
        told = [f"{driver} is not known to be a driver of accelerators (--accelerator {driver})" for driver in others]
        raise NothingToLookAt(
            "nothing to look at: there is no ResourceSlice and no DeviceClass of an accelerator's DRA driver"
            + (f"; {'; '.join(told)}" if told else "")
        )
    return Published(devices=accelerators, incomplete=missing, classes=sorted(classes), others=others)


async def by_dra(platform: Platform, settings: Settings) -> list[NodeAccelerators]:
    """The targets that are offered by DRA. Raises NothingToLookAt."""
    found = [target for target in await any_accelerators(platform, settings) if target.way == "dra"]
    if not found:
        raise NothingToLookAt("nothing to look at: the platform offers no usable accelerator by DRA")
    return found


async def claiming_pod(
    platform: Platform,
    scratch: Scratch,
    target: NodeAccelerators,
    *,
    selector: str = "",
    count: int = 1,
    excess: int = 0,
) -> tuple[Object, Object]:
    """(ResourceClaim, Pod): a Pod on the target's node with one container that holds the claim."""
    request = await request_devices(platform, scratch, target, count=count, selector=selector, excess=excess)
    if request.claim is None:
        raise NothingToLookAt(f"nothing to look at: {target} is not offered by DRA")
    holder = container("holder", platform.images["shell"], STAY, resources=request.resources)
    node = await platform.node(target.node)
    return request.claim, await scratch.create(pod(scratch.name("pod"), node, [holder], **request.pod_spec))


@probe(limit=60 + BLAME_SECONDS, targets=by_dra, devices=(1, 1), access=(*CLAIM_ACCESS, *POD_ACCESS))
async def allocation(platform: Platform, scratch: Scratch, settings: Settings, target: NodeAccelerators) -> Allocation:
    if not target.devices or target.room < 1:
        raise NothingToLookAt(f"nothing to look at: of the devices of {target}, {target.occupied}")
    if target.unit > CLAIM_DEVICES_MAX:
        raise NothingToLookAt(
            f"nothing to look at: a Pod must ask for {target.unit} devices of {target} at once, and a claim can "
            f"request {CLAIM_DEVICES_MAX} at most"
        )
    # Schedulers allocate the first devices that fit, so the last ones are the most likely to stay free.
    selector, wanted = selector_for(target.devices[-target.unit :], target.devices)
    made, created = await claiming_pod(platform, scratch, target, selector=selector)
    running, problem = await holder_started(platform, scratch, created, seconds=settings.patience)
    found = await allocated_claim(platform.cluster, made, running)
    given = results(found)
    chosen = await published_now(platform.cluster, made["apiVersion"], target.node, given)
    return Allocation(
        node=target.node,
        driver=target.name,
        simulated=target.simulated,
        selector=selector,
        wanted=wanted,
        allocated=allocated_names(found),
        given=_given(chosen, wanted),
        started=running is not None,
        problem=problem,
        asked=target.unit,
    )


async def published_now(cluster: Cluster, version: str, node: str, given: Sequence[Object]) -> list[Device | None]:
    """These results of an allocation as they are published now, after it."""
    asked = [(result["driver"], result["pool"], result["device"]) for result in given]
    found: dict[tuple[str, str, str], Device] = {}
    for driver in sorted({driver for driver, _, _ in asked}):
        # Most devices are in slices of their node, and a large platform has thousands of slices. Others can be reached
        # from several nodes.
        for fields in (f"spec.driver={driver},spec.nodeName={node}", f"spec.driver={driver}"):
            pools = DevicePools()
            async for item in cluster.list(version, "ResourceSlice", fields=fields):
                pools.add(item)
            found |= {device.id: device for device in pools.result()[0]}
            if all(each in found for each in asked if each[0] == driver):
                break
    return [found.get(each) for each in asked]


def _given(chosen: Sequence[Device | None], wanted: Mapping[str, Attribute]) -> dict[str, Attribute | None]:
    """The values of these attributes, as in Allocation; empty if no device was chosen."""
    if not chosen:
        return {}
    values = {name: [each.attributes.get(name) if each else None for each in chosen] for name in wanted}
    return {name: next((each for each in values[name] if each != value), value) for name, value in wanted.items()}


@probe(limit=60, targets=by_dra, access=(*CLAIM_ACCESS, *POD_ACCESS))
async def excess(platform: Platform, scratch: Scratch, settings: Settings, target: NodeAccelerators) -> Excess:
    published = target.published or target.total
    about: dict[str, Any] = {
        "node": target.node,
        "driver": target.name,
        "published": published,
        "asked": published + 1,
        "window": EXCESS_WINDOW,
    }
    not_possible = ""
    if published + 1 > CLAIM_DEVICES_MAX:
        not_possible = f"a claim can request {CLAIM_DEVICES_MAX} devices at most, and {target.node} has {published}"
    elif any(device.shareable for device in target.devices):
        not_possible = f"several claims can hold a device of {target.name}, so more can be had than {target.node} has"
    elif any(each.driver == target.name and each.node is None for each in (await platform.devices())[0]):
        not_possible = f"several nodes can use devices of {target.name}, so more can be had than {target.node} has"
    if not_possible:
        return Excess(**about, scheduler="", allocated=[], not_possible=not_possible)
    made, created = await claiming_pod(platform, scratch, target, count=0, excess=published + 1)
    scheduler = await wait.until(
        platform.cluster, created, _scheduled, seconds=settings.patience, what="the scheduler to decide"
    )
    try:
        allocated = await wait.until(platform.cluster, made, _allocated, seconds=EXCESS_WINDOW, what="an allocation")
    except TimedOut:
        allocated = []
    return Excess(**about, scheduler=scheduler, allocated=allocated)


def _scheduled(pod_seen: Object) -> str | None:
    scheduled = conditions.find(pod_seen, "PodScheduled")
    if not scheduled:
        return None
    return PLACED if scheduled.is_true else scheduled.words or "Unschedulable"


def _allocated(claim_seen: Object) -> list[str] | None:
    return allocated_names(claim_seen) or None
