"""Whose fault it is that a gang does not run: the solution's, or a queue's, a policy's, a node's."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from aiconform.checks.gang_scheduling.outcome import Gang, Member
from aiconform.checks.gang_scheduling.placement import Sizes
from aiconform.checks.gang_scheduling.session import Refused, Session
from aiconform.checks.gang_scheduling.solutions import kai, kueue, native, volcano, yunikorn
from aiconform.checks.gang_scheduling.solutions.adapter import Adapter, InstalledSolution, SolutionController
from aiconform.cluster import ClusterError, Object, Rejected, Stuck, WebhookUnreached
from aiconform.platform import NodeAccelerators
from aiconform.platform.accelerators.offered import AllocationWay
from aiconform.platform.accelerators.options import NOTHING_SAID

TARGET = NodeAccelerators("device-plugin", "node-1", "example.com/gpu", "model", total=8, free=8)
DOWN = (SolutionController("kueue-system/controller", "1", available=False),)


class FakePlatform:
    """A platform with one node and these events."""

    def __init__(self, *events: Object, ready: str = "True", nodes: int = 1) -> None:
        self.events = events
        self.untold = ""
        self.said = NOTHING_SAID
        self.cluster = self
        node = {"metadata": {"name": "node-1"}, "spec": {}}
        self._nodes = [node | {"status": {"conditions": [{"type": "Ready", "status": ready, "message": "off"}]}}]
        self._nodes = self._nodes[:nodes]

    def afresh(self) -> FakePlatform:
        return self

    async def nodes(self) -> list[Object]:
        return self._nodes

    async def untold_taints(self) -> str:
        return self.untold

    async def namespace(self) -> str:
        return "aiconform-1"

    async def list(self, api_version: str, kind: str, namespace: str, *, fields: str) -> Any:
        assert (kind, namespace, fields) == ("Event", "aiconform-1", "reason=FailedCreate")
        for event in self.events:
            yield event


def session(
    adapter: Adapter = kueue.ADAPTER,
    platform: FakePlatform | None = None,
    *,
    queue: str = "",
    controllers: tuple[SolutionController, ...] = (),
) -> Session:
    there: Any = platform or FakePlatform()
    found = InstalledSolution(adapter, "v1", controllers)
    return Session(there, there, TARGET, Sizes(3, 4), found, "", queue, "", (), {})


def gang(*names: str) -> Gang:
    return Gang(name="gang", size=3, watched=60.0, members=tuple(Member(name=name, created=0.0) for name in names))


def failed(message: str, name: str = "gang") -> Object:
    return {"reason": "FailedCreate", "message": message, "involvedObject": {"kind": "Job", "name": name}}


@pytest.mark.parametrize(
    ("way", "untold", "blamed"), [("dra", "told", True), ("dra", "", False), ("device-plugin", "told", False)]
)
async def test_a_gang_may_have_too_little_room_for_taints_that_nobody_may_read(
    way: AllocationWay, untold: str, blamed: bool
) -> None:
    asked = session()
    asked = replace(asked, target=replace(TARGET, way=way))
    asked.platform.untold = untold  # type: ignore[attr-defined]
    if not blamed:
        await asked.require_known_taints()
        return
    with pytest.raises(Stuck, match=r"not known whether it fits; told"):
        await asked.require_known_taints()


async def test_pods_that_a_quota_refuses_are_told_in_the_platform_s_words() -> None:
    said = 'Error creating: pods "gang-0" is forbidden: exceeded quota: small'
    refused = session(platform=FakePlatform(failed("older"), failed("of another", "other"), failed(said)))
    with pytest.raises(Stuck, match=r"exceeded quota: small\. What helps: raise the quota, .*exempt Namespaces"):
        await refused.require_pods(gang("a"))
    await refused.require_pods(gang("a", "b", "c"))
    await session(platform=FakePlatform(failed(said, "other"))).require_pods(gang())


@pytest.mark.parametrize(
    ("adapter", "said", "queue", "blamed"),
    [
        (kueue.ADAPTER, "Pending: resource example.com/gpu unavailable in ClusterQueue", "", True),
        (kueue.ADAPTER, "insufficient unused quota for example.com/gpu in flavor f, 1 more needed", "team", True),
        # The check's own queue has ample quota: then it is Kueue that is wrong.
        (kueue.ADAPTER, "insufficient unused quota for example.com/gpu in flavor f, 1 more needed", "", False),
        (kueue.ADAPTER, "admission check dws is Pending: not provisioned", "team", True),
        (kueue.ADAPTER, 'topology "t" allows to fit only 1 out of 3 pod(s)', "team", False),
        (volcano.ADAPTER, "queue resource quota insufficient", "team", True),
        (volcano.ADAPTER, "3/3 tasks in gang unschedulable: 1 node is unavailable", "team", False),
        (kai.ADAPTER, "OverLimit: queue team", "team", True),
        (yunikorn.ADAPTER, "queue root.team: quota reached", "team", True),
        (native.ADAPTER, "0/3 nodes are available", "", False),
    ],
)
def test_a_queue_that_keeps_a_gang_waiting_is_not_the_nodes(
    adapter: Adapter, said: str, queue: str, blamed: bool
) -> None:
    if not blamed:
        session(adapter, queue=queue).require_quota(said)
        return
    with pytest.raises(Stuck, match=r"3 of example\.com/gpu \(--set gang_scheduling\.queue=NAME\)"):
        session(adapter, queue=queue).require_quota(said)


@pytest.mark.parametrize(
    ("error", "controllers", "expected"),
    [
        (WebhookUnreached('failed calling webhook "m": kueue-webhook-service', webhook="mjob.kb.io"), DOWN, Refused),
        # A policy engine says no while the solution is down: that is not the solution's refusal.
        (Rejected('admission webhook "validate.policy.example" denied the request: no limits'), DOWN, Stuck),
        (
            Rejected('admission webhook "validate.kyverno.svc-fail" denied the request: kueue.x-k8s.io/queue-name'),
            DOWN,
            Stuck,
        ),
        (Rejected('pods "g" is forbidden: exceeded quota: small'), (), Stuck),
        (WebhookUnreached('failed calling webhook "policy": refused', webhook="policy"), DOWN, WebhookUnreached),
    ],
)
def test_a_refusal_is_the_solution_s_only_if_its_webhook_refuses(
    error: ClusterError, controllers: tuple[SolutionController, ...], expected: type[Exception]
) -> None:
    def refuse() -> None:
        with session(controllers=controllers).refusals():
            raise error

    with pytest.raises(expected) as caught:
        refuse()
    assert str(error) in str(caught.value)


class Workloads(FakePlatform):
    """A platform with Workloads that were made for these Jobs."""

    def __init__(self, *jobs: str) -> None:
        super().__init__()
        self.jobs = jobs

    async def list(self, api_version: str, kind: str, namespace: str, **_: Any) -> Any:
        assert (kind, namespace) == ("Workload", "aiconform-1")
        for name in self.jobs:
            yield {"metadata": {"ownerReferences": [{"kind": "Job", "name": name}]}, "status": {}}


def order(name: str) -> Any:
    return SimpleNamespace(name=name)


async def test_jobs_that_kueue_does_not_manage_say_nothing_of_it() -> None:
    managed = session(platform=Workloads("two", "other"))
    await managed.require_managed(order("one"), order("two"))
    with pytest.raises(Stuck, match=r"made no Workload for Job one.*kueue\.openshift\.io/managed=true"):
        await managed.require_managed(order("one"))
    # A Kueue that is down manages nothing, which is its fault; others have no Workloads.
    await session(platform=Workloads(), controllers=DOWN).require_managed(order("one"))
    await session(volcano.ADAPTER, platform=Workloads()).require_managed(order("one"))


def test_a_gang_that_no_scheduler_has_looked_at_says_nothing_of_a_solution_that_nobody_found() -> None:
    with pytest.raises(Stuck, match=r"no Deployment of KAI Scheduler was found\. Name its scheduler"):
        session(kai.ADAPTER).require_scheduler("")
    session(kai.ADAPTER).require_scheduler("Unschedulable: no node")
    session(kai.ADAPTER, controllers=DOWN).require_scheduler("")
    session(native.ADAPTER).require_scheduler("")
    session(kueue.ADAPTER).require_scheduler("")


def test_what_a_queue_lacks_is_named() -> None:
    with pytest.raises(Stuck, match=r"quota for 3 of example\.com/gpu, and that covers cpu \(--set"):
        session(queue="team").require_quota("Pending: resource cpu unavailable in ClusterQueue")


@pytest.mark.parametrize(
    "said",
    [
        "can only submit PodGroup to queue with state `Open`, queue `default` status is `Closed`",
        "queue `default` is not found",
        "unable to find job queue: queues default not found",
    ],
)
def test_a_queue_that_takes_no_gangs_is_not_the_solution_s_refusal(said: str) -> None:
    def refuse() -> None:
        with session(volcano.ADAPTER, controllers=DOWN).refusals():
            raise Rejected(f'admission webhook "validatepodgroup.volcano.sh" denied the request: {said}')

    with pytest.raises(Stuck, match="the queue takes no gang"):
        refuse()


async def test_a_node_that_ends_meanwhile_is_told() -> None:
    await session().require_nodes()
    with pytest.raises(Stuck, match="node node-1 is not Ready: off"):
        await session(platform=FakePlatform(ready="Unknown")).require_nodes()
    with pytest.raises(Stuck, match="node node-1 is gone"):
        await session(platform=FakePlatform(nodes=0)).require_nodes()


def test_a_solution_without_webhooks_refuses_nothing() -> None:
    def refuse() -> None:
        with session(native.ADAPTER).refusals():
            raise Rejected('admission webhook "pods.example.com" denied the request: no alternative class')

    with pytest.raises(Stuck):
        refuse()


@pytest.mark.parametrize(
    ("said", "blamed"),
    [
        ("0/3 nodes are available: 1 Too many pods, 2 node(s) didn't match Pod's node affinity/selector", True),
        ("0/3 nodes are available: 1 Insufficient cpu", True),
        ('topology "t" doesn\'t allow to fit any of 3 pod(s). Total nodes: 1; excluded: resource "cpu": 1', True),
        ("0/3 nodes are available: 1 Insufficient cpu, 1 Insufficient example.com/gpu", False),
        ("0/3 nodes are available: 1 Insufficient example.com/gpu", False),
        ("", False),
    ],
)
def test_a_node_that_is_short_of_something_else_is_not_the_solution_s_fault(said: str, blamed: bool) -> None:
    if not blamed:
        session().require_short_devices(said)
        return
    with pytest.raises(Stuck, match="short of something else than devices"):
        session().require_short_devices(said)
