"""What dra_support asserts of the API, of what drivers publish, and of claims."""

from __future__ import annotations

from aiconform.check import Finding, assertion, holds, left_out, undecided
from aiconform.checks.dra_support.observations import PLACED, Allocation, Excess, Published, ServedApi
from aiconform.kit.pods import waits_for_devices

GROUP = "resource.k8s.io"
KINDS = ("DeviceClass", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice")
VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")


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


@assertion("devices_are_published", "A DRA driver publishes devices")
def devices_are_published(seen: Published) -> Finding:
    if seen.devices:
        said = ", ".join(f"{driver}: {count}" for driver, count in sorted(seen.devices.items()))
        return holds(True, f"devices by driver: {said}", subjects=sum(seen.devices.values()))
    why = f"incomplete pools: {'; '.join(seen.incomplete)}" if seen.incomplete else "no ResourceSlice lists any"
    named = ", ".join(seen.classes) or "none"
    return holds(False, f"no device is published (DeviceClasses: {named}); {why}", subjects=1)


@assertion(
    "selector_is_satisfied",
    "A claim with a selector is allocated as many devices as it requests, and they satisfy it",
    formerly=("A claim with a selector is allocated one device that satisfies it",),
)
def selector_is_satisfied(seen: Allocation) -> Finding:
    given = ", ".join(seen.allocated) or "nothing"
    if len(seen.allocated) != seen.asked:
        many = "one device" if seen.asked == 1 else f"{seen.asked} devices"
        return holds(False, f"asked for {many} where {seen.selector}; allocated: {given}", subjects=1)
    wrong = [
        f"{name} is {seen.given.get(name)!r}, asked for {value!r}"
        for name, value in seen.wanted.items()
        if seen.given.get(name) != value
    ]
    if wrong:
        return holds(False, f"{given} does not satisfy the claim: {'; '.join(wrong)}", subjects=1)
    return holds(True, f"for {seen.selector}: {given}", subjects=seen.asked)


@assertion("pod_starts", "The Pod that holds an allocated claim starts")
def pod_starts(seen: Allocation) -> Finding:
    if seen.started:
        return holds(True, f"the Pod runs on {seen.node} with {', '.join(seen.allocated)}", subjects=1)
    return holds(False, f"the Pod did not start on {seen.node}: {seen.problem}", subjects=1)


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
