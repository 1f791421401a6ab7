"""Which nodes a run may try, by their taints, labels and conditions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.served import found, node, taint

from aiconform.platform.accelerators.nodes import Toleration, closed_node, tolerations, usable_node
from aiconform.platform.accelerators.profiles import load_profiles

GPU = {"nvidia.com/gpu": "8"}


@pytest.mark.parametrize(
    "text",
    [
        "node.kubernetes.io/memory-pressure:NoSchedule",
        "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute",
        "node.cloudprovider.kubernetes.io/uninitialized=true:NoSchedule",
        "ToBeDeletedByClusterAutoscaler=1700000000:NoSchedule",
        "DeletionCandidateOfClusterAutoscaler=1700000000:PreferNoSchedule",
        "karpenter.sh/disrupted:NoSchedule",
        "karpenter.sh/unregistered:NoExecute",
        "aws-node-termination-handler/spot-itn:NoSchedule",
        "virtual-kubelet.io/provider=azure:NoSchedule",
        "virtual-node.liqo.io/not-allowed=true:NoExecute",
        "virtual-node.interlink/no-schedule=true:NoSchedule",
        "eks.tke.cloud.tencent.com/eklet:NoSchedule",
        "eks.amazonaws.com/compute-type=fargate:NoSchedule",
        "kwok.x-k8s.io/node=fake:NoSchedule",
        "nvidia.com/gpu-unhealthy:NoSchedule",
        "nvidia.com/gpu-errors:NoSchedule",
        "example.com/gpu=offline:NoSchedule",
        "nvidia.com/gpu.xid=79:NoExecute",
        "gpu-maintenance=true:NoSchedule",
        "amd.com/gpu=failed:NoExecute",
        "example.com/gpu-not-ready:NoSchedule",
        "node.cilium.io/agent-not-ready=true:NoExecute",
        "ebs.csi.aws.com/agent-not-ready:NoExecute",
        "startup-taint.cluster-autoscaler.kubernetes.io/node-initializer=true:NoSchedule",
        "status-taint.cluster-autoscaler.kubernetes.io/repair:NoSchedule",
        "readiness.k8s.io/network=pending:NoSchedule",
        "amd-dcm=up:NoExecute",
    ],
)
async def test_a_node_that_its_taint_calls_broken_leaving_or_unreal_is_left_alone(text: str) -> None:
    marked = node("n1", taints=[taint(text)], **GPU)
    told = usable_node(marked)
    assert told is not None
    assert text in told
    assert (await found(marked)).offered == ()
    assert usable_node(marked, [Toleration(taint(text)["key"])]) is None


@pytest.mark.parametrize(
    "text",
    [
        "nvidia.com/gpu:NoExecute",
        "nvidia.com/gpu=present:NoSchedule",
        "dedicated=gpu-workload:NoSchedule",
        "sku=gpu:NoSchedule",
        "google.com/tpu=present:NoSchedule",
        "habana.ai/gaudi:NoSchedule",
        "aws.amazon.com/neuron:NoSchedule",
        "aiconform.dev/simulated-accelerator=present:NoSchedule",
        "dedicated=gpu-notebooks:NoSchedule",
        "team=research:PreferNoSchedule",
    ],
)
async def test_the_accelerators_own_taints_are_tolerated(text: str) -> None:
    (entry,) = (await found(node("n1", taints=[taint(text)], **GPU))).offered
    assert entry.free == 8


@pytest.mark.parametrize("text", ["dedicated=research:NoSchedule", "node-role.kubernetes.io/control-plane:NoSchedule"])
async def test_another_taint_is_tolerated_only_if_the_user_names_it(text: str) -> None:
    marked = node("n1", taints=[taint(text)], **GPU)
    seen = await found(marked)
    assert seen.offered == ()
    (told,) = seen.passed_over
    assert f"--toleration {text.rpartition(':')[0]}" in told
    named = (Toleration.parse(text),)
    assert len((await found(marked, tolerated=named)).offered) == 1
    assert tolerations(marked) == [{"key": named[0].key, "operator": "Exists", "effect": "NoSchedule"}]
    elsewhere = (Toleration(named[0].key, "another"),)
    assert (await found(marked, tolerated=elsewhere)).offered == ()


@pytest.mark.parametrize("labels", [{"kubernetes.io/os": "windows"}, {"type": "virtual-kubelet"}])
async def test_a_node_without_linux_is_left_alone(labels: dict[str, str]) -> None:
    assert (await found(node("n1", labels=labels, **GPU))).offered == ()


_PART = st.from_regex(r"[a-z0-9][a-z0-9./-]{0,20}", fullmatch=True)
_TAINTS = st.builds(
    lambda key, value, effect: {"key": key, "value": value, "effect": effect},
    _PART,
    st.one_of(st.just(""), _PART.map(lambda text: text.replace("/", ""))),
    st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"]),
)


@given(_TAINTS)
def test_what_is_told_of_a_taint_can_be_named_and_then_the_node_is_open(each: dict[str, str]) -> None:
    text = each["key"] + (f"={each['value']}" if each["value"] else "") + f":{each['effect']}"
    named = Toleration.parse(text)
    assert str(named) == text
    assert named.covers(each)
    assert closed_node(node("n1", taints=[each]), load_profiles(), [named]) is None


@pytest.mark.parametrize("text", ["", "=x", "a=b:Never", "a b", "a:", ":NoSchedule"])
def test_what_is_no_taint_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"KEY\[=VALUE\]\[:EFFECT\]"):
        Toleration.parse(text)
