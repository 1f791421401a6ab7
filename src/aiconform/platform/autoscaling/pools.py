"""Pools of nodes with accelerators, and the autoscalers that scale them, as the platform itself reports them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiconform.cluster import Object
from aiconform.platform.accelerators.nodes import usable_node
from aiconform.platform.accelerators.profiles import load_profiles

# Node labels by which managed platforms name the pool of a node.
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
# How a pool was found, the most reliable way first.
GIVEN, BY_KARPENTER, BY_CLUSTER_AUTOSCALER, BY_LABEL = "given", "Karpenter", "Cluster Autoscaler", "label"


@dataclass(frozen=True)
class Pool:
    """A pool of nodes that may be scaled. `resource` is the accelerator that Pods request from it."""

    name: str
    by: str
    """What scales it: Karpenter, Cluster Autoscaler, `label` if only its nodes' label is known, or `given`."""
    label: tuple[str, str] | None = None
    """The label of its nodes, if it is known."""
    size: int = 0
    """The current number of nodes."""
    minimum: int | None = None
    maximum: int | None = None
    limits: str = ""
    """Its limits in the autoscaler's own words."""
    full: str = ""
    """Why it cannot grow, according to its limits."""
    resource: str = ""
    taints: tuple[tuple[str, str], ...] = ()
    """(key, effect) of its nodes' taints."""
    problem: str = ""
    """What the autoscaler reports to be wrong with it."""

    def __str__(self) -> str:
        words = [f"{self.size} nodes"]
        if self.minimum is not None or self.maximum is not None:
            words.append(f"minimum {self.minimum}, maximum {self.maximum}")
        words += [text for text in (self.limits, self.full, self.problem) if text]
        return f"{self.name} ({self.resource or 'no accelerator known'}; {'; '.join(words)})"


@dataclass(frozen=True)
class Autoscaling:
    """The autoscalers by name and all pools. looked: what was examined. problems: what is wrong with it."""

    autoscalers: tuple[str, ...] = ()
    pools: tuple[Pool, ...] = ()
    looked: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def usable(self) -> tuple[Pool, ...]:
        """Pools with a known accelerator, the best one to scale first.

        The given pool, then pools that an autoscaler reports; among them pools that can grow before those that cannot,
        then the smallest: it is hardest to scale up from zero.
        """
        order = (GIVEN, BY_KARPENTER, BY_CLUSTER_AUTOSCALER, BY_LABEL)
        found = [pool for pool in self.pools if pool.resource]
        return tuple(
            sorted(
                found, key=lambda pool: (order.index(pool.by), bool(pool.full or pool.problem), pool.size, pool.name)
            )
        )


def by_label(nodes: Iterable[Object], known: set[tuple[str, str]]) -> list[Pool]:
    """Pools of managed platforms with accelerators, without the known ones."""
    nodes = list(nodes)
    pools = [pool_of(label[1], BY_LABEL, label, nodes) for label in sorted(managed_labels(nodes) - known)]
    return [pool for pool in pools if pool.resource]


def managed_labels(nodes: Iterable[Object]) -> set[tuple[str, str]]:
    """The labels of these nodes by which managed platforms name pools."""
    return {
        (key, value)
        for node in nodes
        for key in POOL_LABELS
        if (value := (node["metadata"].get("labels") or {}).get(key))
    }


def pool_of(name: str, by: str, label: tuple[str, str], nodes: Iterable[Object], **fields: Any) -> Pool:
    """The pool of the nodes with this label; `fields` take precedence over what the nodes show."""
    members = [node for node in nodes if (node["metadata"].get("labels") or {}).get(label[0]) == label[1]]
    taints = {
        (taint["key"], taint["effect"])
        for node in members
        if usable_node(node) is None
        for taint in node["spec"].get("taints") or []
    }
    taints |= set(fields.pop("taints", ()))
    return Pool(
        name,
        by,
        label,
        size=fields.pop("size", len(members)),
        resource=fields.pop("resource", "") or most_offered(members),
        taints=tuple(sorted(taints)),
        **fields,
    )


def offers(node: Object) -> dict[str, int]:
    """The known accelerators that are allocatable on a node: extended resource -> number."""
    allocatable: Mapping[str, str] = (node.get("status") or {}).get("allocatable") or {}
    profiles = load_profiles()
    return {
        name: int(count)
        for name, count in allocatable.items()
        if "/" in name and str(count).isdigit() and int(count) and profiles.by_resource(name)
    }


def most_offered(nodes: Iterable[Object]) -> str:
    """The accelerator of which these nodes offer most; empty if they offer none."""
    total: dict[str, int] = {}
    for node in nodes:
        for name, count in offers(node).items():
            total[name] = total.get(name, 0) + count
    return max(sorted(total), key=lambda name: total[name], default="")
