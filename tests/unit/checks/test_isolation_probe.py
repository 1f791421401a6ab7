"""What the probe makes on a node and records of it: a cluster whose containers print what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiconform.check import Settings
from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.secure_accelerator_access.observations import Isolation
from aiconform.checks.secure_accelerator_access.options import SecureAcceleratorAccess
from aiconform.checks.secure_accelerator_access.probes import isolation
from aiconform.cluster import NotCreated, Object, Rejected, Stuck, WatchEvent
from aiconform.kit.container_view import LOOKED
from aiconform.platform import AcceleratorOptions, NodeAccelerators
from aiconform.platform.accelerators.device_nodes import known_nodes
from aiconform.platform.accelerators.offered import AllocationWay

READY = {"type": "Ready", "status": "True"}
KERNEL = {"kernelVersion": "6.8.0", "bootID": "boot-1"}
NOBODY = ["kernel 6.8.0 boot-1", "node /dev/null 1 3 character special file", "mount /"]


def node(name: str, labels: dict[str, str] | None = None, *, gpus: str = "") -> Object:
    capacity = {"nvidia.com/gpu": gpus} if gpus else {}
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {},
        "status": {"conditions": [READY], "nodeInfo": KERNEL, "capacity": capacity},
    }


def gpu(index: int) -> list[str]:
    return [
        *NOBODY,
        f"node /dev/nvidia{index} c3 {index:x} character special file",
        "node /dev/nvidiactl c3 ff character special file",
    ]


class FakeCluster:
    """Pods run at once, but for those whose state the test gives by the end of their names."""

    def __init__(self, printed: dict[str, list[str]], states: dict[str, Object] | None = None) -> None:
        self.printed, self.states = printed, states or {}
        self.created: dict[str, Object] = {}
        self.others: list[Object] = []
        self.claims: list[Object] = []

    async def list(self, api_version: str, kind: str, *, fields: str) -> AsyncIterator[Object]:
        assert (kind, fields) == ("Pod", "spec.nodeName=n1")
        for other in self.others:
            yield other

    def seen(self, obj: Object) -> Object:
        names = [each["name"] for each in obj["spec"]["containers"]]
        runs = {"phase": "Running", "containerStatuses": [{"name": name, "state": {"running": {}}} for name in names]}
        state = next((state for end, state in self.states.items() if obj["metadata"]["name"].endswith(end)), runs)
        placed = obj["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        (term,) = placed["nodeSelectorTerms"]
        return {**obj, "spec": {**obj["spec"], "nodeName": term["matchFields"][0]["values"][0]}, "status": state}

    async def watch(self, *kind: Any, fields: str, **_: Any) -> AsyncIterator[WatchEvent]:
        yield WatchEvent("ADDED", self.seen(self.created[fields.removeprefix("metadata.name=")]))
        await asyncio.sleep(60)

    async def follow(self, namespace: str, name: str, container: str, *, seconds: float) -> AsyncIterator[str]:
        for line in (*self.printed.get(name.removeprefix("probe-") + "/" + container, NOBODY), LOOKED):
            yield line


class FakePlatform:
    said = AcceleratorOptions()

    def __init__(self, cluster: FakeCluster, *nodes: Object) -> None:
        self.cluster, self._nodes = cluster, list(nodes)
        self.images = {"shell": "shell:1"}

    async def nodes(self) -> list[Object]:
        return self._nodes

    async def node(self, name: str) -> Object:
        return next(each for each in self._nodes if each["metadata"]["name"] == name)

    async def devices(self) -> tuple[list[Any], list[Any]]:
        return [], []

    async def resource_api(self) -> str:
        return "resource.k8s.io/v1"


class FakeScratch:
    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster

    def name(self, part: str) -> str:
        return f"probe-{part}"

    def cluster_name(self, part: str) -> str:
        return f"run-probe-{part}"

    @property
    def created(self) -> list[Object]:
        return [*self.cluster.created.values()]

    def tell(self, message: str) -> None:
        pass

    async def create(self, obj: Object) -> Object:
        made = {**obj, "metadata": {**obj["metadata"], "namespace": "ns", "uid": obj["metadata"]["name"]}}
        if obj["kind"] == "ResourceClaim":
            self.cluster.claims.append(made)
        else:
            self.cluster.created[obj["metadata"]["name"]] = made
        return made


TARGET = NodeAccelerators("device-plugin", "n1", "nvidia.com/gpu", "H100", total=2, free=2)
PRINTED = {
    "holder/holder": [*gpu(0), "own /dev/nvidia0 opened", "own /dev/nvidiactl opened"],
    "second/holder": gpu(1),
    "stranger/stranger": [
        *NOBODY,
        "control forged c:1:3 opened",
        *(f"forged c:195:{minor} sh: can't open /forged: Operation not permitted" for minor in (0, 1, 255)),
    ],
    "baseline/baseline": [*NOBODY, "node /dev/odd 10 1 character special file"],
}


async def seen(
    cluster: FakeCluster, *nodes: Object, settings: Settings | None = None, target: NodeAccelerators = TARGET
) -> Isolation:
    nodes = nodes or (node("n1", gpus="2"), node("n2"))
    platform = FakePlatform(cluster, *nodes)
    return await isolation(platform, FakeScratch(cluster), settings or Settings(patience=5.0), target)  # type: ignore[arg-type]


def outcomes(found: Isolation) -> set[bool | None]:
    return {finding.holds for finding in findings(load_check("secure_accelerator_access"), found).values()}


async def test_a_healthy_node_is_recorded_and_holds() -> None:
    cluster = FakeCluster(PRINTED)
    found = await seen(cluster)
    assert outcomes(found) == {True}
    assert {*cluster.created} == {f"probe-{name}" for name in ("holder", "second", "stranger", "asker", "baseline")}
    assert found.baseline is not None
    assert [each.path for each in found.baseline.nodes] == ["/dev/null", "/dev/odd"]
    assert (found.asked, found.total, found.shared, found.boot) == (1, 2, "", "boot-1")
    (stranger,) = cluster.created["probe-stranger"]["spec"]["containers"]
    assert {"name": "NUMBERS", "value": "c:195:0 c:195:1 c:195:255"} in stranger["env"]
    (asker,) = cluster.created["probe-asker"]["spec"]["containers"]
    assert {each["name"]: each["value"] for each in asker["env"]} == known_nodes().environment


async def test_without_a_node_without_accelerators_there_is_no_baseline() -> None:
    found = await seen(FakeCluster(PRINTED), node("n1", gpus="2"))
    assert found.baseline is None
    assert outcomes(found) == {True}


async def test_a_baseline_pod_that_does_not_start_is_done_without() -> None:
    state = {"waiting": {"reason": "InvalidImageName", "message": "no"}}
    waiting = {"phase": "Pending", "containerStatuses": [{"name": "baseline", "image": "i", "state": state}]}
    assert (await seen(FakeCluster(PRINTED, {"baseline": waiting}))).baseline is None


async def test_an_environment_that_keeps_a_container_from_starting_was_refused() -> None:
    state = {"waiting": {"reason": "CreateContainerError", "message": "not allowed to name devices"}}
    waiting = {"phase": "Pending", "containerStatuses": [{"name": "asker", "image": "i", "state": state}]}
    found = await seen(FakeCluster(PRINTED, {"asker": waiting, "asker-again": waiting}))
    assert found.asker is None
    assert "not allowed to name devices" in found.asker_refused
    assert outcomes(found) == {True}


async def test_an_environment_for_which_the_runtime_fails_was_refused_too() -> None:
    state = {"terminated": {"reason": "StartError", "message": "hook: unknown device all"}}
    failed = {"phase": "Failed", "containerStatuses": [{"name": "asker", "image": "i", "state": state}]}
    found = await seen(FakeCluster(PRINTED, {"asker": failed, "asker-again": failed}))
    assert "unknown device all" in found.asker_refused
    assert outcomes(found) == {True}


async def test_a_container_that_fails_to_start_for_a_moment_was_not_refused_for_its_environment() -> None:
    state = {"waiting": {"reason": "CreateContainerError", "message": "context deadline exceeded"}}
    waiting = {"phase": "Pending", "containerStatuses": [{"name": "asker", "image": "i", "state": state}]}
    found = await seen(FakeCluster({**PRINTED, "asker-again/asker-again": gpu(0)}, {"asker": waiting}))
    broken = findings(load_check("secure_accelerator_access"), found)
    assert {id_ for id_, finding in broken.items() if finding.holds is False} == {"environment_gives_nothing"}
    every = dict.fromkeys(("asker", "asker-of-nothing", "asker-again"), waiting)
    with pytest.raises(NotCreated, match="context deadline exceeded"):
        await seen(FakeCluster(PRINTED, every))


async def test_a_quota_that_is_full_refuses_no_environment() -> None:
    class Full(FakeScratch):
        async def create(self, obj: Object) -> Object:
            if "asker" in obj["metadata"]["name"]:
                raise Rejected("create pods: exceeded quota: guests, requested: pods=1, used: pods=4", status=403)
            return await super().create(obj)

    cluster = FakeCluster(PRINTED)
    platform = FakePlatform(cluster, node("n1", gpus="2"), node("n2"))
    with pytest.raises(Rejected, match="exceeded quota"):
        await isolation(platform, Full(cluster), Settings(patience=5.0), TARGET)  # type: ignore[arg-type]


class SecondWaits(FakeCluster):
    """The scheduler finds no node for the second Pod, and says why."""

    def __init__(self, message: str) -> None:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        super().__init__(PRINTED, {"second": {"phase": "Pending", "conditions": [condition]}})

    def seen(self, obj: Object) -> Object:
        made = super().seen(obj)
        if obj["metadata"]["name"].endswith("second"):
            del made["spec"]["nodeName"]
        return made


async def test_a_second_pod_that_waits_for_something_else_shows_nothing() -> None:
    one = NodeAccelerators("device-plugin", "n1", "nvidia.com/gpu", "H100", total=1, free=1)
    for message in ("1 Insufficient nvidia.com/gpu, 1 Too many pods", "cannot allocate all claims", "no room"):
        assert (await seen(SecondWaits(message), target=one)).second_waited
    for message in ("1 Too many pods", "1 Insufficient cpu"):
        with pytest.raises(Stuck, match=message):
            await seen(SecondWaits(message), target=one)


def other(priority: int | None, phase: str = "Running", resource: str = "nvidia.com/gpu", **spec: Any) -> Object:
    asks = [{"resources": {"limits": {"cpu": "1", **({resource: "1"} if resource else {})}}}]
    return {"spec": {"priority": priority, "containers": asks, **spec}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("others", "has_class"),
    [
        ([], False),
        ([other(0), other(None), other(2000001000)], False),
        ([other(-10)], True),
        ([other(-10, "Succeeded")], False),
        # Whoever holds no such device gives none by leaving, such as a placeholder for CPUs or a Pod with a NIC.
        ([other(-10, resource="")], False),
        ([other(-10, resource="rdma/hca"), other(-10, resource="", resourceClaims=[{"name": "nic"}])], False),
    ],
)
async def test_nobody_is_evicted_for_the_pod_that_finds_no_free_device(others: list[Object], has_class: bool) -> None:
    cluster = SecondWaits("no room")
    cluster.others = others
    one = NodeAccelerators("device-plugin", "n1", "nvidia.com/gpu", "H100", total=8, free=1)
    assert (await seen(cluster, target=one)).second_waited
    made = cluster.created.get("run-probe-priority")
    assert (made is not None) == has_class
    assert cluster.created["probe-second"]["spec"].get("priorityClassName") == (made and "run-probe-priority")
    assert "priorityClassName" not in cluster.created["probe-holder"]["spec"]
    if made:
        assert made["preemptionPolicy"] == "Never"


async def test_an_environment_that_the_runtime_obeys_is_seen() -> None:
    found = await seen(FakeCluster({**PRINTED, "asker/asker": gpu(0)}))
    broken = findings(load_check("secure_accelerator_access"), found)
    assert {id_ for id_, finding in broken.items() if finding.holds is False} == {"environment_gives_nothing"}


async def test_what_says_that_devices_are_shared() -> None:
    sliced = node("n1", {"nvidia.com/gpu.replicas": "4"}, gpus="8")
    assert (await seen(FakeCluster(PRINTED), sliced)).shared == "label nvidia.com/gpu.replicas=4"
    options = (SecureAcceleratorAccess(shared="example.com/npu,nvidia.com/gpu"),)
    said = await seen(FakeCluster(PRINTED), settings=Settings(patience=5.0, options=options))
    assert said.shared == "so the user says"
    intel = NodeAccelerators("device-plugin", "n1", "gpu.intel.com/i915", "", total=20, free=20, physical=2)
    assert (await seen(FakeCluster(PRINTED), target=intel)).shared == "20 gpu.intel.com/i915 are shares of 2 device(s)"
    unlabelled = NodeAccelerators("device-plugin", "n1", "gpu.intel.com/i915", "", total=20, free=20)
    found = await seen(FakeCluster(PRINTED), target=unlabelled)
    assert (found.shared, found.perhaps_shared) == ("", True)
    more = NodeAccelerators("device-plugin", "n1", "nvidia.com/gpu", "H100", total=20, free=20, physical=2)
    assert (await seen(FakeCluster(PRINTED), target=more)).perhaps_shared
    whole = NodeAccelerators("device-plugin", "n1", "nvidia.com/gpu", "H100", total=2, free=2, physical=2)
    assert not (await seen(FakeCluster(PRINTED), target=whole)).perhaps_shared
    registered = node("n1", gpus="20")
    listed = "GPU-0,10,32768,100,V100,0,true:GPU-1,10,32768,100,V100,0,true:"
    registered["metadata"]["annotations"] = {"hami.io/node-nvidia-register": listed}
    shares = NodeAccelerators("device-plugin", "n1", "nvidia.com/gpu", "", total=20, free=20, physical=2)
    found = await seen(FakeCluster(PRINTED), registered, target=shares)
    assert found.shared == "20 nvidia.com/gpu are shares of 2 device(s)"


@pytest.mark.parametrize(
    ("way", "name", "message"),
    [
        ("device-plugin", "google.com/tpu", "no tpu"),
        ("dra", "tpu.google.com", "0/1 nodes are available: 1 cannot allocate all claims"),
    ],
)
async def test_all_devices_that_are_allocated_only_together_are_asked_for(
    way: AllocationWay, name: str, message: str
) -> None:
    tpu = NodeAccelerators(way, "n1", name, "v5e", total=4, free=4, unit=4, device_class="tpu")
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    waits = {"phase": "Pending", "conditions": [unschedulable]}

    class Waiting(FakeCluster):
        def seen(self, obj: Object) -> Object:
            made = super().seen(obj)
            if obj["metadata"]["name"].endswith("second"):
                del made["spec"]["nodeName"]
            return made

    cluster = Waiting(PRINTED, {"second": waits})
    found = await seen(cluster, target=tpu)
    assert (found.asked, found.total, found.second, found.second_waited) == (4, 4, None, True)
    if way == "device-plugin":
        assert cluster.created["probe-holder"]["spec"]["containers"][0]["resources"]["limits"][name] == "4"
    else:
        claims = [each for each in cluster.claims if each["metadata"]["name"] in ("probe-holder", "probe-second")]
        counts = [each["spec"]["devices"]["requests"][0]["exactly"]["count"] for each in claims]
        assert counts == [4, 4]
