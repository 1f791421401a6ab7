"""Which pool of accelerator nodes is scaled."""

from __future__ import annotations

import math
from collections.abc import Sequence

from aiconform.check import NotApplicable, NothingToLookAt
from aiconform.checks.cluster_autoscaling.options import ClusterAutoscaling
from aiconform.platform import Platform
from aiconform.platform.autoscaling.discovery import discover
from aiconform.platform.autoscaling.pools import BY_LABEL, Autoscaling, Pool

# For the autoscaler to notice, and the cloud to take the machine back.
_SLACK_SECONDS = 900
_OR_NONE = ", or say that no autoscaler exists (--set cluster_autoscaling.none=true)"


async def look(platform: Platform, options: ClusterAutoscaling) -> Autoscaling:
    """The autoscalers and pools, with what the user says of them. Raises ClusterError."""
    return await discover(platform, given=options.pool, resource=options.resource, status=options.status)


def choose(found: Autoscaling, options: ClusterAutoscaling) -> Pool:
    """The pool to scale. Raises NothingToLookAt, NotApplicable."""
    looked = f"looked at: {'; '.join(found.looked)}"
    problems = "".join(f"; {problem}" for problem in found.problems)
    if options.none:
        raise _none(found, looked)
    if found.usable:
        pool = found.usable[0]
        if pool.full:
            raise _full([each for each in found.usable if each.full], problems)
        slack = min(_SLACK_SECONDS, options.node_removed_seconds / 2)
        if pool.keeps_seconds + slack > options.node_removed_seconds:
            raise _keeps(pool, options.node_removed_seconds)
        if pool.comes_seconds > options.node_added_seconds:
            raise _comes(pool, options.node_added_seconds)
        return pool
    if queued := [pool for pool in found.pools if pool.resource and pool.queued]:
        raise NothingToLookAt(
            f"nothing to look at: nodes with accelerators are added only for a ProvisioningRequest, not for a Pod that "
            f"waits ({'; '.join(map(str, queued))}){problems}. Name a pool that grows for Pods by a label of its nodes "
            "(--set cluster_autoscaling.pool=KEY=VALUE)"
        )
    if found.pools:
        named = "; ".join(map(str, found.pools))
        claimed = [pool.name for pool in found.pools if pool.by_claims]
        if claimed and len(claimed) == len(found.unknown):
            raise NothingToLookAt(
                f"nothing to look at: the nodes of {', '.join(claimed)} offer accelerators to claims alone (Dynamic "
                f"Resource Allocation), and the Pod of this check requests an extended resource{problems}. Name a pool "
                "whose nodes offer one by a label of its nodes (--set cluster_autoscaling.pool=KEY=VALUE --set "
                "cluster_autoscaling.resource=NAME)" + ("" if found.autoscalers else f"{_OR_NONE}; {looked}")
            )
        asked = ", ".join(pool.name for pool in found.unknown)
        raise NothingToLookAt(
            f"nothing to look at: no pool is known to have accelerators ({named}){problems}. "
            + (f"Nothing shows the hardware of {asked}: name" if asked else "Name")
            + " the pool with accelerators by a label of its nodes, and what they offer "
            "(--set cluster_autoscaling.pool=KEY=VALUE --set cluster_autoscaling.resource=NAME)"
        )
    if found.autoscalers:
        raise NothingToLookAt(
            f"nothing to look at: there is {', '.join(found.autoscalers)}, but no pool was found{problems}; {looked}. "
            "Set the node label of a pool (--set cluster_autoscaling.pool=KEY=VALUE)"
        )
    raise NothingToLookAt(
        f"nothing to look at: no autoscaler of nodes was found{problems}; {looked}. Set the node label of a pool "
        f"(--set cluster_autoscaling.pool=KEY=VALUE){_OR_NONE}"
    )


def _full(pools: Sequence[Pool], problems: str) -> NothingToLookAt:
    """That an autoscaler keeps to the bounds of its pools says nothing against it."""
    return NothingToLookAt(
        f"nothing to look at: no pool with accelerators may grow ({'; '.join(map(str, pools))}){problems}. Raise the "
        "maximum (Karpenter: the limits) of one of them above its size; or free a node, if its minimum allows, and run "
        "again when it is removed; or wait for nodes that were requested and have not come; or name another pool by a "
        "label of its nodes (--set cluster_autoscaling.pool=KEY=VALUE)"
    )


def _comes(pool: Pool, seconds: float) -> NothingToLookAt:
    """A node that takes as long as its cloud declares says nothing against the autoscaler."""
    return NothingToLookAt(
        f"nothing to look at: a node of pool {pool.name} takes up to {pool.comes_seconds:.0f} s by its cloud's word, "
        f"and node_added_seconds is {seconds:.0f}. Allow more (--set "
        f"cluster_autoscaling.node_added_seconds={pool.comes_seconds + _SLACK_SECONDS:.0f})"
    )


def _keeps(pool: Pool, seconds: float) -> NothingToLookAt:
    """A node that stays as long as its pool declares says nothing against the autoscaler."""
    about = f"nothing to look at: pool {pool.name} keeps nodes that nothing uses"
    if math.isinf(pool.keeps_seconds):
        return NothingToLookAt(
            f"{about} for ever (consolidateAfter: Never). Let it remove them, or name another pool by a label of its "
            "nodes (--set cluster_autoscaling.pool=KEY=VALUE)"
        )
    return NothingToLookAt(
        f"{about} for {pool.keeps_seconds:.0f} s, and node_removed_seconds is {seconds:.0f}. Allow more "
        f"(--set cluster_autoscaling.node_removed_seconds={pool.keeps_seconds + _SLACK_SECONDS:.0f}), or let the pool "
        "keep them for less"
    )


def _none(found: Autoscaling, looked: str) -> NothingToLookAt | NotApplicable:
    """What cluster_autoscaling.none means here."""
    said = "cluster_autoscaling.none is set"
    if not found.autoscalers and not found.problems:
        return NotApplicable(f"{said}, and no autoscaler of nodes was found; {looked}")
    scaled = [pool for pool in found.pools if pool.by != BY_LABEL and not pool.fixed]
    named = "; ".join(map(str, scaled)) or "no pool that it scales is known"
    if scaled and all(pool.without for pool in scaled) and not found.problems:
        return NotApplicable(
            f"{said}, and no pool that {', '.join(found.autoscalers)} scales has accelerators: {named}; {looked}"
        )
    by = ", ".join(found.autoscalers) or "; ".join(found.problems)
    return NothingToLookAt(f"nothing to look at: {said}, but there is {by} ({named})")
