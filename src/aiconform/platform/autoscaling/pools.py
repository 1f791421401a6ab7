"""Pools of nodes with accelerators, and the autoscalers that scale them, as the platform itself reports them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiconform.cluster import Object
from aiconform.platform.accelerators.nodes import usable_node
from aiconform.platform.accelerators.profiles import Profiles, load_profiles
from aiconform.platform.autoscaling.members import (
    SYSTEM,
    labelled,
    labels_of,
    most_offered,
    offers,
    only_by_claims,
    other_system,
    renamed,
    with_label,
)

# Node labels by which managed platforms name the pool of a node.
POOL_LABELS = (
    "cloud.google.com/gke-nodepool",
    "eks.amazonaws.com/nodegroup",
    "kubernetes.azure.com/agentpool",
    "doks.digitalocean.com/node-pool",
    "doks.digitalocean.com/node-pool-id",
    "k8s.scaleway.com/pool-name",
    "k8s.scaleway.com/pool",
    "lke.linode.com/pool-id",
    "oke.oraclecloud.com/pool-id",
    "ibm-cloud.kubernetes.io/worker-pool-name",
    "node.openshift.io/machine-set",
    "kops.k8s.io/instancegroup",  # https://kops.sigs.k8s.io/labels/
    "worker.gardener.cloud/pool",  # https://gardener.cloud/docs/gardener/shoot-operations/shoot_workers_settings/
    "alpha.eksctl.io/nodegroup-name",  # https://docs.aws.amazon.com/eks/latest/eksctl/nodegroups.html
    "alibabacloud.com/nodepool-id",  # https://www.alibabacloud.com/help/en/ack/
    "kubernetes.civo.com/civo-node-pool",  # https://www.civo.com/docs/kubernetes
    "vke.vultr.com/node-pool",  # https://docs.vultr.com/vultr-kubernetes-engine
    "compute.coreweave.com/node-pool",  # https://docs.coreweave.com/docs/products/cks
    "nebius.com/node-group-id",  # https://docs.nebius.com/kubernetes
    "tke.cloud.tencent.com/nodepool-id",  # https://www.tencentcloud.com/document/product/457
    "node.exoscale.net/nodepool-id",  # https://community.exoscale.com/product/compute/containers/
    "oke.oraclecloud.com/pool.name",  # https://github.com/oracle-terraform-modules/terraform-oci-oke
)
# Where a pool has two labels, the one whose value is its identifier, by which Cluster Autoscaler names its group.
# https://github.com/kubernetes/autoscaler/tree/master/cluster-autoscaler/cloudprovider (digitalocean, scaleway)
_IDENTIFIERS = ("doks.digitalocean.com/node-pool-id", "k8s.scaleway.com/pool")
# Taints of nodes that an autoscaler adds only for a ProvisioningRequest, not for a Pod that waits.
# https://cloud.google.com/kubernetes-engine/docs/how-to/provisioningrequest
QUEUED_TAINTS = ("cloud.google.com/gke-queued",)
# Node labels of capacity that the cloud may take back at any time, with their values.
SPOT_LABELS = (
    ("karpenter.sh/capacity-type", "spot"),
    ("eks.amazonaws.com/capacityType", "SPOT"),
    ("kubernetes.azure.com/scalesetpriority", "spot"),
    ("cloud.google.com/gke-spot", "true"),
    ("cloud.google.com/gke-preemptible", "true"),
    ("cloud.google.com/gke-flex-start", "true"),
)
# https://cloud.google.com/kubernetes-engine/docs/concepts/dws: a pool that grows for Pods, whenever the cloud can
FLEX_START = "flex start: its nodes come when there is capacity"
_FLEXIBLE = "cloud.google.com/gke-flex-start"
# How a pool was found, the most reliable way first.
GIVEN, BY_KARPENTER, BY_CLUSTER_AUTOSCALER = "given", "Karpenter", "Cluster Autoscaler"
BY_COMPUTE_CLASS, BY_PROVIDER, BY_LABEL = "ComputeClass", "its cloud", "label"


@dataclass(frozen=True)
class Pool:
    """A pool of nodes that may be scaled. `resource` is the accelerator that Pods request from it; empty if unknown."""

    name: str
    by: str
    """What scales it: Karpenter, Cluster Autoscaler, a ComputeClass, its cloud, `label` if only its nodes' label is
    known, or `given`."""
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
    fixed: bool = False
    """It says itself that nothing scales it."""
    resource: str = ""
    amount: int = 1
    """How many of it a Pod must request at once: all of a node, where they can only be had together."""
    without: str = ""
    """Why its nodes have no accelerator; empty if they have, or if nothing is known of them."""
    spot: bool = False
    """The cloud may take its nodes back at any time, or give none for long."""
    taints: tuple[tuple[str, str], ...] = ()
    """(key, effect) of its nodes' taints."""
    problem: str = ""
    """What the autoscaler reports to be wrong with it."""
    queued: bool = False
    """Its nodes are added only for a ProvisioningRequest, not for a Pod that waits."""
    by_claims: bool = False
    """Its nodes offer accelerators to claims by Dynamic Resource Allocation alone: no Pod can request a resource."""
    keeps_seconds: float = 0.0
    """How long it keeps a node that nothing uses, as far as it says so itself; infinite if for ever."""
    comes_seconds: float = 0.0
    """How long its cloud says that a new node takes; 0 if it does not say."""

    def __str__(self) -> str:
        words = ["1 node" if self.size == 1 else f"{self.size} nodes"]
        if self.minimum is not None or self.maximum is not None:
            most = "no maximum" if self.maximum is None else f"maximum {self.maximum}"
            words.append(f"minimum {self.minimum or 0}, {most}")
        words += ["only for a ProvisioningRequest"] if self.queued else []
        words += [text for text in ("spot" if self.spot else "", self.limits, self.full, self.problem) if text]
        unknown = "accelerators by Dynamic Resource Allocation alone" if self.by_claims else "hardware unknown"
        hardware = f"no accelerator: {self.without}" if self.without else self.resource or unknown
        return f"{self.name} ({hardware}; {'; '.join(words)})"


