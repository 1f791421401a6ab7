"""Cluster Autoscaler and the node groups in its status ConfigMap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aiconform.cluster import NotFound, Object
from aiconform.platform.autoscaling.pools import BY_CLUSTER_AUTOSCALER, Autoscaling, Pool, managed_labels, pool_of
from aiconform.platform.autoscaling.status import BadStatus, NodeGroup, parse_status
from aiconform.platform.inventory import Platform

NAMESPACE, NAME = "kube-system", "cluster-autoscaler-status"


async def cluster_autoscaler(platform: Platform, nodes: Sequence[Object]) -> Autoscaling:
    """Cluster Autoscaler with its pools, if its status ConfigMap exists. Raises ClusterError."""
    looked = (f"ConfigMap {NAME} of Cluster Autoscaler in {NAMESPACE}",)
    try:
        found = await platform.cluster.get("v1", "ConfigMap", NAME, NAMESPACE)
    except NotFound:
        return Autoscaling(looked=looked)
    try:
        groups = parse_status((found.get("data") or {}).get("status", ""))
    except BadStatus as error:
        problem = f"ConfigMap {NAME} of Cluster Autoscaler cannot be read: {error}; give pool=KEY=VALUE"
        return Autoscaling((BY_CLUSTER_AUTOSCALER,), looked=looked, problems=(problem,))
    pools = tuple(node_group(group, nodes) for group in groups)
    problems = () if pools else ("Cluster Autoscaler is installed, but it reports no node group",)
    return Autoscaling((BY_CLUSTER_AUTOSCALER,), pools, looked, problems)


def node_group(group: NodeGroup, nodes: Iterable[Object]) -> Pool:
    """The pool of a node group. The cloud's name of the group contains the name of the managed pool, if it has one."""
    nodes = list(nodes)
    name = group.name.rstrip("/").rpartition("/")[2]
    # The longest match: the name of one pool can be a prefix of another's.
    matching = (label for label in sorted(managed_labels(nodes)) if f"-{label[1]}-" in f"-{name}-")
    label = max(matching, key=lambda pair: len(pair[1]), default=None)
    full = ""
    if group.maximum <= group.minimum:
        full = f"its minimum is its maximum, {group.maximum}"
    elif group.target >= group.maximum:
        full = f"its maximum of {group.maximum} nodes is reached"
    problem = "" if group.health in ("", "Healthy") else f"its health is {group.health}"
    if group.scale_up == "Backoff":
        problem = "; ".join(filter(None, (problem, "its last scale-up failed, and it backs off before the next")))
    fields: dict[str, Any] = {
        "size": group.target,
        "minimum": group.minimum,
        "maximum": group.maximum,
        "full": full,
        "problem": problem,
    }
    if label is None:
        return Pool(name, BY_CLUSTER_AUTOSCALER, **fields)
    return pool_of(name, BY_CLUSTER_AUTOSCALER, label, nodes, **fields)
