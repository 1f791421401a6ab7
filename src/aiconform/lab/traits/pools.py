"""Traits of node pools: how far an autoscaler may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiconform.lab.addons.karpenter import NODE_POOL
from aiconform.lab.faults.fault import InCluster
from aiconform.lab.traits.trait import Trait

if TYPE_CHECKING:
    from aiconform.cluster import Cluster


async def _limit(cluster: Cluster, cpu: str | None) -> None:
    pool = await cluster.get("karpenter.sh/v1", "NodePool", NODE_POOL)
    await cluster.patch(pool, {"spec": {"limits": {"cpu": cpu}}})


async def _full(cluster: Cluster) -> None:
    # Whatever its size is, it is not below this limit. One of zero accelerators would say that it has none.
    await _limit(cluster, "0")


async def _with_room(cluster: Cluster) -> None:
    # A merge patch removes a field by null.
    await _limit(cluster, None)


TRAITS = (
    Trait(
        "full-pool",
        "The only pool with accelerators that an autoscaler scales is at its limit.",
        "error with the pool and its limits",
        InCluster(_full, _with_room),
        needs=("karpenter",),
    ),
)
