"""Node pools that clouds scale themselves, and autoscalers that describe no pools."""

from __future__ import annotations

from typing import Any

import pytest

from aiconform.check import NotApplicable, NothingToLookAt
from aiconform.checks.cluster_autoscaling.choice import choose
from aiconform.checks.cluster_autoscaling.options import ClusterAutoscaling
from aiconform.cluster import ClusterError, Forbidden, NotFound
from aiconform.platform.accelerators.offered import Accelerators
from aiconform.platform.accelerators.options import NOTHING_SAID
from aiconform.platform.autoscaling.discovery import discover
from aiconform.platform.autoscaling.pools import BY_CLUSTER_AUTOSCALER, BY_LABEL, BY_PROVIDER, Autoscaling
from aiconform.platform.autoscaling.providers import KINDS, PoolKind

Object = dict[str, Any]
COREWEAVE, OVHCLOUD = KINDS


class Cloud:
    """A platform and its cluster: nodes, Deployments by their names, NodePools of one kind, groups of a status."""

    def __init__(
        self,
        *nodes: Object,
        deployments: tuple[str, ...] = (),
        pools: tuple[Object, ...] = (),
        kind: PoolKind = COREWEAVE,
        groups: tuple[str, ...] = (),
        refused: bool | ClusterError = False,
    ) -> None:
        self.cluster, self.said, self._kind, self._refused = self, NOTHING_SAID, kind, refused
        self._nodes, self._pools, self._groups = list(nodes), pools, groups
        spec = {"template": {"spec": {"containers": [{"image": "example.com/controller:1"}]}}}
        self._deployments = [{"metadata": {"name": name, "namespace": "a"}, "spec": spec} for name in deployments]

    async def groups(self) -> dict[str, tuple[str, ...]]:
        return {self._kind.group: ("v1alpha1",)} if self._pools or self._refused else {}

    async def nodes(self) -> list[Object]:
        return self._nodes

    async def deployments(self) -> list[Object]:
        return self._deployments

    async def all_accelerators(self) -> Accelerators:
        return Accelerators((), ())

    async def list(self, api_version: str, kind: str, *, fields: str = "") -> Any:
        if kind == "ConfigMap":
            text = "".join(
                f"- name: {name}\n  health: {{status: Healthy, cloudProviderTarget: 1, minSize: 0, maxSize: 4}}\n"
                for name in self._groups
            )
            if text:
                metadata = {"name": "cluster-autoscaler-status", "namespace": "kube-system"}
                yield {"metadata": metadata, "data": {"status": f"nodeGroups:\n{text}"}}
            return
        assert (api_version, kind) == (self._kind.api_version, "NodePool")
        if self._refused:
            no = Forbidden("no permission to list nodepools", verb="list", resource="nodepools")
            raise self._refused if isinstance(self._refused, ClusterError) else no
        for each in self._pools:
            yield each


def node(name: str, **labels: str) -> Object:
    return {
        "metadata": {"name": name, "labels": {key.replace("__", "/"): value for key, value in labels.items()}},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"nvidia.com/gpu": "8"}},
    }


def node_pool(name: str, kind: PoolKind = COREWEAVE, *, scales: bool = True, **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {kind.scales: scales, "minNodes": 0, "maxNodes": 4, **spec}}


def of_pool(kind: PoolKind = COREWEAVE) -> Object:
    return node("a", **{kind.label.replace("/", "__"): "train"})


async def found(about: Any, **options: Any) -> Autoscaling:
    return await discover(about, **options)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.cloud)
async def test_a_pool_that_its_cloud_scales_is_read_from_its_object(kind: PoolKind) -> None:
    seen = await found(Cloud(of_pool(kind), pools=(node_pool("train", kind), node_pool("empty", kind)), kind=kind))
    assert seen.autoscalers == (kind.cloud,)
    pool = seen.usable[0]
    assert (pool.name, pool.by, pool.resource) == ("train", BY_PROVIDER, "nvidia.com/gpu")
    assert (pool.size, pool.minimum, pool.maximum, pool.full) == (1, 0, 4, "")
    # Nothing shows the hardware of a pool without nodes.
    assert [each.name for each in seen.unknown] == ["empty"]
    with pytest.raises(NothingToLookAt, match=f"but there is {kind.cloud}"):
        choose(seen, ClusterAutoscaling(none=True))


async def test_a_pool_that_may_not_grow_is_not_waited_for() -> None:
    for pool, why in (
        (node_pool("train", maxNodes=1), "its maximum of 1 nodes is reached"),
        (node_pool("train", scales=False), "its autoscaling is off: it is of fixed size"),
    ):
        with pytest.raises(NothingToLookAt, match=why):
            choose(await found(Cloud(of_pool(), pools=(pool,))), ClusterAutoscaling())
    fixed = await found(Cloud(of_pool(), pools=(node_pool("train", scales=False),)))
    assert fixed.autoscalers == ()
    with pytest.raises(NotApplicable):
        choose(fixed, ClusterAutoscaling(none=True))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.cloud)
