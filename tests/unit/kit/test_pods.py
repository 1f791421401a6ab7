"""What the scheduler and the kubelet say of a Pod."""

from __future__ import annotations

from typing import Any

import pytest

from aiconform.cluster import Object, Stuck
from aiconform.kit.pods import pod_anywhere, ready, refused_by_kubelet, unschedulable


def seen(node: str = "", **status: Any) -> Object:
    return {"metadata": {"name": "p"}, "spec": {"nodeName": node} if node else {}, "status": status}


NO_NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available"}


def test_a_pod_without_a_node_says_why() -> None:
    found = unschedulable(seen(conditions=[NO_NODE]))
    assert found is not None
    assert found.explanation == "0/2 nodes are available"


@pytest.mark.parametrize(
    "pod",
    [seen(), seen(conditions=[{**NO_NODE, "status": "True"}]), seen("n1", conditions=[NO_NODE])],
)
def test_a_pod_that_is_placed_or_not_looked_at_yet_waits_for_no_node(pod: Object) -> None:
    assert unschedulable(pod) is None


def test_a_pod_that_the_kubelet_rejects_says_why() -> None:
    assert refused_by_kubelet(seen("n1", phase="Failed", reason="Unexpected", message="no device")) == (
        "Unexpected: no device"
    )
    assert refused_by_kubelet(seen("n1", phase="Failed")) is None
    assert refused_by_kubelet(seen("n1", phase="Running", reason="x")) is None


def test_a_pod_is_ready_by_its_condition_and_one_that_cannot_start_is_an_error() -> None:
    is_ready = seen("n1", conditions=[{"type": "Ready", "status": "True"}])
    assert ready(is_ready) is is_ready
    assert ready(seen("n1", conditions=[{"type": "Ready", "status": "False"}])) is None
    waiting = {
        "name": "c",
        "image": "i",
        "state": {"waiting": {"reason": "InvalidImageName", "message": "no such image"}},
    }
    with pytest.raises(Stuck, match="InvalidImageName"):
        ready(seen("n1", containerStatuses=[waiting]))


def test_a_pod_for_any_node_has_only_the_metadata_that_it_is_given() -> None:
    assert pod_anywhere("p", [])["metadata"] == {"name": "p"}
    made = pod_anywhere("p", [{"name": "c"}], labels={"a": "b"}, annotations={"c": "d"}, volumes=[])
    assert made["metadata"] == {"name": "p", "labels": {"a": "b"}, "annotations": {"c": "d"}}
    assert made["spec"]["volumes"] == []
    assert "affinity" not in made["spec"]
