"""Faults of node autoscaling: in the autoscaler's pool, and in the nodes that the lab's cloud delivers.

`aiconform.lab.cloud.delivery` also reads which of them are on, when a node is ordered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiconform.lab.addons.karpenter import NODE_POOL
from aiconform.lab.build.images import BUSYBOX
from aiconform.lab.faults.fault import Fault, InCluster, assertions
from aiconform.lab.faults.policies import refusing

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

NEVER_READY = "autoscaled-never-ready"
ANOTHER_KIND = "autoscaled-another-kind"
RECLAIMS = "autoscaler-removes-used-nodes"
KARPENTER = "karpenter.sh/v1"
_GONE_SECONDS = 90.0
_RUNS_SECONDS = 90.0


async def _pool(cluster: Cluster) -> Object:
    return await cluster.get(KARPENTER, "NodePool", NODE_POOL)


def _below_limit() -> InCluster:
    """Whoever orders a node is refused, as by a quota that no pool declares: Karpenter's pool still has room."""
    denied = refusing("autoscaler-at-limit", "karpenter.sh", "nodeclaims", "false", operation="CREATE")

    async def on(cluster: Cluster) -> None:
        await denied.on(cluster)
        # So the pool's limit is far from its size.
        await _remove_nodes(cluster)

    return InCluster(on, denied.off)


async def _set_budget(cluster: Cluster, nodes: str) -> None:
    await cluster.patch(await _pool(cluster), {"spec": {"disruption": {"budgets": [{"nodes": nodes}]}}})


async def _never_removes(cluster: Cluster) -> None:
    await _set_budget(cluster, "0")


async def _removes(cluster: Cluster) -> None:
    await _set_budget(cluster, "100%")
    await _remove_nodes(cluster)


async def _remove_nodes(cluster: Cluster) -> None:
    """Remove every node that was ordered, without waiting for the autoscaler."""
    from aiconform.cluster import wait

    claims = [claim async for claim in cluster.list(KARPENTER, "NodeClaim")]
    for claim in claims:
        await cluster.delete(claim)
    if claims:
        await wait.all_gone(cluster, KARPENTER, "NodeClaim", None, "", seconds=_GONE_SECONDS)


async def _nothing(cluster: Cluster) -> None:
    """Nothing to change: the cloud reads that the fault is on."""


async def _occupy_node(cluster: Cluster) -> None:
    """Have a Pod run on a node of the pool before a check starts."""
    from aiconform.cluster import Conflict, wait

    occupant = _occupant(next(iter((await _pool(cluster))["spec"]["limits"])))
    try:
        created = await cluster.create(occupant)
    except Conflict:
        created = await cluster.get("v1", "Pod", occupant["metadata"]["name"], occupant["metadata"]["namespace"])
    await wait.until(cluster, created, wait.running, seconds=_RUNS_SECONDS, what="the Pod that uses a node of the pool")


async def _free_node(cluster: Cluster) -> None:
    from aiconform.cluster import wait

    await cluster.delete(_occupant(""), grace=0)
    await wait.all_gone(cluster, "v1", "Pod", "default", "aiconform.dev/fault=" + RECLAIMS, seconds=_GONE_SECONDS)
    await _remove_nodes(cluster)


def _occupant(resource: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": RECLAIMS, "namespace": "default", "labels": {"aiconform.dev/fault": RECLAIMS}},
        "spec": {
            "nodeSelector": {"karpenter.sh/nodepool": NODE_POOL},
            "tolerations": [{"key": resource, "operator": "Exists"}],
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "main",
                    "image": BUSYBOX,
                    "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"],
                    "resources": {"limits": {resource: "1"}},
                }
            ],
        },
    }


FAULTS = tuple(
    Fault(
        name,
        description,
        assertions("cluster_autoscaling", breaks),
        how,
        needs=("karpenter",),
        # The node that is in use when a run begins is too new to have an exporter of metrics.
        disturbs=frozenset({"accelerator_metrics"} if name == RECLAIMS else ()),
    )
    for name, description, breaks, how in (
        (
            "autoscaler-at-limit",
            "The autoscaler adds no node: it meets a limit below the one that its pool declares.",
            "node_is_added",
            _below_limit(),
        ),
        (
            "autoscaler-never-removes",
            "The autoscaler adds nodes and never removes them.",
            "node_is_removed",
            InCluster(_never_removes, _removes),
        ),
        (
            NEVER_READY,
            "Nodes that the autoscaler orders are only objects: they never have a kubelet.",
            "node_becomes_ready",
            InCluster(_nothing, _remove_nodes),
        ),
        (
            ANOTHER_KIND,
            "Nodes that the autoscaler orders have another kind of accelerator.",
            "node_is_of_right_kind",
            InCluster(_nothing, _remove_nodes),
        ),
        (
            RECLAIMS,
            "When a node is added, the other nodes of the autoscaler's pool are removed although Pods run on them.",
            "used_nodes_stay",
            InCluster(_occupy_node, _free_node),
        ),
    )
)
