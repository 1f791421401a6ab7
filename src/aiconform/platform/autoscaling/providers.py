"""Node pools that a cloud scales itself and describes as objects in the cluster, and autoscalers that describe none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from aiconform.cluster import Forbidden, NotFound, Object
from aiconform.platform.accelerators.profiles import Profiles
from aiconform.platform.autoscaling.members import labels_of, offering_nothing, with_label
from aiconform.platform.autoscaling.pools import BY_PROVIDER, Autoscaling, Pool, pool_of
from aiconform.platform.inventory import Platform


@dataclass(frozen=True)
class PoolKind:
    """A cloud's own NodePool.

    scales: the field of its spec that turns autoscaling on. label: that of its nodes. comes_seconds: how long the cloud
    says that a node takes; 0 if it does not say. slow: a shell pattern of the flavors of which it says so.
    """

    cloud: str
    api_version: str
    scales: str
    label: str
    comes_seconds: float = 0.0
    slow: str = "*"

    @property
    def group(self) -> str:
        return self.api_version.partition("/")[0]


KINDS = (
    # https://docs.coreweave.com/products/cks/reference/node-pool, https://docs.coreweave.com/products/cks/nodes/autoscaling
    PoolKind("CoreWeave", "compute.coreweave.com/v1alpha1", "autoscaling", "compute.coreweave.com/node-pool", 1800.0),
    # https://github.com/kubernetes/autoscaler/tree/master/cluster-autoscaler/cloudprovider/ovhcloud
    # GPU nodes of these flavors take "up to a bit more than one hour":
    # https://docs.ovhcloud.com/en/guides/public-cloud/containers-orchestration/managed-kubernetes/managed-kubernetes-known-limits
    PoolKind("OVHcloud", "kube.cloud.ovh.com/v1alpha1", "autoscale", "nodepool", 3900.0, "t[12]-*"),
)


@dataclass(frozen=True)
class Hidden:
    """An autoscaler whose pools are nowhere in the cluster: known by its Deployment, or by a label of its nodes."""

    name: str
    deployments: tuple[str, ...]
    label: str


_HIDDEN = (
    # https://docs.cast.ai/docs/autoscaler-reference-node-labels-and-taints. The cluster controller is part of the
    # autoscaler of workloads, too; the pod pinner is not: https://docs.cast.ai/docs/terraform-provider-eks
    Hidden("CAST AI", ("castai-pod-pinner",), "provisioner.cast.ai/managed-by"),
    # https://docs.spot.io/ocean/features/labels-and-taints
    Hidden(
        "Spot Ocean",
        ("spotinst-kubernetes-cluster-controller*", "*ocean-kubernetes-controller*"),
        "spotinst.io/node-lifecycle",
    ),
)


async def provided(
    platform: Platform, nodes: Sequence[Object], profiles: Profiles | None = None, by_dra: Collection[str] = ()
) -> Autoscaling:
    """Pools of clouds that scale them themselves, and autoscalers of which no pool is known. Raises ClusterError.

    by_dra: as in `pool_of`.
    """
    deployments = [each["metadata"]["name"] for each in await platform.deployments()]
    autoscalers = [
        each.name
        for each in _HIDDEN
        if any(each.label in labels_of(node) for node in nodes)
        or any(fnmatchcase(name, pattern) for name in deployments for pattern in each.deployments)
    ]
    looked = [f"nodes and controllers of {' and '.join(each.name for each in _HIDDEN)}"]
    pools: list[Pool] = []
    problems: list[str] = []
    for kind in KINDS:
        if kind.group not in await platform.groups():
            continue
        looked.append(f"NodePools of {kind.group}")
        try:
            found = [item async for item in platform.cluster.list(kind.api_version, "NodePool")]
        except NotFound:
            continue
        except Forbidden as error:
            problems.append(f"NodePools of {kind.cloud} are not known: {error}")
            continue
        autoscalers += [kind.cloud] if any(item["spec"].get(kind.scales) is True for item in found) else []
        pools += [provided_pool(item, kind, nodes, profiles, by_dra) for item in found]
    return Autoscaling(tuple(autoscalers), tuple(pools), tuple(looked), tuple(problems))


def provided_pool(
    item: Object,
    kind: PoolKind,
    nodes: Sequence[Object],
    profiles: Profiles | None = None,
    by_dra: Collection[str] = (),
) -> Pool:
    spec, name = item["spec"], item["metadata"]["name"]
    label = (kind.label, name)
    members = with_label(nodes, label)
    maximum = spec.get("maxNodes")
    full = "" if spec.get(kind.scales) is True else f"its {kind.scales} is off: it is of fixed size"
    if not full and maximum is not None and len(members) >= maximum:
        full = f"its maximum of {maximum} nodes is reached"
    return pool_of(
        name,
        BY_PROVIDER,
        label,
        members,
        profiles,
        by_dra,
        minimum=int(spec.get("minNodes") or 0),
        maximum=maximum,
        full=full,
        fixed=spec.get(kind.scales) is not True,
        without=offering_nothing(members, by_dra, profiles),
        comes_seconds=kind.comes_seconds if fnmatchcase(str(spec.get("flavor") or ""), kind.slow) else 0.0,
    )
