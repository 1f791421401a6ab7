"""Finds the autoscalers of nodes and the pools that they scale."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from aiconform.cluster import Object
from aiconform.platform.accelerators.profiles import Profiles
from aiconform.platform.autoscaling.cluster_autoscaler import cluster_autoscaler, in_name
from aiconform.platform.autoscaling.compute_class import compute_classes
from aiconform.platform.autoscaling.karpenter import karpenter
from aiconform.platform.autoscaling.members import most_offered, offering_nothing, offers, with_label
from aiconform.platform.autoscaling.pools import (
    BY_CLUSTER_AUTOSCALER,
    BY_PROVIDER,
    GIVEN,
    POOL_LABELS,
    Autoscaling,
    Pool,
    by_label,
    pool_of,
)
from aiconform.platform.autoscaling.providers import provided
from aiconform.platform.inventory import Platform


async def discover(platform: Platform, *, given: str = "", resource: str = "", status: str = "") -> Autoscaling:
    """The autoscalers and pools of a platform.

    given: the label KEY=VALUE of the only pool to use. resource: the accelerator of its nodes, if it cannot be
    discovered. status: `NAMESPACE/NAME` of Cluster Autoscaler's status. Raises ValueError for a malformed label, and
    ClusterError.
    """
    profiles = known_with(platform.said.profiles, resource)
    nodes = await platform.nodes()
    by_dra = frozenset(entry.node for entry in (await platform.all_accelerators()).offered if entry.way == "dra")
    sources = await asyncio.gather(
        karpenter(platform, nodes, profiles, by_dra),
        cluster_autoscaler(platform, nodes, status, profiles, by_dra),
        compute_classes(platform, nodes, profiles, by_dra),
        provided(platform, nodes, profiles, by_dra),
    )
    reported = _once([pool for source in sources for pool in source.pools])
    known = {pool.label for pool in reported if pool.label}
    pools = [*reported, *by_label(nodes, known, profiles, by_dra)]
    if given:
        key, equals, value = given.partition("=")
        if not (key and equals and value):
            raise ValueError(f"pool {given!r}: give the label of the pool's nodes, KEY=VALUE")
        pools = [_given((key, value), pools, nodes, profiles, by_dra)]
    if resource:
        pools = _offering(resource, pools, nodes, profiles)
    return Autoscaling(
        autoscalers=tuple(name for source in sources for name in source.autoscalers),
        pools=tuple(pools),
        looked=(
            *(text for source in sources for text in source.looked),
            f"node labels of managed pools ({', '.join(POOL_LABELS[:3])} and {len(POOL_LABELS) - 3} more)",
        ),
        problems=tuple(problem for source in sources for problem in source.problems),
    )


def _once(pools: Sequence[Pool]) -> list[Pool]:
    """The same; of a pool that Cluster Autoscaler reports, its cloud only adds how long nodes take to come."""
    described = {pool.label: pool for pool in pools if pool.by == BY_PROVIDER}
    found = [
        replace(pool, comes_seconds=described[pool.label].comes_seconds)
        if pool.by == BY_CLUSTER_AUTOSCALER and pool.label in described
        else pool
        for pool in pools
    ]
    told = {pool.label for pool in found if pool.by == BY_CLUSTER_AUTOSCALER}
    return [pool for pool in found if pool.by != BY_PROVIDER or pool.label not in told]


def known_with(profiles: Profiles, resource: str) -> Profiles:
    """The known accelerators, and the resource that a user named."""
    return replace(profiles, named=(*profiles.named, resource)) if resource else profiles


def _given(
    label: tuple[str, str], pools: Sequence[Pool], nodes: Sequence[Object], profiles: Profiles, by_dra: Collection[str]
) -> Pool:
    """The pool with this label. A user who names an empty pool means what other nodes of the platform offer."""
    members = with_label(nodes, label)
    elsewhere = "" if members else most_offered(nodes, profiles)

    def named(pool: Pool) -> bool:
        unlabelled = pool.label is None and pool.by == BY_CLUSTER_AUTOSCALER
        return pool.label == label or (unlabelled and in_name(label[1], pool.name))

    # A managed pool can have a node group in each zone: one that can grow is enough.
    if matching := sorted(filter(named, pools), key=lambda pool: (bool(pool.full), bool(pool.problem))):
        found = replace(matching[0], by=GIVEN, label=label)
    else:
        name = f"{label[0]}={label[1]}"
        without = offering_nothing(members, by_dra, profiles)
        found = pool_of(name, GIVEN, label, members, profiles, by_dra, without=without)
    told = found.resource or found.without or found.by_claims
    return found if told else replace(found, resource=elsewhere)


def _offering(resource: str, pools: Sequence[Pool], nodes: Sequence[Object], profiles: Profiles) -> list[Pool]:
    """The same pools where a user named the resource: pools of another one do not count.

    A pool of which nothing is known is taken at the user's word if it is the only one.
    """

    def can(pool: Pool) -> bool:
        members = with_label(nodes, pool.label) if pool.label else []
        shown = any(resource in offers(node, profiles) for node in members)
        # Of one vendor, only the driver's configuration says whether a device has its own name or that of a share.
        return shown or pool.by == GIVEN or (bool(pool.resource) and _vendor(pool.resource) == _vendor(resource))

    shown = []
    for pool in pools:
        if can(pool):
            shown.append(replace(pool, resource=resource, without="", by_claims=False))
        elif pool.resource:
            shown.append(replace(pool, resource="", without=f"it offers {pool.resource}"))
        else:
            shown.append(pool)
    unknown = [pool for pool in shown if not pool.resource and not pool.without]
    if len(unknown) == 1 and not any(pool.resource for pool in shown):
        return [replace(pool, resource=resource, by_claims=False) if pool is unknown[0] else pool for pool in shown]
    return shown


def _vendor(resource: str) -> str:
    return resource.partition("/")[0]
