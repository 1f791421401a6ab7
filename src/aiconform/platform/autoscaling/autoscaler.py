"""Autoscalers of nodes, and the pools of nodes with accelerators that they scale, as the platform itself shows them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiconform.cluster import NotFound, Object, conditions, quantity
from aiconform.platform.accelerators.offered import usable_node
from aiconform.platform.accelerators.profiles import load_profiles
from aiconform.platform.autoscaling.status import BadStatus, NodeGroup, parse_status
from aiconform.platform.inventory import Platform

KARPENTER = "karpenter.sh"
KARPENTER_VERSIONS = ("v1", "v1beta1")
"""Versions of its NodePools whose fields are known, the newest first."""
POOL_OF_KARPENTER = "karpenter.sh/nodepool"
STATUS_NAMESPACE, STATUS_NAME = "kube-system", "cluster-autoscaler-status"
# Node labels by which managed platforms name the pool that a node belongs to.
POOL_LABELS = (
    "cloud.google.com/gke-nodepool",
    "eks.amazonaws.com/nodegroup",
    "kubernetes.azure.com/agentpool",
    "doks.digitalocean.com/node-pool",
    "k8s.scaleway.com/pool-name",
    "lke.linode.com/pool-id",
    "oke.oraclecloud.com/pool-id",
    "ibm-cloud.kubernetes.io/worker-pool-name",
    "node.openshift.io/machine-set",
)
# The reasons for which a pool is taken, the best first.
GIVEN, BY_KARPENTER, BY_CLUSTER_AUTOSCALER, BY_LABEL = "given", "Karpenter", "Cluster Autoscaler", "label"


@dataclass(frozen=True)
class Pool:
    """A pool of nodes that may be scaled. `resource` is the accelerator that a Pod asks it for."""

    name: str
    by: str
    """What scales it: Karpenter, Cluster Autoscaler, `label` if only its nodes' label is known, or `given`."""
    label: tuple[str, str] | None = None
    """The label of its nodes, if it is known."""
    size: int = 0
    """Nodes that it has now."""
    minimum: int | None = None
    maximum: int | None = None
    limits: str = ""
    """Its bounds in the autoscaler's own words."""
    full: str = ""
    """Why it cannot grow, as far as its bounds tell."""
    resource: str = ""
    taints: tuple[tuple[str, str], ...] = ()
    """(key, effect) of its nodes' taints."""
    problem: str = ""
    """What the autoscaler says is wrong with it."""

    def __str__(self) -> str:
        words = [f"{self.size} nodes"]
        if self.minimum is not None or self.maximum is not None:
            words.append(f"minimum {self.minimum}, maximum {self.maximum}")
        words += [text for text in (self.limits, self.full, self.problem) if text]
        return f"{self.name} ({self.resource or 'no accelerator known'}; {'; '.join(words)})"


@dataclass(frozen=True)
class Autoscaling:
    """What was found: autoscalers by name, all pools, and in words what was looked at and what is odd."""

    autoscalers: tuple[str, ...] = ()
    pools: tuple[Pool, ...] = ()
    looked: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def usable(self) -> tuple[Pool, ...]:
        """Pools with a known accelerator, the best one to try first.

        What the user gave, then what an autoscaler names; those that can grow before those that cannot, empty ones
        before others (the first node is the hardest), then the smallest.
        """
        order = (GIVEN, BY_KARPENTER, BY_CLUSTER_AUTOSCALER, BY_LABEL)
        found = [pool for pool in self.pools if pool.resource]
        return tuple(
            sorted(
                found, key=lambda pool: (order.index(pool.by), bool(pool.full or pool.problem), pool.size, pool.name)
            )
        )


