"""Karpenter and its NodePools."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from aiconform.cluster import NotFound, Object, conditions, quantity
from aiconform.platform.accelerators.profiles import Profiles, load_profiles
from aiconform.platform.autoscaling.hardware import provider_of, provider_of_class, stated
from aiconform.platform.autoscaling.members import (
    SYSTEM,
    cloud_of,
    most_offered,
    only_by_claims,
    other_system,
    renamed,
    with_label,
)
from aiconform.platform.autoscaling.pools import BY_KARPENTER, Autoscaling, Pool, is_spot, pool_of
from aiconform.platform.inventory import Platform

GROUP = "karpenter.sh"
VERSIONS = ("v1", "v1beta1")
"""The versions of NodePool whose fields are known, the newest first."""
POOL_LABEL = "karpenter.sh/nodepool"


async def karpenter(
    platform: Platform, nodes: Sequence[Object], profiles: Profiles | None = None, by_dra: Collection[str] = ()
) -> Autoscaling:
    """Karpenter with its pools, if its API is served. by_dra: as in `pool_of`. Raises ClusterError."""
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
    pools = tuple(node_pool(pool, nodes, profiles, by_dra) for pool in found)
    return Autoscaling((BY_KARPENTER,), pools, looked, problems)


def node_pool(
    obj: Object, nodes: Iterable[Object], profiles: Profiles | None = None, by_dra: Collection[str] = ()
) -> Pool:
    """The pool of a NodePool. Its status, requirements, labels, limits, taints or nodes show its accelerator.

    Nodes without an accelerator do not show that it has none: a NodePool can order several kinds of nodes.
    """
    spec, status = obj["spec"], obj.get("status") or {}
    template: Object = spec.get("template") or {}
    of_nodes: Object = template.get("spec") or {}
    labels: dict[str, str] = (template.get("metadata") or {}).get("labels") or {}
    requirements = of_nodes.get("requirements") or []
    taints = [(taint["key"], taint["effect"]) for taint in of_nodes.get("taints") or []]
    limits: dict[str, Any] = spec.get("limits") or {}
    used: dict[str, Any] = status.get("resources") or {}
    ready = conditions.find(obj, "Ready")
    name = obj["metadata"]["name"]
    label = (POOL_LABEL, name)
    nodes = list(nodes)
    members = with_label(nodes, label)
    hardware = stated(requirements, labels, _cloud(of_nodes, requirements, labels, nodes))
    profiles = profiles or load_profiles()
    in_use = [name for name in used if _number(used[name])]
    refused = [name for name in sorted(limits) if _number(limits[name]) == 0 and profiles.by_resource(name)]
    shown = _accelerator(in_use, profiles) or most_offered(members, profiles)
    without = hardware.without
    # What nodes that work do not offer, further ones will not, either.
    if not (shown or without or only_by_claims(members, by_dra, profiles) or renamed(members, profiles)):
        # A limit or a taint tells an NVIDIA GPU with its own resource name from one that is partitioned.
        told = [_accelerator({*limits, *dict(taints)} - {*refused}, profiles), *hardware.resources]
        shown = next((name for name in told if name and name not in refused), "")
        # A pool that does not say what it orders can still order accelerators of another name.
        certain = hardware.resources and not hardware.others
        without = f"its limit of {refused[0]} is 0" if refused and certain and not shown else ""
    reached = [
        f"its limit of {limit} {name} is reached"
        for name, limit in sorted(limits.items())
        if (most := _number(limit)) is not None
        # One of another kind of device keeps no node away that has none of these, until it is exceeded.
        and _is_reached(_number(used.get(name, "0")) or 0.0, most, own=name == shown or not shown or "/" not in name)
    ]
    return pool_of(
        name,
        BY_KARPENTER,
        label,
        members,
        profiles,
        by_dra,
        # Karpenter removes every unused node, except in a pool of fixed size.
        minimum=int(spec.get("replicas") or 0),
        maximum=spec.get("replicas"),
        limits="limits " + ", ".join(f"{key}: {value}" for key, value in sorted(limits.items())) if limits else "",
        full="; ".join(reached)
        or ("it is of fixed size" if spec.get("replicas") is not None else "")
        or other_system(_systems(requirements, labels)),
        fixed=spec.get("replicas") is not None,
        resource=shown,
        without=without,
        spot=_only_spot(requirements) or is_spot(labels),
        taints=taints,
        problem=f"not Ready: {ready.explanation}" if ready and ready.is_false else "",
        keeps_seconds=_keeps((spec.get("disruption") or {}).get("consolidateAfter")),
    )


def _is_reached(used: float, most: float, *, own: bool) -> bool:
    return used >= most if own else used > most


def _keeps(after: object) -> float:
    """Seconds for which an unused node stays, by a duration of Go such as 1h30m, or Never; 0 if it is not known."""
    if after == "Never":
        return math.inf
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s)", str(after or ""))
    return sum(float(number) * {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}[unit] for number, unit in parts)


def _cloud(of_nodes: Object, requirements: Iterable[Object], labels: Iterable[str], nodes: Iterable[Object]) -> str:
    """The cloud of a pool, by its node class, by keys, or else the only one that all nodes are of; empty if unknown.

    v1beta1 has an apiVersion of the node class in place of its group, and can have neither.
    """
    node_class: Object = of_nodes.get("nodeClassRef") or {}
    group = node_class.get("group") or str(node_class.get("apiVersion") or "").partition("/")[0]
    domains = [group, *(key.rpartition("/")[0] for key in (*(entry["key"] for entry in requirements), *labels))]
    if known := provider_of(domains) or provider_of_class(str(node_class.get("kind") or "")):
        return known
    clouds = {cloud_of(node) for node in nodes}
    return clouds.pop() if len(clouds) == 1 else ""


def _systems(requirements: Iterable[Object], labels: Mapping[str, str]) -> list[str]:
    """The operating systems that a pool requires of its nodes."""
    wanted = [entry for entry in requirements if entry["key"] == SYSTEM and entry.get("operator") == "In"]
    found = [str(value) for entry in wanted for value in entry.get("values") or []]
    return [*found, labels[SYSTEM]] if SYSTEM in labels else found


def _only_spot(requirements: Iterable[Object]) -> bool:
    return any(
        is_spot({entry["key"]: entry["values"][0]})
        for entry in requirements
        if entry.get("operator") == "In" and len(entry.get("values") or []) == 1
    )


def _accelerator(names: Iterable[str], profiles: Profiles) -> str:
    """The first of these names that is a known accelerator's; empty if none is."""
    return next((name for name in sorted(names) if profiles.by_resource(name)), "")


def _number(text: object) -> float | None:
    """The number that a quantity stands for; None if it is malformed."""
    try:
        return quantity.number(text)
    except ValueError:
        return None
