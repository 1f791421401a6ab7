"""Finds the autoscalers of nodes and the pools that they scale."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from aiconform.cluster import Object
from aiconform.platform.autoscaling.cluster_autoscaler import cluster_autoscaler
from aiconform.platform.autoscaling.karpenter import karpenter
from aiconform.platform.autoscaling.pools import GIVEN, POOL_LABELS, Autoscaling, Pool, by_label, most_offered, pool_of
from aiconform.platform.inventory import Platform


async def discover(platform: Platform, *, given: str = "", resource: str = "") -> Autoscaling:
    """The autoscalers and pools of a platform.

    given: the label KEY=VALUE of the only pool to use. resource: the accelerator of its nodes, if it cannot be
    discovered. Raises ValueError for a malformed label, and ClusterError.
    """
    nodes = await platform.nodes()
    sources = await asyncio.gather(karpenter(platform, nodes), cluster_autoscaler(platform, nodes))
    reported = [pool for source in sources for pool in source.pools]
    pools = [*reported, *by_label(nodes, known={pool.label for pool in reported if pool.label})]
    if given:
        key, equals, value = given.partition("=")
        if not (key and equals and value):
            raise ValueError(f"pool {given!r}: give the label of the pool's nodes, KEY=VALUE")
        pools = [_given((key, value), pools, nodes)]
    elsewhere = most_offered(nodes)
    return Autoscaling(
        autoscalers=tuple(name for source in sources for name in source.autoscalers),
        pools=tuple(replace(pool, resource=resource or pool.resource or elsewhere) for pool in pools),
        looked=(
            *(text for source in sources for text in source.looked),
            f"node labels of managed pools ({', '.join(POOL_LABELS)})",
        ),
        problems=tuple(problem for source in sources for problem in source.problems),
    )


def _given(label: tuple[str, str], pools: Sequence[Pool], nodes: Sequence[Object]) -> Pool:
    for pool in pools:
        if pool.label == label:
            return replace(pool, by=GIVEN)
    return pool_of(f"{label[0]}={label[1]}", GIVEN, label, nodes)
