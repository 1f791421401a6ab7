"""Asking for devices, by Dynamic Resource Allocation or by a device plugin: what a Pod needs to hold some."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from aiconform.check import Access
from aiconform.cluster import Cluster, ClusterError, Conflict, Object, Stuck, quantity
from aiconform.cluster.scratch import Scratch
from aiconform.kit.pods import meanwhile
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.accelerators.devices import allocated_names, results
from aiconform.platform.accelerators.offered import AllocationWay
from aiconform.platform.accelerators.shares import hardware_of

CLAIM_ACCESS = (
    Access("resource.k8s.io", "resourceclaims", ("create", "get", "list", "watch", "delete")),
    Access("resource.k8s.io", "resourceslices", ("list",), everywhere=True),
    Access("resource.k8s.io", "deviceclasses", ("create", "list", "delete", "watch"), everywhere=True),
    Access("resource.k8s.io", "devicetaintrules", ("list",), everywhere=True, optional=True),
)
CLAIM_DEVICES_MAX = 32
"""The most devices that the API lets one claim have (AllocationResultsMaxSize)."""
# The name of the claim in the Pod, and of the request in the claim.
_DEVICE = "device"


@dataclass(frozen=True)
class DeviceRequest:
    """How a Pod asks for devices.

    resources: `resources` of the one container that holds them. pod_spec: what the Pod's spec needs besides, such as
    the entries of `resourceClaims`. claims: the ResourceClaims that were created, several if one cannot request so many
    devices; none for claim templates and for device plugins.
    """

    resources: Object
    pod_spec: Object = field(default_factory=dict)
    claims: tuple[Object, ...] = ()

    @property
    def claim(self) -> Object | None:
        """The claim of a request that needs no more than one."""
        return self.claims[0] if self.claims else None


async def request_devices(
    platform: Platform,
    scratch: Scratch,
    target: NodeAccelerators,
    *,
    count: int = 1,
    name: str = "",
    selector: str = "",
    template: bool = False,
    excess: int = 0,
) -> DeviceRequest:
    """Create what Pods need to hold `count` units of the target's devices.

    name: of the claim, for probes that create several. selector: a CEL expression that the devices satisfy (DRA only).
    template: each Pod of a workload gets devices of its own; otherwise all Pods that name the claim share its devices.
    excess: devices to ask for beyond these.
    """
    devices = count * target.unit + excess
    if target.way == "device-plugin":
        return DeviceRequest({"limits": {target.name: str(devices)}})
    api_version = await platform.resource_api() or "resource.k8s.io/v1"
    kind = "ResourceClaimTemplate" if template else "ResourceClaim"
    source = "resourceClaimTemplateName" if template else "resourceClaimName"
    name = name or scratch.name("claim")
    made: dict[str, Object] = {}
    for position, start in enumerate(range(0, devices, CLAIM_DEVICES_MAX)):
        size = min(CLAIM_DEVICES_MAX, devices - start)
        asked = await accelerator_request(api_version, scratch, target, count=size, selector=selector)
        spec: Object = {"devices": {"requests": [asked]}}
        suffix = f"-{position + 1}" if position else ""
        made[_DEVICE + suffix] = await scratch.create(
            {
                "apiVersion": api_version,
                "kind": kind,
                "metadata": {"name": name[: 63 - len(suffix)] + suffix},
                "spec": {"metadata": {"labels": scratch.labels}, "spec": spec} if template else spec,
            }
        )
    return DeviceRequest(
        resources={"claims": [{"name": each} for each in made]},
        pod_spec={
            "resourceClaims": [{"name": each, source: claim["metadata"]["name"]} for each, claim in made.items()]
        },
        claims=() if template else tuple(made.values()),
    )


async def accelerator_request(
    api_version: str, scratch: Scratch, target: NodeAccelerators, *, count: int = 1, selector: str = ""
) -> Object:
    """One entry of a ResourceClaim's requests, for `count` of the target's devices, which DRA offers.

    selector: a CEL expression that they satisfy besides. Raises ClusterError.
    """
    device_class = target.device_class or await own_class(api_version, scratch, target.name)
    selectors = [text for text in (target.selector, selector) if text]
    return claim_request(api_version, device_class, count=count, selectors=selectors, capacity=target.capacity)


async def allocated_claim(cluster: Cluster, claim: Object, running: Object | None) -> Object:
    """A claim as it is now. running: its Pod, if it ran.

    The claim of a Pod that ends is allocated nothing any more. So an empty one says something only of a Pod that still
    runs. Raises Stuck if that does not, ClusterError.
    """
    metadata = claim["metadata"]
    seen = await cluster.get(claim["apiVersion"], claim["kind"], metadata["name"], metadata["namespace"])
    if running and not results(seen) and (why := await meanwhile(cluster, running)):
        said = f"ResourceClaim {metadata['name']} is allocated nothing any more"
        raise Stuck("; ".join([said, f"Pod {running['metadata']['name']} ran", *why]))
    return seen


async def given(
    platform: Platform, request: DeviceRequest, running: Object | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(what the claims of a Pod were allocated, what tells the physical devices of that).

    running: the Pod, if it ran. Raises Stuck if a claim cannot be read, or the Pod no longer runs, ClusterError.
    """
    if not request.claims:
        return (), ()
    known = {device.id: device for device in (await platform.devices())[0]}
    names, hardware = list[str](), list[str]()
    for claim in request.claims:
        try:
            seen = await allocated_claim(platform.cluster, claim, running)
        except Stuck:
            raise
        except ClusterError as error:
            raise Stuck(f"ResourceClaim {claim['metadata']['name']} cannot be read: {error}") from error
        names += allocated_names(seen)
        for each in results(seen):
            device = known.get((each["driver"], each["pool"], each["device"]))
            hardware.append(hardware_of(device) if device else f"{each['pool']}/{each['device']}")
    return tuple(names), tuple(dict.fromkeys(hardware))


