"""Karpenter and its NodePools."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aiconform.cluster import NotFound, Object, conditions, quantity
from aiconform.platform.accelerators.profiles import load_profiles
from aiconform.platform.autoscaling.pools import BY_KARPENTER, Autoscaling, Pool, pool_of
from aiconform.platform.inventory import Platform

GROUP = "karpenter.sh"
VERSIONS = ("v1", "v1beta1")
"""The versions of NodePool whose fields are known, the newest first."""
POOL_LABEL = "karpenter.sh/nodepool"


async def karpenter(platform: Platform, nodes: Sequence[Object]) -> Autoscaling:
    """Karpenter with its pools, if its API is served. Raises ClusterError."""
    looked = (f"NodePools of {GROUP}",)
    served = (await platform.groups()).get(GROUP, ())
    if not served:
        return Autoscaling(looked=looked)
    version = next((each for each in VERSIONS if each in served), None)
    if version is None:
        problem = (
            f"{GROUP} is served as {', '.join(served)}, and only {', '.join(VERSIONS)} are known here; "
            "give the pool's node label (pool=KEY=VALUE)"
        )
        return Autoscaling((BY_KARPENTER,), looked=looked, problems=(problem,))
    try:
        found = [pool async for pool in platform.cluster.list(f"{GROUP}/{version}", "NodePool")]
    except NotFound:
        return Autoscaling(looked=looked, problems=(f"{GROUP}/{version} is served without NodePools",))
    problems = () if found else ("Karpenter is installed, but there is no NodePool",)
    return Autoscaling((BY_KARPENTER,), tuple(node_pool(pool, nodes) for pool in found), looked, problems)


def node_pool(obj: Object, nodes: Iterable[Object]) -> Pool:
    """The pool of a NodePool. Its status, limits, taints or nodes show its accelerator."""
    spec, status = obj["spec"], obj.get("status") or {}
    template = ((spec.get("template") or {}).get("spec")) or {}
    taints = [(taint["key"], taint["effect"]) for taint in template.get("taints") or []]
    limits: dict[str, Any] = spec.get("limits") or {}
    used: dict[str, Any] = status.get("resources") or {}
    reached = [
        f"its limit of {limit} {name} is reached"
        for name, limit in sorted(limits.items())
        if (most := _number(limit)) is not None and (_number(used.get(name, "0")) or 0.0) >= most
    ]
    ready = conditions.find(obj, "Ready")
    name = obj["metadata"]["name"]
    return pool_of(
        name,
        BY_KARPENTER,
        (POOL_LABEL, name),
        nodes,
        # Karpenter removes every unused node, except in a pool of fixed size.
        minimum=int(spec.get("replicas") or 0),
        maximum=spec.get("replicas"),
        limits="limits " + ", ".join(f"{key}: {value}" for key, value in sorted(limits.items())) if limits else "",
        full="; ".join(reached) or ("it is of fixed size" if spec.get("replicas") is not None else ""),
        resource=_accelerator(name for name in used if _number(used[name])) or _accelerator([*limits, *dict(taints)]),
        taints=taints,
        problem=f"not Ready: {ready.explanation}" if ready and ready.is_false else "",
    )


def _accelerator(names: Iterable[str]) -> str:
    """The first of these names that is a known accelerator's; empty if none is."""
    return next((name for name in sorted(names) if load_profiles().by_resource(name)), "")


def _number(text: object) -> float | None:
    """The number that a quantity stands for; None if it is malformed."""
    try:
        return quantity.number(text)
    except ValueError:
        return None