@dataclass(frozen=True)
class Autoscaling:
    """The autoscalers by name and all pools. looked: what was examined. problems: what is wrong with it."""

    autoscalers: tuple[str, ...] = ()
    pools: tuple[Pool, ...] = ()
    looked: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def usable(self) -> tuple[Pool, ...]:
        """Pools with a known accelerator that grow for a Pod, the best one to scale first.

        The given pool, then pools that an autoscaler reports; among them, whichever autoscaler's they are, pools that
        can grow before those that cannot, spot capacity last, then the smallest: it is hardest to scale up from zero.
        """
        order = (GIVEN, BY_KARPENTER, BY_CLUSTER_AUTOSCALER, BY_PROVIDER, BY_COMPUTE_CLASS, BY_LABEL)

        def place(pool: Pool) -> tuple[bool, bool, bool, bool, int, bool, int, str]:
            found = pool.by != GIVEN, pool.by == BY_LABEL
            return *found, bool(pool.full), bool(pool.problem), order.index(pool.by), pool.spot, pool.size, pool.name

        return tuple(sorted((pool for pool in self.pools if pool.resource and not pool.queued), key=place))

    @property
    def unknown(self) -> tuple[Pool, ...]:
        """Pools of which nothing shows whether they have accelerators."""
        return tuple(pool for pool in self.pools if not pool.resource and not pool.without)


def by_label(
    nodes: Iterable[Object],
    known: set[tuple[str, str]],
    profiles: Profiles | None = None,
    by_dra: Collection[str] = (),
) -> list[Pool]:
    """Pools of managed platforms with accelerators, without the known ones. by_dra: as in `pool_of`."""
    nodes = list(nodes)
    found = (with_label(nodes, label) for label in known)
    told = {node["metadata"]["name"] for members in found for node in members}
    labels = sorted(
        label
        for label in managed_labels(nodes) - known
        if label[0] not in _IDENTIFIERS
        and any(node["metadata"]["name"] not in told for node in with_label(nodes, label))
    )
    pools = [pool_of(label[1], BY_LABEL, label, with_label(nodes, label), profiles, by_dra) for label in labels]
    return [pool for pool in pools if pool.resource or pool.by_claims]


def managed_labels(nodes: Iterable[Object]) -> set[tuple[str, str]]:
    """The labels of these nodes by which managed platforms name pools."""
    return {(key, value) for node in nodes for key in POOL_LABELS if (value := labels_of(node).get(key))}


def pool_of(
    name: str,
    by: str,
    label: tuple[str, str] | None,
    members: Sequence[Object],
    profiles: Profiles | None = None,
    by_dra: Collection[str] = (),
    **fields: Any,
) -> Pool:
    """The pool of these nodes; `fields` take precedence over what the nodes show, and taints are added to theirs.

    profiles: the known accelerators, by default those that come with the suite. by_dra: names of nodes whose
    accelerators are offered by Dynamic Resource Allocation.
    """
    working = [node for node in members if usable_node(node) is None]
    taints = {(taint["key"], taint["effect"]) for node in working for taint in node["spec"].get("taints") or []}
    taints |= set(fields.pop("taints", ()))
    claimed = only_by_claims(members, by_dra, profiles)
    resource = fields.pop("resource", "") or most_offered(members, profiles)
    # For nodes whose driver does not run yet.
    told = "" if claimed or renamed(members, profiles) else labelled(members)
    resource = resource or told
    without = fields.pop("without", "")
    flexible = bool(working) and all(labels_of(node).get(_FLEXIBLE) == "true" for node in working)
    return Pool(
        name,
        by,
        label,
        size=fields.pop("size", len(members)),
        resource=resource,
        amount=fields.pop("amount", None) or _together(resource, members, profiles or load_profiles()),
        without="" if resource else without,
        full=fields.pop("full", "") or other_system(labels_of(node).get(SYSTEM, "linux") for node in members),
        limits=fields.pop("limits", "") or (FLEX_START if flexible else ""),
        spot=fields.pop("spot", bool(working) and all(is_spot(labels_of(node)) for node in working)),
        taints=tuple(sorted(taints)),
        queued=any(key in QUEUED_TAINTS for key, _ in taints),
        by_claims=claimed and not resource,
        **fields,
    )


def _together(resource: str, members: Iterable[Object], profiles: Profiles) -> int:
    """How many of a resource a Pod must request at once on these nodes; 1 if they do not show it."""
    profile = profiles.by_resource(resource)
    if profile is None or not profile.whole_host:
        return 1
    return max((offers(node, profiles).get(resource, 1) for node in members), default=1)


def is_spot(labels: Mapping[str, str]) -> bool:
    return any(labels.get(key) == value for key, value in SPOT_LABELS)
