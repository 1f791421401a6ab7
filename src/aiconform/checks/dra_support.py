"""dra_support: Pods get devices through Dynamic Resource Allocation, and never more than exist.

The API group is served with its four kinds. A driver publishes devices. A claim with a CEL selector is allocated a
device that satisfies it, and the Pod that holds the claim starts. A claim for more devices than a node has stays
unallocated.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from aiconform.check import (
    Finding,
    NothingToLookAt,
    Observation,
    Settings,
    assertion,
    collect,
    holds,
    left_out,
    probe,
    undecided,
)
from aiconform.check import accelerators as any_accelerators
from aiconform.cluster import Object, TimedOut, conditions, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import CLAIM_ACCESS, CLAIM_DEVICES_MAX, request_devices
from aiconform.kit.pods import POD_ACCESS, STAY, container, pod, waits_for_devices
from aiconform.kit.starting import BLAME_SECONDS, holder_started
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.accelerators.devices import Attribute, allocated_names, results
from aiconform.platform.accelerators.resource_slices import DevicePools
from aiconform.platform.accelerators.selecting import DeviceClass, selector_for

GROUP = "resource.k8s.io"
KINDS = ("DeviceClass", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice")
VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")
# How long a claim that cannot be satisfied is watched after the scheduler's first decision.
EXCESS_WINDOW = 2.0
PLACED = "Scheduled"


class ServedApi(Observation):
    """What the API server serves of resource.k8s.io: version -> kind -> verbs."""

    kubernetes: str
    versions: dict[str, dict[str, list[str]]]


@probe(limit=30)
async def api(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> ServedApi:
    served = (await platform.groups()).get(GROUP, ())
    versions = {}
    for version in served:
        kinds = await platform.cluster.resources(f"{GROUP}/{version}")
        versions[version] = {kind: sorted(entry.verbs) for kind, entry in sorted(kinds.items())}
    return ServedApi(kubernetes=await platform.version(), versions=versions)


@assertion(
    "api_is_served",
    "The DRA API is served with its four kinds and all their verbs",
    serves=("api_is_served", "verbs_are_complete"),
)
def api_is_served(seen: ServedApi) -> Finding:
    minor = int(seen.kubernetes.split(".")[1])
    # v1 came with Kubernetes 1.34; 1.33 has beta versions only.
    wanted = ["v1"] if minor >= 34 else ["v1beta2", "v1beta1"]
    version = next((version for version in wanted if version in seen.versions), None)
    if version is None:
        offered = ", ".join(seen.versions) or "nothing"
        return holds(False, f"{GROUP}/{wanted[0]} is not served; served of the group: {offered}", subjects=1)
    missing = [f"{verb} {kind}" for kind in KINDS for verb in VERBS if verb not in seen.versions[version].get(kind, [])]
    said = (
        f"{GROUP}/{version} lacks {', '.join(missing)}" if missing else f"{GROUP}/{version} serves {', '.join(KINDS)}"
    )
    return holds(not missing, said, subjects=len(KINDS))


class Published(Observation):
    """How many accelerators each driver publishes, pools that are not complete, and the names of DeviceClasses.

    others: drivers whose devices are not known to be accelerators; in runs made before it was recorded, `devices` has
    them, too.
    """

    devices: dict[str, int]
    incomplete: list[str]
    classes: list[str]
    others: tuple[str, ...] = ()


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


@assertion("devices_are_published", "A DRA driver publishes devices")
def devices_are_published(seen: Published) -> Finding:
    if seen.devices:
        said = ", ".join(f"{driver}: {count}" for driver, count in sorted(seen.devices.items()))
        return holds(True, f"devices by driver: {said}", subjects=sum(seen.devices.values()))
    why = f"incomplete pools: {'; '.join(seen.incomplete)}" if seen.incomplete else "no ResourceSlice lists any"
    named = ", ".join(seen.classes) or "none"
    return holds(False, f"no device is published (DeviceClasses: {named}); {why}", subjects=1)


class Allocation(Observation):
    """A claim with a selector, the device that was allocated to it, and the Pod that holds it.

    wanted: the attribute values that the selector requires. given: the values that the allocated device publishes once
    the Pod runs; None if the device is no longer published.
    """

    node: str
    driver: str
    simulated: bool
    selector: str
    wanted: dict[str, Attribute]
    allocated: list[str]
    given: dict[str, Attribute | None]
    started: bool
    problem: str


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
    if not target.devices:
        raise NothingToLookAt(f"nothing to look at: every device of {target} is in use")
    # Schedulers allocate the first device that fits, so the last one is the most likely to stay free.
    device = target.devices[-1]
    selector, wanted = selector_for(device, target.devices)
    made, created = await claiming_pod(platform, scratch, target, selector=selector)
    running, problem = await holder_started(platform, scratch, created, seconds=settings.patience)
    metadata = made["metadata"]
    found = await platform.cluster.get(made["apiVersion"], made["kind"], metadata["name"], metadata["namespace"])
    given = results(found)
    # The attributes that the driver publishes after the allocation.
    pools = DevicePools()
    async for item in platform.cluster.list(made["apiVersion"], "ResourceSlice"):
        pools.add(item)
    now = {device.id: device for device in pools.result()[0]}
    chosen = [now.get((result["driver"], result["pool"], result["device"])) for result in given]
    return Allocation(
        node=target.node,
        driver=target.name,
        simulated=target.simulated,
        selector=selector,
        wanted=wanted,
        allocated=allocated_names(found),
        given={name: entry.attributes.get(name) if entry else None for entry in chosen for name in wanted},
        started=running is not None,
        problem=problem,
    )


@assertion("selector_is_satisfied", "A claim with a selector is allocated one device that satisfies it")
def selector_is_satisfied(seen: Allocation) -> Finding:
    if len(seen.allocated) != 1:
        got = ", ".join(seen.allocated) or "nothing"
        return holds(False, f"asked for one device where {seen.selector}; allocated: {got}", subjects=1)
    wrong = [
        f"{name} is {seen.given.get(name)!r}, asked for {value!r}"
        for name, value in seen.wanted.items()
        if seen.given.get(name) != value
    ]
    reason = f"{seen.allocated[0]} does not satisfy the claim: {'; '.join(wrong)}"
    return holds(not wrong, reason if wrong else f"{seen.allocated[0]} satisfies {seen.selector}", subjects=1)


@assertion("pod_starts", "The Pod that holds an allocated claim starts")
def pod_starts(seen: Allocation) -> Finding:
    if seen.started:
        return holds(True, f"the Pod runs on {seen.node} with {', '.join(seen.allocated)}", subjects=1)
    return holds(False, f"the Pod did not start on {seen.node}: {seen.problem}", subjects=1)


class Excess(Observation):
    """A claim for one device more than the node has, watched for `window` seconds after the first decision.

    not_possible: why there can be no such claim; then none was made.
    """

    node: str
    driver: str
    published: int
    asked: int
    window: float
    scheduler: str
    allocated: list[str]
    not_possible: str = ""


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


@assertion("excess_claim_stays_unallocated", "A claim for more devices than a node has stays unallocated")
def excess_claim_stays_unallocated(seen: Excess) -> Finding:
    if seen.not_possible:
        return left_out(f"{seen.not_possible}: it is not possible to request one more")
    asked = f"asked for {seen.asked} where {seen.node} publishes {seen.published}"
    if seen.allocated:
        return holds(False, f"{asked}; allocated: {', '.join(seen.allocated)}", subjects=1)
    if seen.scheduler == PLACED:
        return undecided(f"{asked}; the scheduler placed the Pod, but the claim shows no allocation")
    if not waits_for_devices(seen.scheduler, seen.driver):
        return undecided(f"{asked}, which the scheduler did not come to: {seen.scheduler}")
    return holds(True, f"{asked}; unallocated for {seen.window:.0f} s; scheduler: {seen.scheduler}", subjects=1)


CHECK = collect("dra_support", __name__)
