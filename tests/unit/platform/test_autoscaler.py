"""Which autoscalers and pools a platform shows: Karpenter's NodePools, Cluster Autoscaler's status, labels."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.cluster import NotFound
from aiconform.platform.autoscaling.cluster_autoscaler import node_group
from aiconform.platform.autoscaling.discovery import discover
from aiconform.platform.autoscaling.karpenter import node_pool
from aiconform.platform.autoscaling.pools import (
    BY_CLUSTER_AUTOSCALER,
    BY_KARPENTER,
    BY_LABEL,
    GIVEN,
    Autoscaling,
    Pool,
    offers,
)
from aiconform.platform.autoscaling.status import BadStatus, NodeGroup, parse_status

Object = dict[str, Any]

# The form since 1.30, as Cluster Autoscaler writes it.
NEW_STATUS = """\
time: 2026-05-13 09:00:05.318134374 +0000 UTC
autoscalerStatus: Running
clusterWide:
  health:
    status: Healthy
    nodeCounts:
      registered: {total: 5, ready: 5, notStarted: 0}
      longUnregistered: 0
      unregistered: 0
    lastProbeTime: "2026-05-13T09:00:05Z"
  scaleUp: {status: NoActivity}
  scaleDown: {status: NoCandidates}
nodeGroups:
- name: https://www.example.com/compute/v1/projects/p/zones/z/instanceGroups/gke-ai-gpu-pool-1b2c3d4e-grp
  health:
    status: Healthy
    nodeCounts:
      registered: {total: 1, ready: 1, notStarted: 0}
    cloudProviderTarget: 1
    minSize: 0
    maxSize: 4
  scaleUp: {status: NoActivity}
  scaleDown: {status: NoCandidates}
- name: eks-cpu-6ac2b4ad-0000
  health: {status: Unhealthy, cloudProviderTarget: 3, minSize: 3, maxSize: 3}
  scaleUp: {status: Backoff}
"""

# The form before, which is for people.
OLD_STATUS = """\
Cluster-autoscaler status at 2023-11-03 10:49:03.283394837 +0000 UTC:
Cluster-wide:
  Health:      Healthy (ready=4 unready=0 notStarted=0 longNotStarted=0 registered=4 longUnregistered=0)
               LastProbeTime:      2023-11-03 10:49:02 +0000 UTC m=+2031
  ScaleUp:     NoActivity (ready=4 registered=4)
  ScaleDown:   NoCandidates (candidates=0)

NodeGroups:
  Name:        https://www.example.com/compute/v1/projects/p/zones/z/instanceGroups/gke-ai-gpu-pool-1b2c3d4e-grp
  Health:      Healthy (ready=1 unready=0 notStarted=0 registered=1 longUnregistered=0 cloudProviderTarget=1 (minSize=0, maxSize=4))
               LastProbeTime:      2023-11-03 10:49:02 +0000 UTC m=+2031
  ScaleUp:     NoActivity (ready=1 cloudProviderTarget=1)
  ScaleDown:   NoCandidates (candidates=0)

  Name:        eks-cpu-6ac2b4ad-0000
  Health:      Unhealthy (ready=3 unready=0 notStarted=0 registered=3 longUnregistered=0 cloudProviderTarget=3 (minSize=3, maxSize=3))
  ScaleUp:     Backoff (ready=3 cloudProviderTarget=3)