async def find(platform: Platform, *, given: str = "", resource: str = "") -> Autoscaling:
    """All that scales nodes here. `given` is KEY=VALUE, the label of a pool; `resource` what its nodes offer.

    Raises ValueError for a label that is none, and ClusterError.
    """
    nodes = await platform.nodes()
    karpenter, status = await asyncio.gather(_karpenter(platform, nodes), _cluster_autoscaler(platform, nodes))
    found = Autoscaling(
        autoscalers=karpenter.autoscalers + status.autoscalers,
        pools=karpenter.pools + status.pools,
        looked=karpenter.looked + status.looked,
        problems=karpenter.problems + status.problems,
    )
    pools = [*found.pools, *by_label(nodes, known={pool.label for pool in found.pools if pool.label})]
    if given:
        key, equals, value = given.partition("=")
        if not (key and equals and value):
            raise ValueError(f"pool {given!r}: give the label of the pool's nodes, KEY=VALUE")
        pools = [_given((key, value), pools, nodes)]
    elsewhere = _offered(nodes)
    pools = [replace(pool, resource=resource or pool.resource or _only(elsewhere)) for pool in pools]
    looked = (*found.looked, f"node labels of managed pools ({', '.join(POOL_LABELS)})")
    return replace(found, pools=tuple(pools), looked=looked)


def _given(label: tuple[str, str], pools: Sequence[Pool], nodes: Sequence[Object]) -> Pool:
    for pool in pools:
        if pool.label == label:
            return replace(pool, by=GIVEN)
    return pool_of(f"{label[0]}={label[1]}", GIVEN, label, nodes)


def by_label(nodes: Iterable[Object], known: set[tuple[str, str]]) -> list[Pool]:
    """Pools of managed platforms with accelerators, of which no autoscaler spoke."""
    nodes = list(nodes)
    labels = {
        (key, value)
        for node in nodes
        for key in POOL_LABELS
        if (value := (node["metadata"].get("labels") or {}).get(key))
    }
    pools = [pool_of(label[1], BY_LABEL, label, nodes) for label in sorted(labels - known)]
    return [pool for pool in pools if pool.resource]


def pool_of(name: str, by: str, label: tuple[str, str], nodes: Iterable[Object], **fields: Any) -> Pool:
    """A pool as its nodes show it; what `fields` has goes first."""
    members = [node for node in nodes if (node["metadata"].get("labels") or {}).get(label[0]) == label[1]]
    taints = {
        (taint["key"], taint["effect"])
        for node in members
        if usable_node(node) is None
        for taint in node["spec"].get("taints") or []
    }
    taints |= set(fields.pop("taints", ()))
    resource = fields.pop("resource", "") or _only(_offered(members))
    return Pool(
        name,
        by,
        label,
        size=fields.pop("size", len(members)),
        resource=resource,
        taints=tuple(sorted(taints)),
        **fields,
    )


def offers(node: Object) -> dict[str, int]:
    """The known accelerators that a node has for Pods: extended resource -> how many."""
    allocatable: Mapping[str, str] = (node.get("status") or {}).get("allocatable") or {}
    profiles = load_profiles()
    return {
        name: int(count)
        for name, count in allocatable.items()
        if "/" in name and str(count).isdigit() and int(count) and profiles.by_resource(name)
    }


def _offered(nodes: Iterable[Object]) -> dict[str, int]:
    total: dict[str, int] = {}
    for node in nodes:
        for name, count in offers(node).items():
            total[name] = total.get(name, 0) + count
    return total


def _only(resources: Mapping[str, int]) -> str:
    """The one that most are of; empty if there is none."""
    return max(sorted(resources), key=lambda name: resources[name], default="")


def _accelerator(names: Iterable[str]) -> str:
    """The first of these names that is an accelerator's."""
    return next((name for name in sorted(names) if load_profiles().by_resource(name)), "")


# Karpenter


async def _karpenter(platform: Platform, nodes: Sequence[Object]) -> Autoscaling:
    looked = (f"NodePools of {KARPENTER}",)
    served = (await platform.groups()).get(KARPENTER, ())
    if not served:
        return Autoscaling(looked=looked)
    version = next((each for each in KARPENTER_VERSIONS if each in served), None)
    if version is None:
        problem = (
            f"{KARPENTER} is served as {', '.join(served)}, and only {', '.join(KARPENTER_VERSIONS)} are known here; "
            "give the pool's node label (pool=KEY=VALUE)"
        )
        return Autoscaling((BY_KARPENTER,), looked=looked, problems=(problem,))
    try:
        found = [pool async for pool in platform.cluster.list(f"{KARPENTER}/{version}", "NodePool")]
    except NotFound:
        return Autoscaling(looked=looked, problems=(f"{KARPENTER}/{version} is served without NodePools",))
    problems = () if found else ("Karpenter is installed, but there is no NodePool",)
    return Autoscaling((BY_KARPENTER,), tuple(node_pool(pool, nodes) for pool in found), looked, problems)