async def test_pools_without_accelerators_and_those_that_nothing_scales_let_a_user_say_none(kind: PoolKind) -> None:
    working = of_pool(kind)
    del working["status"]["allocatable"]["nvidia.com/gpu"]
    fixed = node("b", **{kind.label.replace("/", "__"): "fixed"})
    pools = (node_pool("train", kind), node_pool("fixed", kind, scales=False))
    seen = await found(Cloud(working, fixed, pools=pools, kind=kind))
    with pytest.raises(NotApplicable, match=rf"no pool that {kind.cloud} scales has accelerators: train \("):
        choose(seen, ClusterAutoscaling(none=True))
    # One that is scaled and has some, or may have, still counts.
    for others, more in (((fixed,), node_pool("fixed", kind)), ((), node_pool("empty", kind))):
        seen = await found(Cloud(working, *others, pools=(node_pool("train", kind), more), kind=kind))
        with pytest.raises(NothingToLookAt, match=f"but there is {kind.cloud}"):
            choose(seen, ClusterAutoscaling(none=True))


async def test_a_node_that_takes_longer_than_a_run_waits_is_not_ordered() -> None:
    about = Cloud(of_pool(), pools=(node_pool("train"),))
    with pytest.raises(NothingToLookAt, match=r"up to 1800 s .*node_added_seconds=2700"):
        choose(await found(about), ClusterAutoscaling())
    assert choose(await found(about), ClusterAutoscaling(node_added_seconds=2700)).name == "train"


@pytest.mark.parametrize(("flavor", "slow"), [("t1-45", True), ("t2-le-90", True), ("l4-90", False), ("b3-16", False)])
async def test_a_flavor_that_its_cloud_calls_slow_is_not_ordered(flavor: str, slow: bool) -> None:
    about = Cloud(of_pool(OVHCLOUD), pools=(node_pool("train", OVHCLOUD, flavor=flavor),), kind=OVHCLOUD)
    seen = await found(about)
    if slow:
        with pytest.raises(NothingToLookAt, match=r"up to 3900 s .*node_added_seconds=4800"):
            choose(seen, ClusterAutoscaling())
    assert choose(seen, ClusterAutoscaling(node_added_seconds=4800 if slow else 1200)).name == "train"


async def test_what_cluster_autoscaler_reports_of_such_a_pool_counts_once() -> None:
    seen = await found(Cloud(of_pool(), pools=(node_pool("train"),), groups=("train",)))
    assert [(pool.name, pool.by, pool.comes_seconds) for pool in seen.pools] == [
        ("train", BY_CLUSTER_AUTOSCALER, COREWEAVE.comes_seconds)
    ]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.cloud)
async def test_who_may_not_list_the_objects_is_told_what_is_missing(kind: PoolKind) -> None:
    seen = await found(Cloud(of_pool(kind), kind=kind, refused=True))
    # OVHcloud's label is anybody's.
    assert [(pool.name, pool.by) for pool in seen.pools] == [("train", BY_LABEL)] * (kind is COREWEAVE)
    why = f"NodePools of {kind.cloud} are not known: no permission to list nodepools"
    assert seen.problems == (why,)
    with pytest.raises(NothingToLookAt, match=f"none is set, but there is {why}"):
        choose(seen, ClusterAutoscaling(none=True))


async def test_objects_that_are_not_served_are_no_problem() -> None:
    seen = await found(Cloud(node("a"), refused=NotFound("no such kind", status=404)))
    assert (seen.problems, seen.pools) == ((), ())


@pytest.mark.parametrize(
    ("about", "name"),
    [
        (Cloud(node("a", **{"provisioner.cast.ai__managed-by": "cast.ai"})), "CAST AI"),
        (Cloud(node("a"), deployments=("castai-pod-pinner",)), "CAST AI"),
        (Cloud(node("a", **{"spotinst.io__node-lifecycle": "od"})), "Spot Ocean"),
        (Cloud(node("a"), deployments=("ocean-controller-ocean-kubernetes-controller",)), "Spot Ocean"),
    ],
)
async def test_an_autoscaler_without_pools_is_one(about: Cloud, name: str) -> None:
    seen = await found(about)
    assert (seen.autoscalers, seen.pools) == ((name,), ())
    with pytest.raises(NothingToLookAt, match=f"there is {name}, but no pool was found"):
        choose(seen, ClusterAutoscaling())
    with pytest.raises(NothingToLookAt, match=f"none is set, but there is {name}"):
        choose(seen, ClusterAutoscaling(none=True))


async def test_where_nothing_scales_nodes_the_user_is_believed() -> None:
    # These are there to watch costs, or to set the requests of workloads.
    for deployment in ("castai-agent", "castai-cluster-controller", "castai-evictor", "castai-workload-autoscaler"):
        with pytest.raises(NotApplicable, match="CAST AI and Spot Ocean"):
            choose(await found(Cloud(node("a"), deployments=(deployment,))), ClusterAutoscaling(none=True))
