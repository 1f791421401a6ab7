"""Faults of network interfaces that Pods claim, and of what says where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiconform.lab.addons import dranet
from aiconform.lab.config import FAST_LINKS
from aiconform.lab.faults.fault import Fault, InCluster, InNetworks, assertions
from aiconform.lab.faults.policies import changing
from aiconform.lab.faults.workloads import SECONDS, until

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

_CHECK = "high_performance_networking"
_SLICES = ("resource.k8s.io/v1", "ResourceSlice")
_UNDESCRIBED, _IGNORED = "interfaces-without-attributes", "claims-are-ignored"
# Its name and its addresses say what it is called, not what it is.
_KEPT = ("dra.net/ifName", "dra.net/mac", "dra.net/ipv4", "dra.net/ipv6")


def _removing(position: int) -> str:
    """CEL for the operations that leave the device at this position its names."""
    attributes = f"object.spec.devices[{position}].attributes"
    path = f"'/spec/devices/{position}/attributes/' + jsonpatch.escapeKey(key)"
    removed = f"{attributes}.filter(key, !(key in {list(_KEPT)})).map(key, JSONPatch{{op: 'remove', path: {path}}})"
    return f"(size(object.spec.devices) > {position} ? {removed} : [])"


_WITHOUT_ATTRIBUTES = changing(
    _UNDESCRIBED,
    "resourceslices",
    " + ".join(map(_removing, range(len(FAST_LINKS)))),
    condition=f"object.spec.driver == '{dranet.DRIVER}' && has(object.spec.devices)",
    group="resource.k8s.io",
    operations=("CREATE", "UPDATE"),
)


async def _published(cluster: Cluster) -> list[Object]:
    return [each async for each in cluster.list(*_SLICES) if each["spec"]["driver"] == dranet.DRIVER]


async def _publish_again(cluster: Cluster, *, described: bool) -> None:
    """Have every slice written again; returns when all devices have attributes that describe them, or none has."""
    for each in await _published(cluster):
        note = {"metadata": {"annotations": {"aiconform.dev/written-for": _UNDESCRIBED if not described else None}}}
        await cluster.patch({"apiVersion": _SLICES[0], "kind": _SLICES[1], **each}, note)

    async def settled() -> bool:
        devices = [device for each in await _published(cluster) for device in each["spec"].get("devices") or []]
        return bool(devices) and all((len(device["attributes"]) > len(_KEPT)) is described for device in devices)

    state = "with" if described else "without"
    await until(settled, f"the interfaces' devices to be published {state} their attributes", seconds=SECONDS)


async def _undescribe(cluster: Cluster) -> None:
    await _WITHOUT_ATTRIBUTES.on(cluster)
    await _publish_again(cluster, described=False)


async def _describe(cluster: Cluster) -> None:
    await _WITHOUT_ATTRIBUTES.off(cluster)
    # The driver looks after its slices half a minute after somebody else has changed one.
    await _publish_again(cluster, described=True)


def _ignoring(node: str) -> InCluster:
    return changing(
        _IGNORED,
        "pods",
        "[JSONPatch{op: 'remove', path: '/spec/resourceClaims'}, "
        "JSONPatch{op: 'remove', path: '/spec/containers/0/resources/claims'}, "
        f"JSONPatch{{op: 'add', path: '/spec/nodeSelector', value: {{'kubernetes.io/hostname': '{node}'}}}}]",
        condition="object.metadata.name.endsWith('-with-interface') && "
        "!object.metadata.name.endsWith('-next-with-interface') && has(object.spec.resourceClaims)",
    )


async def _ignore(cluster: Cluster) -> None:
    """Send the Pod to a node without an interface, else to the last one: the check prefers the first."""
    offering = {each["spec"].get("nodeName") for each in await _published(cluster) if each["spec"].get("devices")}
    names = sorted([node["metadata"]["name"] async for node in cluster.list("v1", "Node")])
    without = [name for name in names if name not in offering]
    await _ignoring((without or names)[-1]).on(cluster)


def _fault(name: str, description: str, *breaks: str, how: InNetworks | InCluster | None = None) -> Fault:
    return Fault(name, description, assertions(_CHECK, *breaks), how or InNetworks(), needs=(dranet.NAME,))


FAULTS = (
    _fault(
        "interface-stays-on-node",
        "An interface is allocated to a Pod but stays on the node.",
        "interface_is_in_pod",
    ),
    _fault("interface-down", "A claimed interface is in the Pod but is not up.", "interface_is_up"),
    _fault(
        "interface-replaces-pod-network",
        "A Pod with a claimed interface has it in place of the Pod network's.",
        "keeps_pod_network",
    ),
    _fault(
        "interface-stays-visible",
        "The node still has a link with the address of the interface that it gave to a Pod.",
        "leaves_the_node",
    ),
    _fault(
        "interface-in-other-pod",
        "A Pod without a claim has interfaces that its node offers.",
        "other_pods_have_none",
    ),
    _fault("interface-reaches-nobody", "Nothing that is sent to a claimed interface arrives.", "data_arrives"),
    _fault(
        "traffic-over-pod-network",
        "What Pods send to the address of a claimed interface goes over the Pod network.",
        "data_uses_claimed_interfaces",
    ),
    _fault(
        "second-interface-lost",
        "A Pod that claims two interfaces has one of them.",
        "two_interfaces_in_one_pod",
    ),
    _fault(
        "aligned-interface-lost",
        "A Pod that claims an interface together with an accelerator has the accelerator alone.",
        "aligned_with_accelerator",
    ),
    _fault(
        "interface-not-returned",
        "An interface is gone after the Pod that had it.",
        "interface_comes_back",
    ),
    _fault(
        _UNDESCRIBED,
        "Interfaces are published with their names and addresses alone.",
        "describes_devices",
        how=InCluster(_undescribe, _describe),
    ),
    _fault(
        _IGNORED,
        "A Pod with a claim for an interface runs without it, on another node.",
        "runs_where_device_is",
        "interface_is_in_pod",
        how=InCluster(_ignore, _ignoring("").off),
    ),
)
