"""Which autoscalers and pools a platform shows: Karpenter's NodePools, Cluster Autoscaler's status, labels."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check import NothingToLookAt
from aiconform.checks.cluster_autoscaling.choice import choose
from aiconform.checks.cluster_autoscaling.options import ClusterAutoscaling
from aiconform.checks.cluster_autoscaling.waiting_pod import waiting_pod_manifest
from aiconform.cluster import NotFound
from aiconform.platform import Accelerators, NodeAccelerators
from aiconform.platform.accelerators.options import NOTHING_SAID
from aiconform.platform.accelerators.profiles import load_profiles
from aiconform.platform.autoscaling.cluster_autoscaler import BACKS_OFF, node_group, node_groups
from aiconform.platform.autoscaling.discovery import discover, known_with
from aiconform.platform.autoscaling.hardware import Hardware, stated
from aiconform.platform.autoscaling.karpenter import node_pool
from aiconform.platform.autoscaling.machines import machines
from aiconform.platform.autoscaling.members import offers
from aiconform.platform.autoscaling.pools import (
    BY_CLUSTER_AUTOSCALER,
    BY_KARPENTER,
    BY_LABEL,
    FLEX_START,
    GIVEN,
    Autoscaling,
    Pool,
    pool_of,
)
from aiconform.platform.autoscaling.shortages import shortage
from aiconform.platform.autoscaling.status import BadStatus, NodeGroup, parse_status

Object = dict[str, Any]

CAPACITY = "capacity.cluster-autoscaler.kubernetes.io"
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
  health: {status: Unhealthy, nodeCounts: {registered: {total: 3}}, cloudProviderTarget: 3, minSize: 3, maxSize: 3}
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
    NodeGroup(URL, 0, 4, 1, "Healthy", "NoActivity", 1),
    NodeGroup("eks-cpu-6ac2b4ad-0000", 3, 3, 3, "Unhealthy", "Backoff", 3),
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
    """maps: `NAMESPACE/NAME` of ConfigMaps -> the status in it."""

    def __init__(self, pools: list[Object], maps: dict[str, str]) -> None:
        self._pools = pools
        self._maps = [
            {"metadata": {"namespace": key.partition("/")[0], "name": key.partition("/")[2]}, "data": {"status": text}}
            for key, text in maps.items()
        ]

    async def list(self, api_version: str, kind: str, *, fields: str = "") -> Any:
        if kind == "NodePool":
            found = self._pools
        else:
            assert kind == "ConfigMap"
            found = [each for each in self._maps if fields == f"metadata.name={each['metadata']['name']}"]
        for each in found:
            yield each

    async def get(self, api_version: str, kind: str, name: str, namespace: str) -> Object:
        for each in self._maps:
            if each["metadata"] == {"namespace": namespace, "name": name}:
                return each
        raise NotFound("no such ConfigMap")


class FakePlatform:
    def __init__(
        self,
        nodes: list[Object],
        *,
        served: tuple[str, ...] = (),
        pools: list[Object] | None = None,
        status: str | None = None,
        maps: dict[str, str] | None = None,
        deployments: list[Object] | None = None,
        by_dra: tuple[str, ...] = (),
    ) -> None:
        there = {} if status is None else {"kube-system/cluster-autoscaler-status": status}
        self.cluster = FakeCluster(pools or [], there | (maps or {}))
        self._groups = {"karpenter.sh": served} if served else {}
        self._nodes = nodes
        self._deployments = deployments or []
        self.said = NOTHING_SAID
        self._by_dra = by_dra

    async def groups(self) -> dict[str, tuple[str, ...]]:
        return self._groups

    async def nodes(self) -> list[Object]:
        return self._nodes

    async def deployments(self) -> list[Object]:
        return self._deployments

    async def all_accelerators(self) -> Accelerators:
        offered = [NodeAccelerators("dra", name, "gpu.nvidia.com", "", total=1, free=1) for name in self._by_dra]
        return Accelerators(tuple(offered), ())


async def find(platform: FakePlatform, **options: Any) -> Autoscaling:
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


@pytest.mark.parametrize(
    ("key", "filled", "empty"),
    [
        ("eks.amazonaws.com/nodegroup", "eks-default-36c7e1b2-0000", "eks-default-gpu-58d0a2c4-0000"),
        ("cloud.google.com/gke-nodepool", "gke-c-default-11112222-grp", "gke-c-default-gpu-33334444-grp"),
        ("cloud.google.com/gke-nodepool", "gke-c-default-11112222-grp", "gke-default-gpu-33334444-grp"),
    ],
)
async def test_an_empty_group_is_no_pool_whose_name_is_a_part_of_its_own(key: str, filled: str, empty: str) -> None:
    nodes = [node("a", {key: "default"})]
    there, gone = (await find(FakePlatform(nodes, status=status_of((filled, 1), (empty, 0))))).pools
    assert (there.label, bool(there.without)) == ((key, "default"), True)
    # Nothing shows its hardware: it may be the one with accelerators.
    assert (gone.label, gone.without, gone.resource) == (None, "", "")
    given = await find(FakePlatform(nodes, status=status_of((filled, 1), (empty, 0))), given=f"{key}=default-gpu")
    assert given.pools[0].name == (empty if "-default-gpu-" in empty else f"{key}=default-gpu")


async def test_the_groups_of_a_pool_in_each_zone_have_its_label_also_where_they_are_empty() -> None:
    label = ("cloud.google.com/gke-nodepool", "gpu")
    groups = status_of(("gke-c-gpu-11112222-grp", 1), ("gke-c-gpu-33334444-grp", 0))
    found = await find(FakePlatform([node("a", dict([label]), **GPU)], status=groups))
    assert [(pool.label, pool.resource) for pool in found.pools] == [(label, "nvidia.com/gpu")] * 2


def status_of(*groups: tuple[str, int]) -> str:
    """The text form, with the number of nodes of each group."""
    return "Cluster-autoscaler status at x:\nNodeGroups:\n" + "".join(
        f"  Name:   {name}\n  Health:   Healthy (ready={size} cloudProviderTarget={size} (minSize=0, maxSize=4))\n"
        for name, size in groups
    )


async def test_the_groups_of_kops_are_found_by_the_name_before_that_of_the_cluster() -> None:
    label = "kops.k8s.io/instancegroup"
    nodes = [node("i-0a", {label: "nodes"}), node("i-0b", {label: "gpu-nodes"}, **GPU)]
    groups = [(f"{name}.ml.example.com", size) for name, size in (("nodes", 1), ("gpu-nodes", 1), ("big-nodes", 0))]
    found = await find(FakePlatform(nodes, status=status_of(*groups)))
    assert [(pool.label, pool.resource) for pool in found.pools] == [
        ((label, "nodes"), ""),
        ((label, "gpu-nodes"), "nvidia.com/gpu"),
        (None, ""),
    ]
    assert [pool.name for pool in found.unknown] == ["big-nodes.ml.example.com"]


async def test_a_group_that_is_called_as_its_pool_is_found_also_if_the_name_has_dots() -> None:
    pool = "ocid1.nodepool.oc1.iad.aaaa"
    nodes = [node("10.0.0.7", {"oke.oraclecloud.com/pool-id": pool}, **GPU)]
    (found,) = (await find(FakePlatform(nodes, status=status_of((pool, 1))))).pools
    assert (found.label, found.resource) == (("oke.oraclecloud.com/pool-id", pool), "nvidia.com/gpu")


async def test_a_group_that_is_called_by_the_identifier_of_its_pool_is_told_once() -> None:
    name, identifier = "doks.digitalocean.com/node-pool", "doks.digitalocean.com/node-pool-id"
    nodes = [node("a", {name: "gpu", identifier: "u-1"}, **GPU), node("b", {name: "cpu", identifier: "u-2"})]
    found = await find(FakePlatform(nodes, status=status_of(("u-1", 1), ("u-2", 1))))
    assert [(pool.by, pool.label, pool.resource) for pool in found.pools] == [
        (BY_CLUSTER_AUTOSCALER, (identifier, "u-1"), "nvidia.com/gpu"),
        (BY_CLUSTER_AUTOSCALER, (identifier, "u-2"), ""),
    ]
    # Without an autoscaler that people can see, the pool has the name that people gave it.
    assert [pool.label for pool in (await find(FakePlatform(nodes))).pools] == [(name, "gpu")]


async def test_a_pool_that_grows_only_for_a_provisioningrequest_is_not_taken_for_a_pod() -> None:
    label = "cloud.google.com/gke-nodepool"
    queued = node("a", {label: "dws"}, taint="cloud.google.com/gke-queued", **GPU)
    groups = (("gke-c-dws-1-grp", 1), ("gke-c-l4-1-grp", 2))
    nodes = [queued, *(node(name, {label: "l4"}, **GPU) for name in ("b", "c"))]
    found = await find(FakePlatform(nodes, status=status_of(*groups)))
    assert [pool.name for pool in found.usable] == ["gke-c-l4-1-grp"]
    found = await find(FakePlatform([queued], status=status_of(groups[0])))
    assert (found.usable, found.unknown) == ((), ())
    assert "only for a ProvisioningRequest" in str(found.pools[0])
    with pytest.raises(NothingToLookAt, match=r"only for a ProvisioningRequest.*Name a pool that grows for Pods"):
        choose(found, ClusterAutoscaling())


async def test_a_pool_by_its_label_is_taken_where_groups_have_names_of_the_cloud_s_own() -> None:
    label = "alibabacloud.com/nodepool-id"
    nodes = [node("a", {label: "np-cpu"}), node("b", {label: "np-gpu"}, **GPU)]
    found = await find(FakePlatform(nodes, status=status_of(("asg-uf6a1", 1), ("asg-uf6a2", 1))))
    assert [(pool.label, pool.by) for pool in found.usable] == [((label, "np-gpu"), BY_LABEL)]


@pytest.mark.parametrize("place", ["labels", "annotations"])
async def test_a_group_is_found_by_its_name_that_nodes_have_as_a_label_or_an_annotation(place: str) -> None:
    key = {"labels": "ibm-cloud.kubernetes.io/worker-pool-id", "annotations": "oci.oraclecloud.com/node-pool-id"}[place]
    nodes = [node("10.0.10.2"), node("10.0.10.3", **GPU)]
    for each, name in zip(nodes, ("ocid1.pool.cpu", "ocid1.pool.gpu"), strict=True):
        each["metadata"].setdefault(place, {})[key] = name
    groups = "".join(
        f"- {{name: {name}, health: {{status: Healthy, cloudProviderTarget: 1, minSize: 0, maxSize: 3}}}}\n"
        for name in ("ocid1.pool.cpu", "ocid1.pool.gpu")
    )
    found = await find(FakePlatform(nodes, status=f"autoscalerStatus: Running\nnodeGroups:\n{groups}"))
    assert [(pool.name, pool.by) for pool in found.usable] == [("ocid1.pool.gpu", BY_CLUSTER_AUTOSCALER)]
    assert found.unknown == ()


@pytest.mark.parametrize(
    ("notes", "resource", "without"),
    [
        # Neither says whose accelerators they are: on AWS it counts GPUs of every vendor, and no others.
        ({"machine.openshift.io/GPU": "1"}, "", ""),
        ({"machine.openshift.io/GPU": "0"}, "", ""),
        ({"machine.openshift.io/GPU": "8", f"{CAPACITY}/gpu-type": "amd.com/gpu"}, "amd.com/gpu", ""),
        ({f"{CAPACITY}/gpu-count": "8"}, "", ""),
        ({f"{CAPACITY}/gpu-count": "0"}, "", f"its annotation {CAPACITY}/gpu-count is 0"),
        ({f"{CAPACITY}/gpu-type": "amd.com/gpu", f"{CAPACITY}/gpu-count": "8"}, "amd.com/gpu", ""),
        ({f"{CAPACITY}/cpu": "8"}, "", ""),
        ({}, "", ""),
    ],
)
def test_the_object_of_a_group_tells_its_machines(notes: dict[str, str], resource: str, without: str) -> None:
    told = machines({"metadata": {"name": "gpu-a", "annotations": notes}, "spec": {}})
    group = NodeGroup("MachineSet/openshift-machine-api/gpu-a", 0, 4, 0, "Healthy", "NoActivity")
    pool = node_group(group, [], told=told)
    assert (pool.resource, pool.without) == (resource, without)
    full = node_group(group, [], [node("gpu-a-x", **{"habana.ai__gaudi": "8"})], told=told)
    assert full.resource == "habana.ai/gaudi"


@pytest.mark.parametrize(
    ("provider", "count", "resource", "without"),
    [
        ({"kind": "AWSMachineProviderConfig", "instanceType": "g5.xlarge"}, "1", "nvidia.com/gpu", ""),
        ({"kind": "AWSMachineProviderConfig", "instanceType": "g4ad.xlarge"}, "1", "amd.com/gpu", ""),
        ({"kind": "AWSMachineProviderConfig", "instanceType": "dl1.24xlarge"}, "8", "habana.ai/gaudi", ""),
        ({"kind": "AWSMachineProviderConfig", "instanceType": "inf2.xlarge"}, "0", "aws.amazon.com/neuron", ""),
        ({"kind": "AWSMachineProviderConfig", "instanceType": "m6i.large"}, "0", "", "its instance-type is m6i.large"),
        ({"kind": "AzureMachineProviderSpec", "vmSize": "Standard_NC4as_T4_v3"}, "1", "nvidia.com/gpu", ""),
        ({"kind": "GCPMachineProviderSpec", "machineType": "a2-highgpu-1g"}, "1", "nvidia.com/gpu", ""),
        (
            {"kind": "GCPMachineProviderSpec", "machineType": "n1-standard-4", "gpus": [{"type": "nvidia-tesla-t4"}]},
            "1",
            "nvidia.com/gpu",
            "",
        ),
        ({"kind": "SomebodysMachineProviderSpec", "instanceType": "g5.xlarge"}, "1", "", ""),
        ({"kind": "GCPMachineProviderSpec", "machineType": "n1-standard-4"}, "0", "", ""),
    ],
)
def test_the_instances_that_openshift_orders_tell_whose_accelerators_a_group_has(
    provider: Object, count: str, resource: str, without: str
) -> None:
    spec = {"template": {"spec": {"providerSpec": {"value": provider}}}}
    told = machines({"metadata": {"name": "g", "annotations": {"machine.openshift.io/GPU": count}}, "spec": spec})
    assert (told.resource, told.without) == (resource, without)


@pytest.mark.parametrize("notes", [{f"{CAPACITY}/gpu-count": "0"}, {f"{CAPACITY}/gpu-type": "amd.com/gpu"}])
def test_what_is_told_of_machines_does_not_override_the_nodes_that_work(notes: dict[str, str]) -> None:
    told = machines({"metadata": {"name": "g", "annotations": {f"{CAPACITY}/gpu-count": "1"} | notes}, "spec": {}})
    group = NodeGroup("MachineSet/openshift-machine-api/g", 0, 4, 1, "Healthy", "NoActivity")
    by_dra = node_group(group, [], [node("g-x")], by_dra=("g-x",), told=told)
    assert (by_dra.resource, by_dra.without) == ("", "")
    silent = node_group(group, [], [node("g-x")], told=told)
    # A driver that does not run yet is no reason to call the group one without accelerators.
    assert (silent.resource, bool(silent.without)) == ("", bool(told.without))


def test_taints_of_a_group_without_nodes_are_those_of_its_machines() -> None:
    spec = {"template": {"spec": {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]}}}
    notes = {f"{CAPACITY}/taints": "dedicated=ml:NoSchedule,other:NoExecute"}
    told = machines({"metadata": {"name": "g", "annotations": notes}, "spec": spec})
    assert told.taints == (("dedicated", "NoSchedule"), ("nvidia.com/gpu", "NoSchedule"), ("other", "NoExecute"))


def test_a_taint_tells_whose_accelerators_are_counted() -> None:
    spec = {"template": {"spec": {"taints": [{"key": "habana.ai/gaudi", "effect": "NoSchedule"}]}}}
    told = machines({"metadata": {"name": "g", "annotations": {"machine.openshift.io/GPU": "8"}}, "spec": spec})
    assert told.resource == "habana.ai/gaudi"


def test_a_node_is_of_the_group_that_its_machine_is_called_after() -> None:
    member = node("ip-10-0-0-1", **GPU)
    member["metadata"]["annotations"] = {"machine.openshift.io/machine": "openshift-machine-api/gpu-a-4hx2k"}
    group = NodeGroup("MachineSet/openshift-machine-api/gpu-a", 0, 4, 1, "Healthy", "NoActivity")
    (pool,) = node_groups([group], [member])
    assert pool.resource == "nvidia.com/gpu"


async def test_an_empty_group_of_unknown_hardware_is_not_taken_for_one_with_accelerators() -> None:
    pool = "kubernetes.azure.com/agentpool"
    nodes = [
        node("aks-gpunp-21371103-vmss000000", {pool: "gpunp"}, **{"nvidia.com__gpu": "1"}),
        node("aks-system-1-vmss000000", {pool: "system"}),
    ]
    text = status_of(("aks-cpunp-38371103-vmss", 0), ("aks-gpunp-21371103-vmss", 1), ("aks-system-1-vmss", 1))
    found = await find(FakePlatform(nodes, status=text))
    assert [(each.name, each.label) for each in found.usable] == [("aks-gpunp-21371103-vmss", (pool, "gpunp"))]
    assert [each.name for each in found.unknown] == ["aks-cpunp-38371103-vmss"]
    assert "no accelerator: its nodes offer no extended resource" in str(found.pools[2])
    (named,) = (await find(FakePlatform(nodes, status=text), given=f"{pool}=cpunp")).usable
    assert (named.by, named.maximum, named.label, named.resource) == (GIVEN, 4, (pool, "cpunp"), "nvidia.com/gpu")


async def test_a_pool_whose_accelerators_are_offered_by_dra_alone_is_not_one_without() -> None:
    nodes = [node("gpu-a"), node("cpu-a")]
    found = await find(FakePlatform(nodes, status=status_of(("gpu", 1), ("cpu", 1)), by_dra=("gpu-a",)))
    assert [each.name for each in found.unknown] == ["gpu"]
    assert [bool(each.without) for each in found.pools] == [False, True]


@pytest.mark.parametrize("offered", ["aliyun.com/gpu-mem", "example.com/npu", "nvidia.com/a100"])
async def test_a_pool_whose_nodes_offer_accelerators_by_no_known_name_is_asked_about(offered: str) -> None:
    labels = {"karpenter.sh/nodepool": "ai", "alibabacloud.com/nodepool-id": "ai", "nvidia.com/gpu.product": "T4"}
    nodes = [node("ai-1", labels, **{offered.replace("/", "__"): "30"}), node("cpu-1", {}, **{"amd.com__nic": "8"})]
    # A Pod that requests a GPU would wait for ever, whatever labels and taints say of the hardware.
    for platform in (
        FakePlatform(nodes, status=status_of(("ai", 1), ("cpu", 1))),
        FakePlatform(nodes, pools=[karpenter_pool("ai")], served=("v1",)),
    ):
        found = await find(platform)
        assert (found.usable, [each.name for each in found.unknown]) == ((), ["ai"])
        with pytest.raises(NothingToLookAt, match="Nothing shows the hardware of ai: name"):
            choose(found, ClusterAutoscaling())
        with pytest.raises(NothingToLookAt, match="none is set, but there is"):
            choose(found, ClusterAutoscaling(none=True))
        given = await find(platform, given="alibabacloud.com/nodepool-id=ai", resource=offered)
        assert choose(given, ClusterAutoscaling()).resource == offered


@pytest.mark.parametrize("offered", ["example.com/license", "example.com/camera-0"])
async def test_a_resource_that_is_called_otherwise_leaves_what_labels_and_requirements_tell(offered: str) -> None:
    """The driver of the GPUs is not ready."""
    labels = {"karpenter.sh/nodepool": "ai", "alibabacloud.com/nodepool-id": "ai"}
    more = {offered.replace("/", "__"): "3"}
    wanted = [{"key": "karpenter.k8s.aws/instance-gpu-manufacturer", "operator": "In", "values": ["nvidia"]}]
    asking = karpenter_pool("ai", template={"spec": {"requirements": wanted}})
    for platform in (
        FakePlatform([node("ai-1", {**labels, GKE_GPU: "nvidia-l4"}, **more)], status=status_of(("ai", 1))),
        FakePlatform([node("ai-1", labels, **more)], pools=[asking], served=("v1",)),
    ):
        assert choose(await find(platform), ClusterAutoscaling()).resource == "nvidia.com/gpu"
    # Where nothing tells of a GPU, it may be the accelerator.
    for platform in (
        FakePlatform([node("ai-1", labels, **more)], status=status_of(("ai", 1))),
        FakePlatform([node("ai-1", labels, **more)], pools=[karpenter_pool("ai", template={})], served=("v1",)),
    ):
        assert [each.name for each in (await find(platform)).unknown] == ["ai"]


def labelled_host(name: str, **allocatable: str) -> Object:
    """A node of a pool with TPUs by its labels."""
    one = node(name, **allocatable)
    one["metadata"]["labels"] = {GKE_POOL: "v6e", GKE_TPU: "tpu-v6e-slice", "karpenter.sh/nodepool": "v6e"}
    return one


GKE_GPU = "cloud.google.com/gke-accelerator"
GKE_POOL, GKE_TPU = "cloud.google.com/gke-nodepool", "cloud.google.com/gke-tpu-accelerator"
PLUGIN = {"google.com__tpu": "4"}


@pytest.mark.parametrize(
    ("allocatable", "by_dra", "resource"),
    [
        ({}, (), "google.com/tpu"),
        ({}, ("a",), ""),
        # By both ways, or by the device plugin on some of its nodes.
        (PLUGIN, ("a",), "google.com/tpu"),
        (PLUGIN, (), "google.com/tpu"),
    ],
)
async def test_of_a_pool_that_offers_accelerators_to_claims_alone_no_pod_requests_a_resource(
    allocatable: dict[str, str], by_dra: tuple[str, ...], resource: str
) -> None:
    nodes = [labelled_host("a", **allocatable)]
    made = karpenter_pool("v6e")
    made["spec"]["template"] = {"metadata": {"labels": {GKE_TPU: "tpu-v6e-slice"}}, "spec": {}}
    for platform in (
        FakePlatform(nodes, by_dra=by_dra),
        FakePlatform(nodes, status=status_of(("gke-v6e-abc", 1)), by_dra=by_dra),
        FakePlatform(nodes, pools=[made], served=("v1",), by_dra=by_dra),
    ):
        found = await find(platform)
        pool = next(each for each in found.pools if each.name in ("v6e", "gke-v6e-abc"))
        assert (pool.resource, pool.by_claims, pool.without) == (resource, not resource, "")
        assert bool(found.usable) is bool(resource)
        if resource:
            continue
        with pytest.raises(NothingToLookAt, match=r"offer accelerators to claims alone .*cluster_autoscaling\.pool"):
            choose(found, ClusterAutoscaling())
        assert "by Dynamic Resource Allocation alone" in str(pool)
        # The user has the last word.
        given = await find(platform, given=f"{GKE_POOL}=v6e", resource="google.com/tpu")
        assert choose(given, ClusterAutoscaling()).resource == "google.com/tpu"
        assert not choose(given, ClusterAutoscaling()).by_claims


async def test_the_status_is_found_in_any_namespace_and_its_nodes_by_their_names() -> None:
    text = status_of(("MachineSet/openshift-machine-api/gpu", 0), ("MachineSet/openshift-machine-api/gpu-zone1", 1))
    nodes = [node("gpu-zone1-abc", **{"nvidia.com__gpu": "1"})]
    maps = {"openshift-machine-api/cluster-autoscaler-status": text}
    found = await find(FakePlatform(nodes, maps=maps))
    assert found.autoscalers == (BY_CLUSTER_AUTOSCALER,)
    assert [(pool.name, pool.size, pool.resource) for pool in found.pools] == [
        ("gpu", 0, ""),
        ("gpu-zone1", 1, "nvidia.com/gpu"),
    ]


async def test_the_status_can_be_named_or_has_the_name_of_a_flag() -> None:
    text = status_of(("g", 1))
    platform = FakePlatform([], maps={"scaling/mine": text})
    assert (await find(platform)).autoscalers == ()
    assert (await find(platform, status="scaling/mine")).autoscalers == (BY_CLUSTER_AUTOSCALER,)
    assert (
        "ConfigMap scaling/other of Cluster Autoscaler does not exist"
        in ((await find(platform, status="scaling/other")).problems[0])
    )
    runs = autoscaler("registry.k8s.io/autoscaling/cluster-autoscaler:v1.33.0", args=["--status-config-map-name=mine"])
    found = await find(FakePlatform([], maps={"scaling/mine": text}, deployments=[runs]))
    assert [pool.name for pool in found.pools] == ["g"]
    assert found.problems == ()


def autoscaler(image: str, replicas: int = 1, **container: Any) -> Object:
    metadata = {"namespace": "scaling", "name": "autoscaler"}
    spec = {"template": {"spec": {"containers": [{"image": image, **container}]}}, "replicas": replicas}
    return {"metadata": metadata, "spec": spec}


@pytest.mark.parametrize(
    ("deployment", "found"),
    [
        (autoscaler("registry.k8s.io/autoscaling/cluster-autoscaler:v1.33.0"), True),
        (autoscaler("mirror/cluster-autoscaler-arm64@sha256:0123"), True),
        (autoscaler("quay.io/release@sha256:0123", command=["/usr/bin/cluster-autoscaler"], args=["--v=1"]), True),
        (autoscaler("mirror/ose-cluster-autoscaler-operator:v4"), False),
        (autoscaler("registry.k8s.io/cluster-autoscaler:v1", replicas=0), False),
        (autoscaler("example.com/cluster-proportional-autoscaler:v1"), False),
    ],
)
async def test_an_autoscaler_without_a_status_is_found_by_its_deployment(deployment: Object, found: bool) -> None:
    seen = await find(FakePlatform([], deployments=[deployment]))
    assert seen.autoscalers == ((BY_CLUSTER_AUTOSCALER,) if found else ())
    assert bool(seen.problems) == found
    assert not found or "status=NAMESPACE/NAME" in seen.problems[0]


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


def requiring(
    name: str, key: str, *values: str, taint: str = "", labels: dict[str, str] | None = None, node_class: str = ""
) -> Object:
    """A NodePool without nodes that requires one of these values. node_class: the API group of its node class."""
    requirements = [{"key": key, "operator": "In", "values": list(values)}]
    taints = [{"key": taint, "effect": "NoSchedule"}] if taint else []
    spec = {"requirements": requirements, "taints": taints, "nodeClassRef": {"group": node_class, "name": "default"}}
    template = {"metadata": {"labels": labels or {}}, "spec": spec}
    return {"metadata": {"name": name}, "spec": {"template": template}, "status": {"resources": {}}}


async def test_a_pool_of_instances_without_accelerators_is_never_taken() -> None:
    category, family = "eks.amazonaws.com/instance-category", "eks.amazonaws.com/instance-family"
    general, gpu = "karpenter.sh/nodepool", "nvidia.com/gpu"
    nodes = [
        node("a", {general: "gpu"}, taint=gpu, **{"nvidia.com__gpu": "1"}),
        node("b", {general: "general-purpose"}),
        node("c", {general: "general-purpose"}),
    ]
    pools = [
        requiring("general-purpose", category, "c", "m", "r"),
        requiring("system", category, "c", "m", "r", taint="CriticalAddonsOnly"),
        requiring("gpu", family, "g5", "g6", "g6e", taint=gpu),
        requiring("spot", category, "c", "m", "r"),
    ]
    found = await find(FakePlatform(nodes, served=("v1",), pools=pools))
    assert [(pool.name, pool.resource) for pool in found.usable] == [("gpu", gpu)]
    assert found.unknown == ()
    assert "general-purpose (no accelerator: its eks.amazonaws.com/instance-category is c, m, r; 2 nodes" in str(
        found.pools[0]
    )


@pytest.mark.parametrize(
    ("key", "values", "resource"),
    [
        ("karpenter.k8s.aws/instance-family", ["p5", "p5en"], "nvidia.com/gpu"),
        ("karpenter.k8s.aws/instance-family", ["g4ad"], "amd.com/gpu"),
        ("karpenter.k8s.aws/instance-category", ["trn"], "aws.amazon.com/neuron"),
        ("karpenter.azure.com/sku-family", ["N"], "nvidia.com/gpu"),
        ("karpenter.k8s.gcp/instance-gpu-name", ["nvidia-l4"], "nvidia.com/gpu"),
        ("karpenter.k8s.alibabacloud/instance-family", ["ecs.gn7i"], "nvidia.com/gpu"),
        ("karpenter.azure.com/sku-gpu-name", ["A100"], "nvidia.com/gpu"),
        ("karpenter.azure.com/sku-gpu-name", ["V100"], "nvidia.com/gpu"),
        ("karpenter.azure.com/sku-gpu-name", ["V710"], "amd.com/gpu"),
        ("eks.amazonaws.com/instance-gpu-manufacturer", ["nvidia"], "nvidia.com/gpu"),
        ("eks.amazonaws.com/instance-accelerator-name", ["trainium2"], "aws.amazon.com/neuron"),
        ("karpenter.k8s.oracle/instance-shape-name", ["VM.GPU.A10.1", "BM.GPU.H100.8"], "nvidia.com/gpu"),
        ("karpenter.k8s.gcp/instance-family", ["g2"], "nvidia.com/gpu"),
        ("karpenter.sh/capacity-type", ["on-demand"], "unknown"),
        ("karpenter.azure.com/sku-family", ["D", "E"], "none"),
        ("eks.amazonaws.com/instance-gpu-count", ["0"], "none"),
    ],
)
def test_what_a_pool_requires_tells_its_hardware(key: str, values: list[str], resource: str) -> None:
    pool = node_pool(requiring("p", key, *values), [])
    assert (pool.resource or ("none" if pool.without else "unknown")) == resource


@pytest.mark.parametrize(
    ("node_class", "values", "resource"),
    [
        ("karpenter.k8s.aws", ["m7i.large", "inf2.xlarge"], "aws.amazon.com/neuron"),
        ("eks.amazonaws.com", ["g6.4xlarge"], "nvidia.com/gpu"),
        ("karpenter.k8s.aws", ["m7i.large", "somebody-s-own"], "unknown"),
        ("karpenter.k8s.aws", ["m7i.large"], "none"),
        ("karpenter.k8s.gcp", ["a3-highgpu-8g"], "nvidia.com/gpu"),
        ("karpenter.k8s.gcp", ["ct6e-standard-4t"], "google.com/tpu"),
        ("karpenter.k8s.gcp", ["n1-standard-8"], "unknown"),
        ("karpenter.k8s.gcp", ["e2-medium"], "none"),
        ("karpenter.k8s.gcp", ["g1-small"], "none"),
        ("karpenter.k8s.gcp", ["g4-standard-48"], "nvidia.com/gpu"),
        ("karpenter.azure.com", ["Standard_ND96isr_MI300X_v5"], "amd.com/gpu"),
        ("karpenter.azure.com", ["Standard_ND96isr_MI355X_v6"], "amd.com/gpu"),
        ("karpenter.azure.com", ["Standard_ND96isr_H200_v5"], "nvidia.com/gpu"),
        ("karpenter.azure.com", ["Standard_D4s_v5"], "none"),
        ("karpenter.k8s.oracle", ["BM.GPU.H100.8"], "nvidia.com/gpu"),
        ("karpenter.k8s.oracle", ["BM.GPU.MI300X.8"], "amd.com/gpu"),
        ("karpenter.k8s.oracle", ["VM.Standard.E5.Flex"], "none"),
        ("karpenter.k8s.alibabacloud", ["ecs.gn7i-c8g1.2xlarge"], "nvidia.com/gpu"),
        ("karpenter.k8s.alibabacloud", ["ecs.ebmgn7e.32xlarge"], "nvidia.com/gpu"),
        ("karpenter.k8s.alibabacloud", ["ecs.g7.xlarge"], "unknown"),
        # Another cloud's names, though they look alike.
        ("karpenter.k8s.gcp", ["inf2.xlarge"], "unknown"),
        ("karpenter.somebody.example", ["h100-380"], "unknown"),
        ("karpenter.somebody.example", ["g6-standard-4"], "unknown"),
        ("", ["p5.48xlarge"], "unknown"),
    ],
)
def test_the_name_of_an_instance_tells_hardware_only_where_its_cloud_is_known(
    node_class: str, values: list[str], resource: str
) -> None:
    made = requiring("p", "node.kubernetes.io/instance-type", *values, node_class=node_class)
    pool = node_pool(made, [])
    assert (pool.resource or ("none" if pool.without else "unknown")) == resource
    if node_class:
        made["spec"]["template"]["spec"]["nodeClassRef"] = {"apiVersion": f"{node_class}/v1beta1", "name": "default"}
        assert node_pool(made, []) == pool


@pytest.mark.parametrize(
    ("node_class", "ids", "resource"),
    [
        ({"kind": "EC2NodeClass", "name": "default"}, [], "nvidia.com/gpu"),
        ({"kind": "AKSNodeClass", "name": "default"}, ["aws:///a/i-1"], ""),
        ({"name": "default"}, ["aws:///a/i-1", "aws:///a/i-2"], "nvidia.com/gpu"),
        ({"group": "karpenter.cluster.x-k8s.io", "kind": "ClusterAPINodeClass"}, ["aws:///a/i-1"], "nvidia.com/gpu"),
        ({"name": "default"}, ["aws:///a/i-1", "openstack:///1"], ""),
        ({"name": "default"}, ["openstack:///1"], ""),
        ({"name": "default"}, [], ""),
    ],
)
def test_without_a_group_the_kind_of_the_node_class_or_the_nodes_tell_the_cloud(
    node_class: Object, ids: list[str], resource: str
) -> None:
    made = requiring("p", "node.kubernetes.io/instance-type", "g5.xlarge")
    made["spec"]["template"]["spec"]["nodeClassRef"] = node_class
    nodes = [node(each) for each in ids]
    for each, provider_id in zip(nodes, ids, strict=True):
        each["spec"]["providerID"] = provider_id
    assert node_pool(made, nodes).resource == resource


@pytest.mark.parametrize(
    ("provider_id", "pool", "instance", "resource"),
    [
        ("linode://1", "lke.linode.com/pool-id", "g6-standard-4", ""),
        ("linode://1", "lke.linode.com/pool-id", "g2-gpu-rtx4000a1-s", "nvidia.com/gpu"),
        ("", "lke.linode.com/pool-id", "g6-standard-4", ""),
        ("digitalocean://1", "doks.digitalocean.com/node-pool", "g-4vcpu-16gb", ""),
        ("digitalocean://1", "doks.digitalocean.com/node-pool", "gpu-mi300x1-192gb", "amd.com/gpu"),
        ("civo://1", "kubernetes.civo.com/civo-node-pool", "g4s.kube.medium", ""),
        ("openstack:///1", "worker.gardener.cloud/pool", "g5.xlarge", ""),
        ("aws:///eu-west-1a/i-1", "worker.gardener.cloud/pool", "g5.xlarge", "nvidia.com/gpu"),
        ("", "eks.amazonaws.com/nodegroup", "g5.xlarge", "nvidia.com/gpu"),
    ],
)
async def test_nodes_whose_driver_does_not_run_are_known_by_the_instances_of_their_own_cloud(
    provider_id: str, pool: str, instance: str, resource: str
) -> None:
    member = node("a", {pool: "p", "node.kubernetes.io/instance-type": instance})
    member["spec"]["providerID"] = provider_id
    found = await find(FakePlatform([member]))
    assert [each.resource for each in found.pools] == ([resource] if resource else [])


def test_a_pool_that_may_have_none_of_an_accelerator_is_one_without() -> None:
    made = requiring("p", "karpenter.k8s.aws/instance-category", "c", "m", "g")
    made["spec"]["limits"] = {"cpu": "1000", "nvidia.com/gpu": "0"}
    assert node_pool(made, []).without == "its limit of nvidia.com/gpu is 0"
    assert node_pool(made, []).resource == ""
    both = requiring("p", "karpenter.k8s.aws/instance-category", "g", "inf")
    both["spec"]["limits"] = {"nvidia.com/gpu": "0"}
    assert node_pool(both, []).resource == "aws.amazon.com/neuron"


def test_a_limit_of_0_of_one_accelerator_says_nothing_of_others_that_a_pool_may_order() -> None:
    for made in (karpenter_pool(), requiring("p", "kubernetes.io/arch", "amd64")):
        made["spec"]["limits"] = {"nvidia.com/gpu": "0"}
        pool = node_pool(made, [])
        assert (pool.resource, pool.without) == ("", "")


@pytest.mark.parametrize(
    ("key", "operator", "values", "without"),
    [
        # A number of GPUs says nothing of their vendor, and a name that is not known nothing at all.
        ("karpenter.k8s.aws/instance-gpu-count", "Gt", ["0"], False),
        ("karpenter.k8s.aws/instance-family", "In", ["g5", "somebody-s-own"], False),
        ("karpenter.k8s.aws/instance-family", "In", ["g5", "m7i"], True),
        ("karpenter.k8s.aws/instance-gpu-manufacturer", "In", ["nvidia"], True),
    ],
)
def test_a_limit_of_0_is_none_only_of_what_a_pool_orders_for_certain(
    key: str, operator: str, values: list[str], without: bool
) -> None:
    made = requiring("p", key, *values)
    made["spec"]["template"]["spec"]["requirements"][0]["operator"] = operator
    made["spec"]["limits"] = {"nvidia.com/gpu": "0"}
    assert (node_pool(made, []).resource, bool(node_pool(made, []).without)) == ("", without)


@pytest.mark.parametrize(
    ("part", "operator", "values", "resource"),
    [
        ("instance-gpu-count", "Gt", ["0"], "nvidia.com/gpu"),
        ("instance-gpu-count", "In", ["1", "8"], "nvidia.com/gpu"),
        ("instance-gpu-count", "In", ["0", "1"], "unknown"),
        ("instance-gpu-count", "Lt", ["2"], "unknown"),
        ("instance-gpu-count", "Lt", ["1"], "none"),
        ("instance-category", "NotIn", ["g", "gr", "p", "inf", "trn", "dl", "vt"], "none"),
        ("instance-category", "NotIn", ["g", "p", "inf", "trn", "dl", "vt"], "unknown"),
        ("instance-category", "In", ["gr"], "nvidia.com/gpu"),
        ("instance-category", "NotIn", ["g", "p"], "unknown"),
        ("instance-category", "NotIn", [], "unknown"),
        ("instance-gpu-count", "DoesNotExist", [], "none"),
        ("instance-gpu-manufacturer", "Exists", [], "nvidia.com/gpu"),
        ("instance-gpu-manufacturer", "NotIn", ["amd"], "unknown"),
        ("instance-accelerator-manufacturer", "Exists", [], "aws.amazon.com/neuron"),
        ("sku-gpu-count", "Gt", ["0"], "nvidia.com/gpu"),
    ],
)
def test_what_only_instances_with_an_accelerator_have_tells_of_one(
    part: str, operator: str, values: list[str], resource: str
) -> None:
    seen = stated([{"key": f"karpenter.k8s.aws/{part}", "operator": operator, "values": values}], {})
    assert (next(iter(seen.resources), "") or ("none" if seen.without else "unknown")) == resource


def test_a_pool_without_gpus_can_have_other_accelerators() -> None:
    no_gpu = {"key": "karpenter.k8s.aws/instance-gpu-count", "operator": "DoesNotExist"}
    family = {"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["trn2"]}
    assert stated([no_gpu, family], {}) == Hardware(("aws.amazon.com/neuron",))
    assert stated([no_gpu], {}) == Hardware(without="its karpenter.k8s.aws/instance-gpu-count is absent")


def test_the_name_of_a_product_tells_more_than_the_category() -> None:
    made = requiring("p", "karpenter.k8s.aws/instance-category", "g")
    made["spec"]["template"]["spec"]["requirements"] += [
        {"key": "karpenter.k8s.aws/instance-gpu-manufacturer", "operator": "In", "values": ["amd"]},
        {"key": "karpenter.k8s.aws/instance-memory", "operator": "Gt", "values": ["1000"]},
    ]
    assert node_pool(made, []).resource == "amd.com/gpu"
    labelled = requiring("p", "kubernetes.io/os", "linux", labels={"cloud.google.com/gke-tpu-accelerator": "tpu-v6e"})
    assert node_pool(labelled, []).resource == "google.com/tpu"


@given(st.text(), st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]), st.lists(st.text()))
def test_no_requirement_breaks_the_reading(part: str, operator: str, values: list[str]) -> None:
    found = stated([{"key": f"x/{part}", "operator": operator, "values": values}], {})
    assert not (found.resources and found.without)
    instance = stated([{"key": "x/instance-type", "operator": operator, "values": values}], {part: "x"})
    assert operator == "In" or not instance.resources


async def test_a_pool_of_unknown_hardware_is_asked_about_until_the_user_names_it() -> None:
    category = "karpenter.k8s.aws/instance-category"
    pools = [requiring("any", "kubernetes.io/arch", "amd64"), requiring("cpu", category, "m")]
    platform = FakePlatform([node("a", **GPU)], served=("v1",), pools=pools)
    found = await find(platform)
    assert found.usable == ()
    assert [pool.name for pool in found.unknown] == ["any"]
    (named,) = (await find(platform, given="karpenter.sh/nodepool=any")).usable
    assert (named.name, named.resource) == ("any", "nvidia.com/gpu")
    # The only one that can be meant.
    assert [pool.name for pool in (await find(platform, resource="example.com/npu")).usable] == ["any"]


async def test_a_resource_that_is_named_leaves_out_pools_of_others() -> None:
    pools = [karpenter_pool("nvidia"), karpenter_pool("amd", limits={"amd.com/gpu": "4"}, template={"spec": {}})]
    platform = FakePlatform([], served=("v1",), pools=pools)
    found = await find(platform, resource="amd.com/gpu")
    assert [pool.name for pool in found.usable] == ["amd"]
    assert "it offers nvidia.com/gpu" in str(found.pools[0])
    # A share has another name than the whole device, and the same vendor.
    assert [pool.name for pool in (await find(platform, resource="nvidia.com/gpu.shared")).usable] == ["nvidia"]


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
        # Nodes that have none of a device are added all the same.
        ({"nvidia.com/gpu": "8", "amd.com/gpu": "0"}, {}, ""),
        ({"nvidia.com/gpu": "8", "vpc.amazonaws.com/efa": "0"}, {}, ""),
        ({"nvidia.com/gpu": "8", "amd.com/gpu": "1"}, {"amd.com/gpu": "2"}, "its limit of 1 amd.com/gpu is reached"),
    ],
)
def test_a_limit_that_is_reached_is_told(limits: dict[str, str], used: dict[str, str], full: str) -> None:
    pool = karpenter_pool(limits=limits)
    pool["status"]["resources"] = used
    assert node_pool(pool, []).full == full


@pytest.mark.parametrize(
    ("after", "seconds"),
    [("3s", 3), ("1h30m", 5400), ("Never", math.inf), ("720h", 2_592_000), ("500ms", 0.5), (None, 0)],
)
def test_how_long_a_node_pool_keeps_unused_nodes_is_read(after: str | None, seconds: float) -> None:
    pool = karpenter_pool(
        disruption={"consolidationPolicy": "WhenEmpty", **({"consolidateAfter": after} if after else {})}
    )
    assert node_pool(pool, []).keeps_seconds == seconds


def test_a_group_whose_nodes_have_not_come_says_so() -> None:
    assert node_group(NodeGroup("g", 0, 2, 2, there=2), []).full == "its maximum of 2 nodes is reached"
    assert node_group(NodeGroup("g", 0, 2, 2), []).full == "its maximum of 2 nodes is reached"
    assert node_group(NodeGroup("g", 0, 2, 2, there=1), []).full.endswith("is reached, of which 1 have come")
    # It is not scaled at all.
    assert node_group(NodeGroup("g", 2, 2, 2, there=1), []).full == "its minimum is its maximum, 2"


def test_why_a_group_backs_off_is_told_if_its_autoscaler_says_so() -> None:
    known = node_group(NodeGroup("g", 0, 2, 1, "Healthy", "Backoff", 1, "QUOTA_EXCEEDED: of GPUs"), [])
    assert known.problem == "its last scale-up failed (QUOTA_EXCEEDED: of GPUs), and it backs off"
    assert node_group(NodeGroup("g", 0, 2, 1, "Healthy", "Backoff"), []).problem == BACKS_OFF


def test_why_a_scale_up_failed_is_read() -> None:
    text = NEW_STATUS.replace(
        "scaleUp: {status: Backoff}",
        "scaleUp: {status: Backoff, backoffInfo: {errorCode: QUOTA_EXCEEDED, errorMessage: no GPUs left}}",
    )
    assert parse_status(text)[1].why == "QUOTA_EXCEEDED: no GPUs left"


def test_a_pool_of_fixed_size_and_one_that_is_not_ready_are_told() -> None:
    assert node_pool(karpenter_pool(replicas=2), []).full == "it is of fixed size"
    assert [node_pool(karpenter_pool(**size), []).fixed for size in ({"replicas": 2}, {})] == [True, False]
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


async def test_of_a_given_pool_s_groups_the_one_that_may_grow_is_tried() -> None:
    label = "cloud.google.com/gke-nodepool"
    zones = [f"gke-c-gpu-{zone}-grp" for zone in ("11112222", "33334444")]
    members = [node(f"gke-c-gpu-{zone}-x", {label: "gpu"}, **GPU) for zone in ("11112222", "33334444")]
    text = status_of((zones[0], 4), (zones[1], 1))
    (pool,) = (await find(FakePlatform(members, status=text), given=f"{label}=gpu")).usable
    assert (pool.name, pool.full) == (zones[1], "")


async def test_an_empty_pool_is_asked_for_what_others_offer_unless_something_is_given() -> None:
    platform = FakePlatform([node("a", **GPU)])
    assert (await find(platform, given="pool=new")).usable[0].resource == "nvidia.com/gpu"
    assert (await find(platform, given="pool=new", resource="google.com/tpu")).usable[0].resource == "google.com/tpu"
    assert (await find(FakePlatform([]), given="pool=new")).usable == ()


def test_the_pool_that_can_grow_from_nothing_is_tried_first() -> None:
    def pool(name: str, by: str = BY_KARPENTER, **fields: Any) -> Pool:
        return Pool(name, by, **({"resource": "nvidia.com/gpu"} | fields))

    pools = (
        pool("cpu", resource="", without="its family is m"),
        pool("spot", spot=True),
        pool("label", BY_LABEL),
        pool("full", full="its limit is reached"),
        pool("broken", problem="not Ready"),
        pool("two", size=2),
        pool("empty"),
        pool("plain", resource=""),
    )
    assert [each.name for each in Autoscaling(pools=pools).usable] == [
        "empty",
        "two",
        "spot",
        "broken",
        "full",
        "label",
    ]


def test_spot_capacity_is_told_by_the_pool_or_by_its_nodes() -> None:
    assert node_pool(requiring("p", "karpenter.sh/capacity-type", "spot"), []).spot
    assert not node_pool(requiring("p", "karpenter.sh/capacity-type", "spot", "on-demand"), []).spot
    label = ("pool", "p")
    spot, usual = {"kubernetes.azure.com/scalesetpriority": "spot"}, {"pool": "p"}
    assert pool_of("p", BY_LABEL, label, [node("a", spot)]).spot
    assert not pool_of("p", BY_LABEL, label, [node("a", spot), node("b", usual)]).spot


def test_a_pool_that_grows_when_there_is_capacity_says_so() -> None:
    label, flexible = ("cloud.google.com/gke-nodepool", "p"), {"cloud.google.com/gke-flex-start": "true"}
    found = pool_of("p", BY_LABEL, label, [node("a", flexible)])
    assert (found.spot, found.limits) == (True, FLEX_START)
    # That its nodes did not come says nothing against the autoscaler.
    assert shortage([found.limits])
    for others in ([node("a")], [node("a", flexible), node("b")], []):
        found = pool_of("p", BY_LABEL, label, others)
        assert (found.spot, found.limits) == (False, "")


async def test_a_pool_whose_nodes_run_another_system_is_not_waited_for() -> None:
    wanted = requiring("win", "kubernetes.io/os", "windows")
    wanted["spec"]["template"]["spec"]["taints"] = [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]
    labelled = karpenter_pool("win")
    labelled["spec"]["template"]["metadata"] = {"labels": {"kubernetes.io/os": "windows"}}
    hosts = [node("win-1", {"kubernetes.io/os": "windows", "karpenter.sh/nodepool": "x"}, **GPU)]
    for platform in (
        FakePlatform([], pools=[wanted], served=("v1",)),
        FakePlatform([], pools=[labelled], served=("v1",)),
        FakePlatform(hosts, status=status_of(("win", 1))),
    ):
        found = await find(platform)
        with pytest.raises(NothingToLookAt, match=r"win .*its nodes run windows, and Pods of a run need Linux"):
            choose(found, ClusterAutoscaling())
        with pytest.raises(NothingToLookAt, match="none is set, but there is"):
            choose(found, ClusterAutoscaling(none=True))
    both = requiring("both", "kubernetes.io/os", "windows", "linux")
    assert node_pool(both, []).full == ""
    assert pool_of("p", BY_LABEL, ("pool", "p"), [*hosts, node("b")]).full == ""


def test_of_names_for_the_same_hardware_the_one_by_which_a_pod_asks_is_requested() -> None:
    names = {"aws.amazon.com__neuron": "16", "aws.amazon.com__neurondevice": "16", "aws.amazon.com__neuroncore": "64"}
    assert pool_of("p", BY_LABEL, ("pool", "p"), [node("a", **names)]).resource == "aws.amazon.com/neuron"
    cores = {"aws.amazon.com__neuroncore": "8"}
    assert pool_of("p", BY_LABEL, ("pool", "p"), [node("a", **cores)]).resource == "aws.amazon.com/neuroncore"
    # What a new node offers is all of it: the user may have named another one.
    assert {*offers(node("a", **names))} == {name.replace("__", "/") for name in names}


def test_taints_of_a_node_that_goes_away_are_not_of_its_pool() -> None:
    gone, going = node("a", taint="node.kubernetes.io/unreachable"), node("b", taint="karpenter.sh/disrupted")
    members = [gone, going, node("c", taint="ToBeDeletedByClusterAutoscaler"), node("d", taint="sku")]
    assert pool_of("p", BY_LABEL, ("pool", "p"), members).taints == (("sku", "NoSchedule"),)


def test_only_known_accelerators_count_and_what_a_user_names() -> None:
    offering = node("a", **GPU, **{"example.com__fpga": "1", "amd.com__gpu": "0"})
    assert offers(offering) == {"nvidia.com/gpu": 8}
    assert offers(offering, known_with(load_profiles(), "example.com/fpga")) == {
        "nvidia.com/gpu": 8,
        "example.com/fpga": 1,
    }
    assert offers({"status": {}}) == {}


def test_a_pod_asks_for_all_chips_of_a_host_that_are_had_together() -> None:
    def host(resource: str, count: int) -> Object:
        return {"metadata": {"name": "a"}, "spec": {}, "status": {"allocatable": {resource: str(count)}}}

    assert pool_of("v6e", BY_LABEL, None, [host("google.com/tpu", 4)]).amount == 4
    assert pool_of("h100", BY_LABEL, None, [host("nvidia.com/gpu", 8)]).amount == 1
    assert pool_of("empty", BY_LABEL, None, [], resource="google.com/tpu").amount == 1
    pool = pool_of("v6e", BY_LABEL, None, [host("google.com/tpu", 4)])
    (container,) = waiting_pod_manifest("waits", pool, "image", "low")["spec"]["containers"]
    assert container["resources"]["limits"]["google.com/tpu"] == "4"
