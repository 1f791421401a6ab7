"""A Pod with a device that does not start: the device's failure is told from the platform's trouble of the moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

import pytest

from aiconform.cluster import Object, Stuck, TimedOut, WatchEvent
from aiconform.kit import starting
from aiconform.kit.pods import trouble_of_the_node
from aiconform.kit.starting import holder_started

Kubelet = Callable[[str, int], Object]
"""What a kubelet says of the Pod of this name, each time it is asked (0, 1, ...)."""


def status(phase: str = "Pending", **container: Any) -> Object:
    return {"phase": phase, "containerStatuses": [{"name": "c", "image": "i", "state": container or {"waiting": {}}}]}


CREATING = status(waiting={"reason": "ContainerCreating"})
RUNS = status("Running", running={})


class FakeCluster:
    """Each Pod is on node n1; the kubelet says what becomes of it. `events`: reasons of events about any Pod."""

    def __init__(self, kubelet: Kubelet, events: tuple[str, ...] = (), *, node: bool = True) -> None:
        self.kubelet, self.events, self.node = kubelet, events, node
        self.created: list[str] = []
        self.deleted: list[str] = []
        self._asked: dict[str, int] = {}

    def _seen(self, name: str) -> Object:
        asked = self._asked[name] = self._asked.get(name, -1) + 1
        metadata = {"name": name, "namespace": "ns", "uid": name}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": "n1"}} | {
            "status": self.kubelet(name, asked)
        }

    async def get(self, api_version: str, kind: str, name: str, namespace: str) -> Object:
        return self._seen(name)

    async def watch(self, *kind: Any, fields: str, **_: Any) -> AsyncIterator[WatchEvent]:
        name = fields.removeprefix("metadata.name=")
        while True:
            import asyncio

            yield WatchEvent("MODIFIED", self._seen(name))
            await asyncio.sleep(0.01)

    async def list(self, api_version: str, kind: str, *_: Any, **__: Any) -> AsyncIterator[Object]:
        if kind == "Event":
            for reason in self.events:
                yield {"reason": reason, "message": reason.lower()}
        elif self.node:
            ready = {"type": "Ready", "status": "True"}
            yield {"metadata": {"name": "n1"}, "spec": {}, "status": {"conditions": [ready]}}

    async def create(self, obj: Object) -> Object:
        self.created.append(obj["metadata"]["name"])
        return self._seen(obj["metadata"]["name"])

    async def delete(self, obj: Object) -> None:
        self.deleted.append(obj["metadata"]["name"])

    # As a Platform and a Scratch.
    images: ClassVar = {"shell": "i"}

    @property
    def cluster(self) -> FakeCluster:
        return self

    def tell(self, message: str) -> None:
        pass


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "CONTROL_SECONDS", 0.2)
    monkeypatch.setattr(starting, "LATE_SECONDS", 0.1)


async def outcome(cluster: FakeCluster) -> tuple[Object | None, str]:
    return await holder_started(cluster, cluster, cluster._seen("holder"), seconds=0.1)  # type: ignore[arg-type]


def only_without_device(state: Object) -> Kubelet:
    """Pods without a device run; with one they stay in this state."""
    return lambda name, _: RUNS if name.endswith("-control") else state


async def test_a_pod_that_starts_needs_no_other() -> None:
    cluster = FakeCluster(lambda name, asked: RUNS)
    running, problem = await outcome(cluster)
    assert running is not None
    assert (problem, cluster.created) == ("", [])


ALLOCATE = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "Allocate failed due to no health"}
NOT_CREATED = status(waiting={"reason": "CreateContainerError", "message": "unresolvable CDI devices"})
NEVER_RAN = status("Failed", terminated={"reason": "StartError", "message": "hook failed: no such device"})


@pytest.mark.parametrize(
    ("state", "said"),
    [(CREATING, "not within"), (ALLOCATE, "Allocate failed"), (NOT_CREATED, "CDI"), (NEVER_RAN, "hook failed")],
    ids=["never prepared", "never allocated", "not created", "never ran"],
)
async def test_a_device_is_to_blame_if_a_pod_without_one_starts(state: Object, said: str) -> None:
    cluster = FakeCluster(only_without_device(state), events=("Pulled", "FailedPrepareDynamicResources"))
    running, problem = await outcome(cluster)
    assert running is None
    assert said in problem
    assert cluster.created == cluster.deleted == ["holder-control"]


@pytest.mark.parametrize("state", [CREATING, ALLOCATE, NOT_CREATED])
async def test_where_no_pod_starts_the_platform_is_to_blame(state: Object) -> None:
    no_address = status(waiting={"reason": "ContainerCreating"})
    cluster = FakeCluster(
        lambda name, _: no_address if name.endswith("-control") else state, events=("FailedCreatePodSandBox",)
    )
    with pytest.raises(Stuck, match="no Pod starts on n1 at the moment, not even one without a device"):
        await outcome(cluster)


async def test_a_pod_that_starts_while_the_other_is_tried_has_started() -> None:
    begun: list[bool] = []

    def kubelet(name: str, asked: int) -> Object:
        if name.endswith("-control"):
            begun.append(True)
        return RUNS if begun else CREATING

    running, problem = await outcome(FakeCluster(kubelet))
    assert running is not None
    assert problem == ""


@pytest.mark.parametrize("reason", ["", "ErrImagePull", "ImagePullBackOff"])
async def test_a_slow_pull_is_not_the_devices_fault(reason: str) -> None:
    state = status(waiting={"reason": reason, "message": "i/o timeout"}) if reason else CREATING
    cluster = FakeCluster(only_without_device(state), events=("Scheduled", "Pulling"))
    with pytest.raises(Stuck, match="still being pulled; use a larger --patience"):
        await outcome(cluster)


async def test_a_node_that_is_gone_is_not_the_devices_fault() -> None:
    with pytest.raises(Stuck, match="node n1 is gone"):
        await outcome(FakeCluster(only_without_device(CREATING), node=False))


TROUBLES = [
    "Evicted",
    "Preempting",
    "Terminated",
    "NodeShutdown",
    "NodeAffinity",
    "TopologyAffinityError",
    "OutOfpods",
    "OutOfcpu",
    "OutOfmemory",
    "OutOfephemeral-storage",
]


@pytest.mark.parametrize("reason", TROUBLES)
async def test_what_the_node_is_short_of_is_not_the_devices_fault(reason: str) -> None:
    failed = {"phase": "Failed", "reason": reason, "message": "for the moment"}
    with pytest.raises(Stuck, match=f"{reason}: for the moment"):
        await outcome(FakeCluster(only_without_device(failed)))


@pytest.mark.parametrize(("used", "capacity", "theirs"), [(8, 8, True), (1, 1, True), (0, 0, False), (0, 8, False)])
def test_a_device_that_another_pod_was_given_is_not_the_devices_fault(used: int, capacity: int, theirs: bool) -> None:
    """Two schedulers can give away the same device; where nobody uses one, the node offers less than it did."""
    said = f"Node didn't have enough resource: nvidia.com/gpu, requested: 1, used: {used}, capacity: {capacity}"
    failed = {"phase": "Failed", "reason": "OutOfnvidia.com/gpu", "message": f"Pod was rejected: {said}"}
    assert bool(trouble_of_the_node({"status": failed, "spec": {}})) == theirs


async def test_a_pod_that_is_disrupted_is_not_the_devices_fault() -> None:
    disrupted = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "by x"}
    with pytest.raises(Stuck, match="PreemptionByScheduler"):
        await outcome(FakeCluster(only_without_device({"phase": "Failed", "conditions": [disrupted]})))


@pytest.mark.parametrize("reason", ["UnexpectedAdmissionError", "OutOfnvidia.com/gpu", ""])
def test_what_may_be_the_devices_fault_is_no_trouble_of_the_node(reason: str) -> None:
    assert trouble_of_the_node({"status": {"phase": "Failed", "reason": reason}, "spec": {}}) is None


@pytest.mark.parametrize(
    ("claims", "untold", "told"), [(True, "told", True), (True, "", False), (False, "told", False)]
)
async def test_a_claim_that_waits_may_wait_for_taints_that_nobody_may_read(
    claims: bool, untold: str, told: bool
) -> None:
    class Unscheduled(FakeCluster):
        def _seen(self, name: str) -> Object:
            spec = {"resourceClaims": [{"name": "device"}]} if claims else {}
            return {**super()._seen(name), "spec": spec}

        async def untold_taints(self) -> str:
            return untold

    with pytest.raises(TimedOut) as ended:
        await outcome(Unscheduled(lambda name, asked: {"phase": "Pending"}))
    assert str(ended.value).endswith("; told") is told