"""  # noqa: E501
URL = "https://www.example.com/compute/v1/projects/p/zones/z/instanceGroups/gke-ai-gpu-pool-1b2c3d4e-grp"
GROUPS = (
    NodeGroup(URL, 0, 4, 1, "Healthy", "NoActivity"),
    NodeGroup("eks-cpu-6ac2b4ad-0000", 3, 3, 3, "Unhealthy", "Backoff"),
)


def node(name: str, labels: dict[str, str] | None = None, *, taint: str = "", **allocatable: str) -> Object:
    return {
        "metadata": {"name": name, "labels": labels or {}, "uid": name},
        "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}] if taint else []},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": {key.replace("__", "/"): value for key, value in allocatable.items()},
        },
    }


GPU = {"nvidia.com__gpu": "8"}


class FakeCluster:
    def __init__(self, pools: list[Object], status: str | None) -> None:
        self._pools, self._status = pools, status

    async def list(self, api_version: str, kind: str) -> Any:
        assert kind == "NodePool"
        for pool in self._pools:
            yield pool

    async def get(self, api_version: str, kind: str, name: str, namespace: str) -> Object:
        assert (kind, name, namespace) == ("ConfigMap", "cluster-autoscaler-status", "kube-system")
        if self._status is None:
            raise NotFound("no such ConfigMap")
        return {"data": {"status": self._status}}


class FakePlatform:
    def __init__(
        self,
        nodes: list[Object],
        *,
        served: tuple[str, ...] = (),
        pools: list[Object] | None = None,
        status: str | None = None,
    ) -> None:
        self.cluster = FakeCluster(pools or [], status)
        self._groups = {"karpenter.sh": served} if served else {}
        self._nodes = nodes

    async def groups(self) -> dict[str, tuple[str, ...]]:
        return self._groups

    async def nodes(self) -> list[Object]:
        return self._nodes


async def find(platform: FakePlatform, **options: str) -> Autoscaling:
    return await discover(platform, **options)  # type: ignore[arg-type]


def karpenter_pool(name: str = "gpu", **spec: Any) -> Object:
    taints = [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
    return {
        "metadata": {"name": name},
        "spec": {"limits": {"cpu": "1000"}, "template": {"spec": {"taints": taints}}, **spec},
        "status": {"resources": {"cpu": "8"}, "conditions": [{"type": "Ready", "status": "True"}]},
    }


# Cluster Autoscaler


@pytest.mark.parametrize("text", [NEW_STATUS, OLD_STATUS], ids=["yaml", "text"])
def test_a_status_of_either_form_says_the_same(text: str) -> None:
    assert parse_status(text) == GROUPS


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("hello", "neither"),
        ("a: b", "neither"),
        ("nodeGroups: [{name: x}]", "unknown fields"),
        ("nodeGroups: [3]", "unknown fields"),
        ("{", "not YAML"),
        ("nodeGroups: []\n---\nnodeGroups: []", "neither"),
        ("Cluster-autoscaler status at noon:\nNodeGroups:\n  Name: x\n  Health: fine\n", "x has no Health"),
    ],
)
def test_a_status_that_is_none_is_said_to_be(text: str, told: str) -> None:
    with pytest.raises(BadStatus, match=told):
        parse_status(text)


@given(st.text())
def test_no_text_is_more_than_a_bad_status(text: str) -> None:
    try:
        groups = parse_status(text)
    except BadStatus as error:
        assert str(error)  # noqa: PT017 - most texts are none, and a few may be one
    else:
        assert isinstance(groups, tuple)


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_sizes_are_the_same_in_both_forms(minimum: int, maximum: int, target: int) -> None:
    old = (
        f"Cluster-autoscaler status at x:\nNodeGroups:\n  Name:  g\n  Health:  Healthy (ready=1 "
        f"cloudProviderTarget={target} (minSize={minimum}, maxSize={maximum}))\n"
    )
    new = (
        "autoscalerStatus: Running\nnodeGroups:\n- name: g\n  health: {status: Healthy, "
        f"cloudProviderTarget: {target}, minSize: {minimum}, maxSize: {maximum}}}\n"
    )
    assert parse_status(old) == parse_status(new) == (NodeGroup("g", minimum, maximum, target, "Healthy"),)


async def test_a_node_group_is_found_again_by_the_managed_pool_s_label_in_its_name() -> None:
    labels = {"cloud.google.com/gke-nodepool": "gpu-pool"}
    nodes = [node("a", labels, taint="nvidia.com/gpu", **GPU), node("b", {"cloud.google.com/gke-nodepool": "gpu"})]
    found = await find(FakePlatform(nodes, status=NEW_STATUS))
    assert found.autoscalers == (BY_CLUSTER_AUTOSCALER,)
    pool, cpu = found.pools
    assert pool.label == ("cloud.google.com/gke-nodepool", "gpu-pool")
    assert (pool.resource, pool.taints) == ("nvidia.com/gpu", (("nvidia.com/gpu", "NoSchedule"),))
    assert (pool.size, pool.minimum, pool.maximum, pool.full, pool.problem) == (1, 0, 4, "", "")
    assert cpu.label is None
    assert "its minimum is its maximum, 3" in str(cpu)
    assert "Unhealthy" in cpu.problem
    assert "last scale-up failed" in cpu.problem
    assert found.usable[0] == pool


def test_a_full_group_says_so() -> None:
    assert node_group(NodeGroup("g", 0, 2, 2), []).full == "its maximum of 2 nodes is reached"


async def test_a_status_that_cannot_be_read_is_told_with_the_way_out() -> None:
    found = await find(FakePlatform([], status="?"))
    assert found.autoscalers == (BY_CLUSTER_AUTOSCALER,)
    assert "give pool=KEY=VALUE" in found.problems[0]


# Karpenter


async def test_an_empty_node_pool_tells_its_accelerator_by_its_taint_or_its_limits() -> None:
    limits = {"cpu": "10", "amd.com/gpu": "4"}
    pools = [karpenter_pool(), karpenter_pool("amd", limits=limits, template={"spec": {}})]
    found = await find(FakePlatform([node("n")], served=("v1",), pools=pools))
    assert found.autoscalers == (BY_KARPENTER,)
    gpu, amd = found.pools
    assert (gpu.resource, gpu.size, gpu.label) == ("nvidia.com/gpu", 0, ("karpenter.sh/nodepool", "gpu"))
    assert amd.resource == "amd.com/gpu"
    assert gpu.full == amd.full == ""


async def test_what_its_nodes_offer_goes_before_what_its_limits_name() -> None:
    members = [node("a", {"karpenter.sh/nodepool": "gpu"}, **{"habana.ai__gaudi": "8"})]
    (pool,) = (await find(FakePlatform(members, served=("v1",), pools=[karpenter_pool()]))).pools
    # Its own status and limits say nothing of an accelerator but by the taint, which is the Pod's way in.
    assert pool.size == 1
    assert "nvidia.com/gpu" in dict(pool.taints)


@pytest.mark.parametrize(
    ("limits", "used", "full"),
    [
        ({"nvidia.com/gpu": "8"}, {"nvidia.com/gpu": "8"}, "its limit of 8 nvidia.com/gpu is reached"),
        ({"nvidia.com/gpu": "0"}, {}, "its limit of 0 nvidia.com/gpu is reached"),
        ({"cpu": "1k"}, {"cpu": "1000"}, "its limit of 1k cpu is reached"),
        ({"memory": "1Ti"}, {"memory": "1023Gi"}, ""),
        ({"cpu": "500m"}, {"cpu": "0.5"}, "its limit of 500m cpu is reached"),
        ({"cpu": "a lot"}, {"cpu": "1"}, ""),
        ({}, {"cpu": "1"}, ""),
    ],
)
def test_a_limit_that_is_reached_is_told(limits: dict[str, str], used: dict[str, str], full: str) -> None:
    pool = karpenter_pool(limits=limits)
    pool["status"]["resources"] = used
    assert node_pool(pool, []).full == full


def test_a_pool_of_fixed_size_and_one_that_is_not_ready_are_told() -> None:
    assert node_pool(karpenter_pool(replicas=2), []).full == "it is of fixed size"
    pool = karpenter_pool()
    pool["status"]["conditions"] = [{"type": "Ready", "status": "False", "message": "no NodeClass"}]
    assert node_pool(pool, []).problem == "not Ready: no NodeClass"


async def test_an_unknown_version_is_told_with_the_way_out() -> None:
    found = await find(FakePlatform([], served=("v3", "v2")))
    assert found.pools == ()
    assert "served as v3, v2, and only v1, v1beta1 are known" in found.problems[0]
    assert "pool=KEY=VALUE" in found.problems[0]


async def test_karpenter_without_a_pool_is_told() -> None:
    assert (await find(FakePlatform([], served=("v1beta1",)))).problems == (
        "Karpenter is installed, but there is no NodePool",
    )


# Labels, and what is given


async def test_a_managed_pool_with_accelerators_is_found_by_its_label_alone() -> None:
    nodes = [
        node("a", {"eks.amazonaws.com/nodegroup": "gpu"}, **GPU),
        node("b", {"eks.amazonaws.com/nodegroup": "cpu"}),
        node("c"),
    ]
    found = await find(FakePlatform(nodes))
    (pool,) = found.pools
    assert (pool.by, pool.name, pool.size) == (BY_LABEL, "gpu", 1)
    assert found.autoscalers == ()
    assert any("eks.amazonaws.com/nodegroup" in text for text in found.looked)


async def test_a_given_label_goes_before_all_and_keeps_what_is_known_of_it() -> None:
    nodes = [node("a", {"team": "ml"}, **GPU)]
    platform = FakePlatform(nodes, served=("v1",), pools=[karpenter_pool()])
    (pool,) = (await find(platform, given="team=ml")).usable
    assert (pool.by, pool.size, pool.resource) == (GIVEN, 1, "nvidia.com/gpu")
    (pool,) = (await find(platform, given="karpenter.sh/nodepool=gpu")).usable
    assert (pool.by, pool.limits) == (GIVEN, "limits cpu: 1000")
    with pytest.raises(ValueError, match="KEY=VALUE"):
        await find(platform, given="ml")


async def test_an_empty_pool_is_asked_for_what_others_offer_unless_something_is_given() -> None:
    platform = FakePlatform([node("a", **GPU)])
    assert (await find(platform, given="pool=new")).usable[0].resource == "nvidia.com/gpu"
    assert (await find(platform, given="pool=new", resource="google.com/tpu")).usable[0].resource == "google.com/tpu"
    assert (await find(FakePlatform([]), given="pool=new")).usable == ()


def test_the_pool_that_can_grow_from_nothing_is_tried_first() -> None:
    def pool(name: str, by: str = BY_KARPENTER, **fields: Any) -> Pool:
        return Pool(name, by, **({"resource": "nvidia.com/gpu"} | fields))

    pools = (
        pool("label", BY_LABEL),
        pool("full", full="its limit is reached"),
        pool("broken", problem="not Ready"),
        pool("two", size=2),
        pool("empty"),
        pool("plain", resource=""),
    )
    assert [each.name for each in Autoscaling(pools=pools).usable] == ["empty", "two", "broken", "full", "label"]


def test_only_known_accelerators_count() -> None:
    offered = offers(node("a", **GPU, **{"example.com__fpga": "1", "amd.com__gpu": "0"}))
    assert offered == {"nvidia.com/gpu": 8}
    assert offers({"status": {}}) == {}