def node_pool(obj: Object, nodes: Iterable[Object]) -> Pool:
    """A NodePool of Karpenter as a pool. Its accelerator is told by its nodes, its limits or its taints."""
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
        (POOL_OF_KARPENTER, name),
        nodes,
        # Karpenter keeps no node that nothing uses, unless a pool is of fixed size.
        minimum=int(spec.get("replicas") or 0),
        maximum=spec.get("replicas"),
        limits="limits " + ", ".join(f"{key}: {value}" for key, value in sorted(limits.items())) if limits else "",
        full="; ".join(reached) or ("it is of fixed size" if spec.get("replicas") is not None else ""),
        resource=_accelerator(name for name in used if _number(used[name])) or _accelerator([*limits, *dict(taints)]),
        taints=taints,
        problem=f"not Ready: {ready.explanation}" if ready and ready.is_false else "",
    )


def _number(text: object) -> float | None:
    """The number that a quantity stands for; None if it is none."""
    try:
        return quantity.number(text)
    except ValueError:
        return None


# Cluster Autoscaler


async def _cluster_autoscaler(platform: Platform, nodes: Sequence[Object]) -> Autoscaling:
    looked = (f"ConfigMap {STATUS_NAME} of Cluster Autoscaler in {STATUS_NAMESPACE}",)
    try:
        found = await platform.cluster.get("v1", "ConfigMap", STATUS_NAME, STATUS_NAMESPACE)
    except NotFound:
        return Autoscaling(looked=looked)
    try:
        groups = parse_status((found.get("data") or {}).get("status", ""))
    except BadStatus as error:
        problem = f"ConfigMap {STATUS_NAME} of Cluster Autoscaler cannot be read: {error}; give pool=KEY=VALUE"
        return Autoscaling((BY_CLUSTER_AUTOSCALER,), looked=looked, problems=(problem,))
    pools = tuple(node_group(group, nodes) for group in groups)
    problems = () if pools else ("Cluster Autoscaler is installed, but it names no node group",)
    return Autoscaling((BY_CLUSTER_AUTOSCALER,), pools, looked, problems)


def node_group(group: NodeGroup, nodes: Iterable[Object]) -> Pool:
    """A node group as a pool. Its name is a cloud's: a managed pool's label is found again in it, if there is one."""
    nodes = list(nodes)
    known = {
        (key, value)
        for node in nodes
        for key in POOL_LABELS
        if (value := (node["metadata"].get("labels") or {}).get(key)) and f"-{value}-" in f"-{_last(group.name)}-"
    }
    # The longest: a pool may be called like the beginning of another.
    label = max(sorted(known), key=lambda pair: len(pair[1]), default=None)
    full = ""
    if group.maximum <= group.minimum:
        full = f"its minimum is its maximum, {group.maximum}"
    elif group.target >= group.maximum:
        full = f"its maximum of {group.maximum} nodes is reached"
    problem = "" if group.health in ("", "Healthy") else f"its health is {group.health}"
    if group.scale_up == "Backoff":
        problem = "; ".join(filter(None, (problem, "its last growth failed, and it waits before the next")))
    fields: dict[str, Any] = {
        "size": group.target,
        "minimum": group.minimum,
        "maximum": group.maximum,
        "full": full,
        "problem": problem,
    }
    if label is None:
        return Pool(_last(group.name), BY_CLUSTER_AUTOSCALER, **fields)
    return pool_of(_last(group.name), BY_CLUSTER_AUTOSCALER, label, nodes, **fields)


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]
