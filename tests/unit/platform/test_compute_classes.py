"""GKE's ComputeClasses as pools: what their priorities say of accelerators, and which Pod makes GKE create a node."""

from __future__ import annotations

from typing import Any

import pytest

from aiconform.check import NothingToLookAt
from aiconform.checks.cluster_autoscaling.choice import choose
from aiconform.checks.cluster_autoscaling.options import ClusterAutoscaling
from aiconform.checks.cluster_autoscaling.waiting_pod import waiting_pod_manifest
from aiconform.cluster import Forbidden, NotFound
from aiconform.platform.autoscaling.compute_class import compute_class, compute_classes
from aiconform.platform.autoscaling.pools import BY_CLUSTER_AUTOSCALER, BY_COMPUTE_CLASS, Autoscaling, Pool
from aiconform.platform.autoscaling.shortages import shortage

Object = dict[str, Any]
GPU, TPU = "nvidia.com/gpu", "google.com/tpu"


def a_class(*priorities: Object, name: str = "c", auto: bool = True, **spec: Any) -> Object:
    enabled = {"nodePoolAutoCreation": {"enabled": auto}}
    return {"metadata": {"name": name}, "spec": {"priorities": list(priorities), **enabled, **spec}}


def node(name: str, class_: str, taint: str = "", **allocatable: str) -> Object:
    return {
        "metadata": {"name": name, "uid": name, "labels": {"cloud.google.com/compute-class": class_}},
        "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}] if taint else []},
        "status": {
            "allocatable": {key.replace("__", "/"): value for key, value in allocatable.items()},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


class FakePlatform:
    def __init__(self, *found: Object, served: bool = True, error: Exception | None = None) -> None:
        self._found, self._served, self._error = found, served, error
        self.cluster = self

    async def groups(self) -> dict[str, tuple[str, ...]]:
        return {"cloud.google.com": ("v1",)} if self._served else {}

    async def list(self, api_version: str, kind: str) -> Any:
        assert (api_version, kind) == ("cloud.google.com/v1", "ComputeClass")
        if self._error:
            raise self._error
        for each in self._found:
            yield each


async def found(platform: FakePlatform, *nodes: Object) -> Autoscaling:
    return await compute_classes(platform, nodes)  # type: ignore[arg-type]


L4 = {"gpu": {"type": "nvidia-l4", "count": 1}}


@pytest.mark.parametrize(
    ("priorities", "resource", "amount", "spot"),
    [
        ([L4], GPU, 1, False),
        ([{**L4, "spot": True}], GPU, 1, True),
        ([{**L4, "spot": True}, L4], GPU, 1, False),
        ([{"machineFamily": "n4"}, L4], GPU, 1, False),
        # A Pod asks for all chips of a node.
        ([{"tpu": {"type": "tpu-v6e-slice", "count": 8, "topology": "2x4"}}], TPU, 8, False),
        ([{"tpu": {"type": "t", "count": 4, "topology": "4x4"}}, L4], GPU, 1, False),
    ],
)
def test_priorities_say_what_a_pod_requests(priorities: list[Object], resource: str, amount: int, spot: bool) -> None:
    pool = compute_class(a_class(*priorities), [])
    assert (pool.resource, pool.amount, pool.spot, pool.by, pool.full) == (resource, amount, spot, BY_COMPUTE_CLASS, "")


@pytest.mark.parametrize(
    "priorities",
    [
        [],
        [{"spot": True, "minCores": 4}],
        [{"machineFamily": "n4"}, {"machineType": "e2-standard-4"}],
        [{"podFamily": "x"}],
    ],
)
def test_a_class_without_accelerators_is_never_tried(priorities: list[Object]) -> None:
    pool = compute_class(a_class(*priorities), [])
    assert (pool.resource, pool.without) == ("", "its priorities ask for no gpu or tpu")


@pytest.mark.parametrize(
    ("item", "limits"),
    [
        (a_class({"nodepools": ["a"]}), ""),
        (a_class({"machineType": "a2-highgpu-1g"}), ""),
        (a_class({"machineFamily": "n4"}, {"machineFamily": "new1"}), ""),
        (a_class({"tpu": {"type": "t", "count": 4, "topology": "4x4"}}), "its TPU slices have several hosts"),
        (a_class(L4, auto=False), "it creates no node pools"),
    ],
)
def test_what_nothing_shows_is_asked_about(item: Object, limits: str) -> None:
    pool = compute_class(item, [])
    assert (pool.resource, pool.without, pool.limits) == ("", "", limits)


def test_the_pod_selects_the_class_and_tolerates_the_taints_of_its_nodes() -> None:
    item = a_class(L4, name="l4", nodePoolConfig={"taints": [{"key": "team", "value": "ml", "effect": "NoSchedule"}]})
    pool = compute_class(item, [node("n", "l4", "other.example.com/x", nvidia_com__gpu="1"), node("m", "cpu")])
    assert pool.size == 1
    spec = waiting_pod_manifest("w", pool, "image", "low")["spec"]
    assert spec["nodeSelector"] == {"cloud.google.com/compute-class": "l4"}
    tolerated = {each["key"] for each in spec["tolerations"]}
    assert tolerated == {"cloud.google.com/compute-class", "team", "other.example.com/x", GPU}


async def test_what_is_served_and_may_be_read() -> None:
    assert await found(FakePlatform(served=False)) == Autoscaling()
    assert (await found(FakePlatform(error=NotFound("x")))).pools == ()
    refused = await found(FakePlatform(error=Forbidden("no list", verb="list", resource="computeclasses")))
    assert refused.problems == ("ComputeClasses are not known: no list",)
    both = await found(FakePlatform(a_class(L4, name="a"), a_class(name="b")))
    assert (both.autoscalers, [pool.name for pool in both.pools]) == ((BY_COMPUTE_CLASS,), ["a", "b"])


async def test_a_class_that_creates_no_pools_is_its_pools_where_it_has_nodes() -> None:
    item = a_class(L4, name="manual", auto=False)
    assert await found(FakePlatform(item), node("n", "manual")) == Autoscaling(
        looked=("ComputeClasses of cloud.google.com",)
    )
    (asked,) = (await found(FakePlatform(item))).unknown
    assert asked.name == "manual"


def test_a_class_is_tried_where_no_group_of_nodes_may_grow() -> None:
    class_ = compute_class(a_class(L4), [])
    group = Pool("group", BY_CLUSTER_AUTOSCALER, resource=GPU, size=1, maximum=2)
    full = Pool("full", BY_CLUSTER_AUTOSCALER, resource=GPU, size=2, maximum=2, full="its maximum of 2 is reached")
    assert choose(Autoscaling(pools=(class_, group)), ClusterAutoscaling()) == group
    assert choose(Autoscaling(pools=(class_, full)), ClusterAutoscaling()) == class_


def test_a_class_whose_nodes_offer_accelerators_to_claims_alone_is_not_scaled_for_an_extended_resource() -> None:
    class_, member = a_class(L4), node("n", "c")
    assert compute_class(class_, [member]).resource == GPU
    claimed = compute_class(class_, [member], by_dra={"n"})
    assert (claimed.resource, claimed.by_claims) == ("", True)
    offering = node("n", "c", **{"nvidia.com__gpu": "1"})
    both = compute_class(class_, [offering], by_dra={"n"})
    assert (both.resource, both.by_claims) == (GPU, False)


def test_what_a_class_says_of_the_time_that_its_nodes_take_is_read() -> None:
    slow = compute_class(a_class(L4, autoscalingPolicy={"consolidationDelayMinutes": 120}), [])
    assert slow.keeps_seconds == 7200
    with pytest.raises(NothingToLookAt, match=r"keeps nodes that nothing uses for 7200 s.*node_removed_seconds=8100"):
        choose(Autoscaling(pools=(slow,)), ClusterAutoscaling())
    assert choose(Autoscaling(pools=(slow,)), ClusterAutoscaling(node_removed_seconds=8100)) == slow
    flexible = compute_class(a_class({**L4, "flexStart": {"enabled": True}}), [])
    assert shortage([flexible.limits])
    assert not shortage([compute_class(a_class({**L4, "flexStart": {"enabled": True}}, L4), []).limits])