async def untold_taints(platform: Platform, way: AllocationWay) -> str:
    """What else may keep a Pod from free devices, to be put after a reason; empty if nothing is known to."""
    untold = await platform.untold_taints() if way == "dra" else ""
    return f"; {untold}" if untold else ""


def served_by(target: NodeAccelerators, pods: Iterable[Object]) -> AllocationWay:
    """Which way really gave running Pods their devices: DRA can serve extended resources, too."""
    by_claim = any(each["status"].get("extendedResourceClaimStatus") for each in pods)
    return "dra" if target.way == "dra" or by_claim else "device-plugin"


def claim_request(
    api_version: str,
    device_class: str,
    *,
    count: int = 1,
    selectors: Sequence[str] = (),
    capacity: Iterable[tuple[str, float]] = (),
) -> Object:
    """One entry of a ResourceClaim's `spec.devices.requests`; `exactly` came with v1beta2."""
    fields: Object = {"deviceClassName": device_class, "allocationMode": "ExactCount", "count": count}
    if selectors:
        fields["selectors"] = [{"cel": {"expression": text}} for text in selectors]
    if asked := {name: quantity.text(amount) for name, amount in capacity}:
        fields["capacity"] = {"requests": asked}
    return {"name": _DEVICE, **(fields if api_version.endswith("/v1beta1") else {"exactly": fields})}


async def own_class(api_version: str, scratch: Scratch, driver: str) -> str:
    """The name of a DeviceClass of the probe's own that selects a driver's devices. Raises ClusterError."""
    # A probe can ask two drivers for devices.
    name = scratch.cluster_name(f"class-{driver}")
    if any(obj["kind"] == "DeviceClass" and obj["metadata"]["name"] == name for obj in scratch.created):
        return name
    try:
        await scratch.create(
            {
                "apiVersion": api_version,
                "kind": "DeviceClass",
                "metadata": {"name": name},
                "spec": {"selectors": [{"cel": {"expression": f'device.driver == "{driver}"'}}]},
            }
        )
    except Conflict:
        # Another request of this probe created it at the same time: no other probe uses this name.
        return name
    return name
