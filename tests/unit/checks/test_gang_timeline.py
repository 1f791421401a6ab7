"""Gangs as a timeline of watch events sees them, without a cluster."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiconform.checks.gang_scheduling import outcome
from aiconform.checks.gang_scheduling.solutions.adapter import GANG_LABEL
from aiconform.checks.gang_scheduling.timeline import Timeline
from aiconform.cluster import Stuck, WatchEvent
from aiconform.kit.following import background


def event(name: str, kind: str = "MODIFIED", *, node: str = "", phase: str = "Pending", **status: Any) -> WatchEvent:
    running = [{"name": "worker", "state": {"running": {}}}] if phase == "Running" else []
    return WatchEvent(
        kind,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "n", "uid": f"uid-{name}", "labels": {GANG_LABEL: "one"}},
            "spec": {"nodeName": node} if node else {},
            "status": {"phase": phase, "containerStatuses": running, **status},
        },
    )


def test_pods_are_members_of_their_gang_with_what_happened_to_them() -> None:
    timeline = Timeline()
    for name in ("a", "b"):
        timeline.take(event(name, "ADDED"))
        timeline.take(event(name, node="node-1", phase="Running"))
    timeline.take(event("a", node="node-1", phase="Succeeded"))
    timeline.take(event("b", "DELETED", node="node-1", phase="Running"))
    gang = timeline.gang("one", 2)
    assert outcome.most_at_once(gang) == 2
    assert [member.name for member in outcome.succeeded(gang)] == ["a"]
    assert [member.gone is None for member in gang.members] == [True, False]
    assert timeline.gang("other", 2).members == ()


def test_the_report_of_the_scheduler_lasts_as_long_as_the_pod_is_unschedulable() -> None:
    timeline = Timeline()
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    timeline.take(event("a", conditions=[condition]))
    assert timeline.reported("one") == "0/3 nodes"
    timeline.take(event("a", node="node-1"))
    assert timeline.reported("one") == ""


async def test_a_wait_ends_with_an_event_or_with_the_time() -> None:
    timeline = Timeline()
    asyncio.get_running_loop().call_soon(timeline.take, event("a", node="node-1", phase="Running"))
    assert await timeline.until(lambda: outcome.most_at_once(timeline.gang("one", 1)) == 1, seconds=30)
    assert not await timeline.until(lambda: outcome.finished(timeline.gang("one", 1)) is not None, seconds=0.01)


async def test_a_condition_that_time_alone_makes_true_ends_a_wait() -> None:
    timeline = Timeline()
    async with background(timeline.tick()):
        assert await timeline.until(lambda: timeline.now > 0.1, seconds=30)
    assert timeline.now < 10


async def test_a_pod_that_fails_for_a_reason_of_its_own_ends_a_wait() -> None:
    timeline = Timeline()
    timeline.take(event("a", node="node-1", phase="Failed", reason="Evicted"))
    with pytest.raises(Stuck, match="Pod a was ended by others: Evicted"):
        await timeline.until(lambda: True, seconds=30)


@pytest.mark.parametrize("reason", ["EvictionByEvictionAPI", "PreemptionByScheduler", "DeletionByTaintManager"])
async def test_a_pod_that_others_end_is_no_part_of_a_gang_that_is_split(reason: str) -> None:
    timeline = Timeline()
    timeline.take(event("a", node="node-1", phase="Running"))
    disrupted = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "drained"}
    timeline.take(event("a", node="node-1", phase="Running", conditions=[disrupted]))
    with pytest.raises(Stuck, match=f"Pod a was ended by others: {reason}: drained"):
        await timeline.until(lambda: True, seconds=30)


async def test_a_container_that_was_put_into_a_pod_and_stays_is_told() -> None:
    done, runs = {"name": "worker", "state": {"terminated": {"exitCode": 0}}}, {"running": {}}
    timeline = Timeline()
    # The kubelet reports the end of the last container before that of the Pod.
    timeline.take(event("a", node="node-1", phase="Running", containerStatuses=[done]))
    assert await timeline.until(lambda: True, seconds=30)
    seen = event("a", node="node-1", phase="Running", containerStatuses=[done, {"name": "proxy", "state": runs}])
    seen.object["spec"]["containers"] = [{"name": "worker"}, {"name": "proxy"}]
    timeline.take(seen)
    with pytest.raises(Stuck, match="does not end with its work: container proxy is not the check's"):
        await timeline.until(lambda: True, seconds=30)
