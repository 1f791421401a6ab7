"""Traffic of a run's own Pods in Namespaces that deny it unless a NetworkPolicy allows it.

NetworkPolicies add up: one that selects a probe's Pods, and nobody else's, allows what they need and takes nothing from
what others deny to others. It is deleted with these Pods. Where a run may make none, nothing is allowed, and what fails
because of that is nobody's fault: `denied` tells which policies are in the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from aiconform.check import Access
from aiconform.cluster import Cluster, ClusterError, Forbidden, NotFound, Object, Rejected
from aiconform.cluster.removal import RUN_LABEL
from aiconform.cluster.scratch import Scratch
from aiconform.platform.selectors import selects

API = "networking.k8s.io/v1"
Direction = Literal["Ingress", "Egress"]
NETWORK_ACCESS = (Access("networking.k8s.io", "networkpolicies", ("create", "list", "watch", "delete"), optional=True),)


async def allow(scratch: Scratch, name: str, *directions: Direction, pods: Mapping[str, str] | None = None) -> None:
    """Allow the probe's Pods all traffic in these directions.

    Who asks for metrics, or passes requests on, may be no Pod at all, at an address that is not known in advance, and a
    mesh brings them to another port. So no policy names any of that: what it does not name, it would deny.
    pods: the labels of others that serve only this probe, in place of its own.
    """
    policy = {
        "apiVersion": API,
        "kind": "NetworkPolicy",
        "metadata": {"name": scratch.name(name)},
        "spec": {
            "podSelector": {"matchLabels": dict(pods or scratch.labels)},
            "policyTypes": list(directions),
            **{direction.lower(): [{}] for direction in directions},
        },
    }
    try:
        await scratch.create(policy)
    except (Forbidden, NotFound, Rejected) as error:
        scratch.tell(f"no NetworkPolicy is made for the probe's Pods: {error}")


async def denied(cluster: Cluster, pod: Object, direction: Direction) -> str:
    """The NetworkPolicies that may deny a Pod of a run its traffic in this direction, and the way out; empty if none.

    One of the run itself allows what the Pod needs: then no other can deny it.
    """
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    own = {RUN_LABEL: labels.get(RUN_LABEL, "")}
    try:
        found = [obj async for obj in cluster.list(API, "NetworkPolicy", metadata["namespace"])]
    except ClusterError:
        return ""
    chosen = [
        obj["metadata"]
        for obj in found
        if direction in (obj["spec"].get("policyTypes") or ()) and selects(obj["spec"].get("podSelector") or {}, labels)
    ]
    if not chosen or any(own.items() <= (each.get("labels") or {}).items() for each in chosen):
        return ""
    names = ", ".join(sorted(each["name"] for each in chosen))
    return (
        f"NetworkPolicy {names} in Namespace {metadata['namespace']} may deny Pod {metadata['name']} its traffic "
        f"({direction}): let the run make NetworkPolicies for its own Pods (`aiconform rbac`), or allow it there"
    )
