"""What gpu_sharing makes on a node and records: a cluster that counts resources as the scheduler does."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import ValidationError
from support.shared_devices import FakeCluster, broken, observed, outcomes, places_of, platform, settings, undecided

from aiconform.check import NotApplicable, NothingToLookAt, Settings
from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.gpu_sharing.observations import Sharing
from aiconform.checks.gpu_sharing.options import EACH_SECONDS, GpuSharing
from aiconform.checks.gpu_sharing.places import places
from aiconform.checks.gpu_sharing.probes import offered_shares
from aiconform.cluster import Object, OverQuota, Stuck, TimedOut
from aiconform.platform.accelerators.drivers import simulated_kernel
from aiconform.platform.accelerators.offered import extended_resources

CHECK = load_check("gpu_sharing")


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Pods do here, they do at once."""
    monkeypatch.setattr("aiconform.checks.gpu_sharing.probes.EACH_SECONDS", 0.0)
    monkeypatch.setattr("aiconform.kit.starting.LATE_SECONDS", 0.1)


def node(name: str = "n1", labels: dict[str, str] | None = None, **resources: str) -> Object:
    amounts = {f"nvidia.com/{key.replace('__', '-')}": value for key, value in resources.items()}
    amounts = {key.replace("mig-1g", "mig-1g.10gb"): value for key, value in amounts.items()}
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": {"nvidia.com/gpu.product": "H100", **(labels or {})}},
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"kernelVersion": "6.8.0", "bootID": "boot-1"},
            "capacity": amounts,
            "allocatable": amounts,
        },
    }


# What the scheduler says of a Pod for which no share is left.
WAITS = {
    "phase": "Pending",
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
        }
    ],
}
SLICED = {
    "nvidia.com/gpu.replicas": "2",
    "nvidia.com/gpu.count": "2",
    "nvidia.com/gpu.sharing-strategy": "time-slicing",
}


def slice_(*devices: Object, driver: str = "gpu.nvidia.com", **spec: Any) -> Object:
    pool = {"name": "n1", "generation": 1, "resourceSliceCount": 1}
    return {
        "kind": "ResourceSlice",
        "metadata": {"name": "s"},
        "spec": {"driver": driver, "nodeName": "n1", "pool": pool, "devices": list(devices), **spec},
    }


def published(name: str, **fields: Any) -> Object:
    attributes = {"uuid": {"string": name}, "productName": {"string": "H100"}, **fields.pop("attributes", {})}
    return {"name": name, "attributes": attributes, **fields}


class Node(FakeCluster):
    """Pods are placed while resources last, and claims get a device as long as there are any.

    device: which of the node's devices the Pod of this number, from 0, sees. printed: what it prints besides. devices:
    how many claims find room.
    """

    def __init__(self, *objects: Object, device: Callable[[int], int] = lambda number: number % 2) -> None:
        super().__init__(*objects)
        self.device = device
        self.printed: dict[int, list[str]] = {}
        self.devices = 4

    def schedule(self, made: Object) -> str:
        running = [each for each in self.of("Pod") if each is not made and each["spec"].get("nodeName")]
        for resource, count in extended_resources(made).items():
            used = sum(extended_resources(each)[resource] for each in running)
            if used + count > int(self.of("Node")[0]["status"]["allocatable"][resource]):
                return f"0/1 nodes are available: 1 Insufficient {resource}."
        for claim in self.claims_of(made):
            held = len([each for each in self.of("ResourceClaim") if each["status"]])
            if not claim["status"] and held >= self.devices:
                return "0/1 nodes are available: 1 cannot allocate all claims."
            results = [self.allocated(claim, held)]
            claim["status"] = claim["status"] or {"allocation": {"devices": {"results": results}}}
        return ""

    def allocated(self, claim: Object, held: int) -> Object:
        (asked,) = claim["spec"]["devices"]["requests"]
        consumed = (asked["exactly"].get("capacity") or {}).get("requests")
        names = [each["name"] for each in self.of("ResourceSlice")[0]["spec"]["devices"]]
        result = {"request": "device", "driver": "gpu.nvidia.com", "pool": "n1"}
        if consumed:
            return {**result, "device": names[-1], "consumedCapacity": consumed, "shareID": str(held)}
        chosen = [name for name in names if name.startswith("part")] or names
        return {**result, "device": chosen[held % len(chosen)]}

    def shows(self, name: str) -> list[str]:
        number = int(name.rpartition("-")[2])
        index = self.device(number)
        return [f"node /dev/nvidia{index} c3 {index:x} character special file", *self.printed.get(number, [])]


async def seen(cluster: Node, **options: Any) -> Sharing:
    (place,) = await places_of(cluster, **options)
    return await observed(cluster, place, **options)


def holds(found: Sharing) -> bool:
    return not broken(found) and not undecided(found)


async def test_time_slices_of_two_devices_are_all_held_and_one_more_waits() -> None:
    cluster = Node(node(labels=SLICED, gpu="4"))
    found = await seen(cluster)
    assert holds(found)
    assert [each.pod for each in found.shares] == [f"probe-share-{number}" for number in range(4)]
    assert (found.strategy, found.bound, found.free, found.physical) == ("device-plugin-replicas", 4, 4, 2)
    assert found.together == tuple(each.pod for each in found.shares)
    assert found.excess is not None
    assert "Insufficient nvidia.com/gpu" in found.excess.waits
    first, second = (each["spec"]["containers"] for each in cluster.made[:2])
    assert [each["name"] for each in first] == ["holder", "control"]
    assert [each["name"] for each in second] == ["holder"]


async def test_shares_of_others_are_left_to_them() -> None:
    limits = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    other = {
        "kind": "Pod",
        "metadata": {"name": "job", "namespace": "team"},
        "spec": {"nodeName": "n1", "containers": [{"name": "main", **limits}]},
        "status": {"phase": "Running"},
    }
    found = await seen(Node(node(labels=SLICED, gpu="4"), other))
    assert (found.bound, found.free, len(found.shares)) == (4, 3, 3)
    assert holds(found)
    more = [{**other, "metadata": {"name": f"job-{number}", "namespace": "team"}} for number in range(3)]
    with pytest.raises(NothingToLookAt, match=r"of the 4 shares of n1.* 1 are free"):
        await seen(Node(node(labels=SLICED, gpu="4"), *more))


async def test_more_shares_than_the_labels_say_are_too_many() -> None:
    cluster = Node(node(labels=SLICED, gpu="6"))
    found = await seen(cluster)
    assert found.bound == 4
    assert broken(found) == {"excess_share_stays_unscheduled"}
    assert found.excess is not None
    assert found.excess.became == "it runs"


async def test_one_too_many_that_the_kubelet_refuses_was_scheduled_all_the_same() -> None:
    cluster = Node(node(labels=SLICED, gpu="6"))
    said = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "Allocate failed: none is left"}
    cluster.states["excess"] = said
    found = await seen(cluster)
    assert broken(found) == {"excess_share_stays_unscheduled"}
    assert found.excess is not None
    assert "none is left" in found.excess.became


async def test_a_share_that_somebody_gives_back_makes_room_for_one_more() -> None:
    class Leaving(Node):
        def place(self, made: Object) -> None:
            if made["metadata"]["name"].endswith("excess"):
                self.objects = [each for each in self.objects if each["kind"] != "Pod"]
            super().place(made)

    limits = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    spec = {"nodeName": "n1", "containers": [{"name": "main", **limits}]}
    other = {"kind": "Pod", "metadata": {"name": "job", "namespace": "t"}, "spec": spec, "status": {"phase": "Running"}}
    found = await seen(Leaving(node(labels=SLICED, gpu="4"), other))
    assert broken(found) == set()
    assert findings(CHECK, found)["excess_share_stays_unscheduled"].holds is None


async def test_a_share_that_does_not_start_is_the_devices_fault_if_a_pod_without_one_starts() -> None:
    cluster = Node(node(labels=SLICED, gpu="4"))
    refused = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "device is not shared"}
    cluster.states |= {f"share-{number}": refused for number in (1, 2, 3)}
    found = await seen(cluster)
    assert broken(found) == {"both_pods_run", "advertised_shares_run"}
    assert found.excess is None
    cluster = Node(node(labels=SLICED, gpu="4"))
    cluster.states |= {"share-3": refused, "control": {"phase": "Failed", "reason": "Evicted", "message": "disk"}}
    with pytest.raises(Stuck, match="not even one without a device"):
        await seen(cluster)


@pytest.mark.parametrize("field", ["initContainerStatuses", "containerStatuses"])
async def test_what_admission_adds_to_pods_may_end(field: str) -> None:
    cluster = Node(node(labels=SLICED, gpu="4"))
    cluster.injected = {field: [{"name": "istio-init", "state": {"terminated": {"exitCode": 0}}}]}
    assert holds(await seen(cluster))


async def test_a_holder_that_ends_does_not_run_beside_the_others() -> None:
    class Ending(Node):
        async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object:
            found = await super().get(api_version, kind, name, namespace)
            if name.endswith("share-0") and any(each["metadata"]["name"].endswith("excess") for each in self.created):
                ended = {"name": "holder", "state": {"terminated": {"exitCode": 1}}}
                beside = {"name": "istio-proxy", "state": {"running": {}}}
                return {**found, "status": {**found["status"], "containerStatuses": [ended, beside]}}
            return found

    found = await seen(Ending(node(labels=SLICED, gpu="4")))
    assert found.together == tuple(f"probe-share-{number}" for number in (1, 2, 3))
    assert broken(found) == {"advertised_shares_run"}


REFUSED = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "device is not shared"}


@pytest.mark.parametrize("first", [REFUSED, WAITS])
async def test_what_two_pods_show_does_not_hang_on_the_first_one(first: Object) -> None:
    cluster = Node(node(labels=SLICED, gpu="4"))
    cluster.states["share-0"] = first
    found = await seen(cluster)
    assert ("shares_are_of_one_device", True) in outcomes(found), "the second and the fourth are of the same"
    assert ("both_pods_run", True) in outcomes(found)


async def test_pods_on_devices_of_their_own_are_told_without_the_first_one() -> None:
    cluster = Node(node(labels=SLICED, gpu="4"))
    cluster.states |= {"share-0": REFUSED, "share-3": REFUSED}
    assert broken(await seen(cluster)) == {"both_pods_run", "advertised_shares_run"}


async def test_partitions_of_one_kind_that_others_hold_leave_those_of_another() -> None:
    limits = {"resources": {"limits": {"nvidia.com/mig-1g.10gb": "4"}}}
    spec = {"nodeName": "n1", "containers": [{"name": "main", **limits}]}
    other = {"kind": "Pod", "metadata": {"name": "job", "namespace": "t"}, "spec": spec, "status": {"phase": "Running"}}
    (place,) = await places_of(Node(node(mig__1g="4", mig__2g__20gb="2"), other))
    (member,) = place.members
    assert (member.name, member.free) == ("nvidia.com/mig-2g-20gb", 2)


async def test_a_node_whose_labels_are_stale_is_told_and_not_tried() -> None:
    labels = {"nvidia.com/mig-1g.10gb.count": "2"}
    cluster = Node(node(labels=labels, mig__1g="2"), node("n2", labels, gpu="1"), device=lambda _: 0)
    found = await seen(cluster)
    assert broken(found) == set()
    assert "n2: label nvidia.com/mig-1g.10gb.count=2" in findings(CHECK, found)["shares_can_be_requested"].reason
    assert any(told.startswith("n2: ") for told in (await offered_shares(platform(cluster), settings())).problems)


async def test_the_pods_of_a_place_are_followed_by_one_watch() -> None:
    cluster = Node(node(labels=SLICED, gpu="4"))
    cluster.states["share-3"] = {"phase": "Pending"}
    await seen(cluster)
    assert cluster.most_watches == 1


NO_CPU = {
    "phase": "Pending",
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient cpu.",
        }
    ],
}
EVICTED = {"phase": "Failed", "reason": "Evicted", "message": "disk"}


@pytest.mark.parametrize(("state", "said"), [(NO_CPU, "Insufficient cpu"), (EVICTED, "Evicted")])
async def test_a_pod_that_waits_for_something_else_leaves_what_two_pods_decide(state: Object, said: str) -> None:
    cluster = Node(node(labels=SLICED, gpu="4"))
    cluster.states["share-3"] = state
    found = await seen(cluster)
    assert undecided(found) == {"advertised_shares_run", "excess_share_stays_unscheduled"}
    assert broken(found) == set()
    assert said in findings(CHECK, found)["advertised_shares_run"].reason


@pytest.mark.parametrize(("state", "error"), [(NO_CPU, TimedOut), (EVICTED, Stuck)])
async def test_two_pods_of_which_one_waits_for_something_else_decide_nothing(
    state: Object, error: type[Exception]
) -> None:
    cluster = Node(node(labels=SLICED, gpu="4"))
    cluster.states |= {f"share-{number}": state for number in (1, 2, 3)}
    with pytest.raises(error):
        await seen(cluster)


async def test_a_quota_leaves_what_two_pods_decide() -> None:
    cluster = Node(node(labels=SLICED, gpu="4"))
    cluster.quota = 3
    found = await seen(cluster)
    assert (len(found.shares), broken(found)) == (3, set())
    assert undecided(found) == {"advertised_shares_run", "excess_share_stays_unscheduled"}
    assert "exceeded quota" in findings(CHECK, found)["advertised_shares_run"].reason
    cluster = Node(node(labels=SLICED, gpu="4"))
    cluster.quota = 4
    found = await seen(cluster)
    assert undecided(found) == {"excess_share_stays_unscheduled"}
    assert "exceeded quota" in findings(CHECK, found)["excess_share_stays_unscheduled"].reason
    cluster.quota = 1
    with pytest.raises(OverQuota):
        await seen(cluster)


@pytest.mark.parametrize(("slots", "started"), [("110", 4), ("6", 4), ("5", 3), ("3", 2), ("1", 2)])
async def test_no_more_pods_start_than_the_node_has_room_for(slots: str, started: int) -> None:
    other = {"kind": "Pod", "metadata": {"name": "job", "namespace": "t"}, "status": {"phase": "Running"}}
    other["spec"] = {"nodeName": "n1", "containers": [{"name": "main"}]}
    cluster = Node(node(labels=SLICED, gpu="4"), other)
    cluster.objects[0]["status"]["allocatable"] |= {"pods": slots}
    found = await seen(cluster)
    assert (len(found.shares), broken(found)) == (started, set())
    full = started < found.bound
    assert ("advertised_shares_run" in undecided(found)) is full
    if full:
        assert "node n1 has room for no more Pods" in findings(CHECK, found)["advertised_shares_run"].reason


CREATING = {"waiting": {"reason": "ContainerCreating"}}
LATE = {"phase": "Pending", "containerStatuses": [{"name": "holder", "state": CREATING}]}


async def test_a_pod_that_is_late_decides_nothing() -> None:
    cluster = Node(node(labels=SLICED, gpu="4"))
    cluster.states["share-3"] = LATE
    found = await seen(cluster)
    assert broken(found) == set()
    assert ("both_pods_run", True) in outcomes(found)
    assert {"advertised_shares_run", "excess_share_stays_unscheduled"} <= undecided(found)
    assert "share-3 may be late" in findings(CHECK, found)["advertised_shares_run"].reason


async def test_a_pod_that_is_not_in_time_and_whose_share_was_not_prepared_is_a_failure() -> None:
    warning = {"kind": "Event", "reason": "FailedPrepareDynamicResources", "message": "no partition is left"}
    cluster = Node(node(labels=SLICED, gpu="4"), warning)
    cluster.states["share-3"] = LATE
    found = await seen(cluster)
    assert broken(found) == {"advertised_shares_run"}
    cluster = Node(node(labels=SLICED, gpu="4"), {**warning, "reason": "Odd", "message": "nvidia.com/gpu: no answer"})
    cluster.states["share-3"] = LATE
    assert broken(await seen(cluster)) == {"advertised_shares_run"}


async def test_a_pod_that_starts_while_others_are_looked_into_runs() -> None:
    class Slow(Node):
        async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object:
            found = await super().get(api_version, kind, name, namespace)
            if name.endswith("share-3") and self.deleted:
                runs = {"name": "holder", "state": {"running": {}}}
                return {**found, "status": {"phase": "Running", "containerStatuses": [runs]}}
            return found

    cluster = Slow(node(labels=SLICED, gpu="4"))
    cluster.states |= {"share-2": LATE, "share-3": LATE}
    found = await seen(cluster)
    assert [bool(share.late) for share in found.shares] == [False, False, True, False]
    assert "probe-share-3" in found.together


def test_pods_that_start_at_once_have_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (probe,) = (each for each in CHECK.probes if each.name == "sharing")
    few, many = (probe.seconds(settings(holders=holders)) for holders in (2, 64))
    assert many - few == 62 * EACH_SECONDS


async def test_fewer_pods_than_there_are_shares_decide_nothing_of_the_limit() -> None:
    found = await seen(Node(node(labels=SLICED, gpu="4")), holders=3)
    assert len(found.shares) == 3
    assert undecided(found)
    assert broken(found) == set()


async def test_partitions_that_are_only_labels_are_recorded_without_a_pod() -> None:
    cluster = Node(node(labels={"nvidia.com/mig-1g.10gb.count": "7"}, gpu="1"))
    found = await seen(cluster)
    assert broken(found) == {"shares_can_be_requested"}
    assert not cluster.made


async def test_a_device_plugin_that_comes_after_the_labels_is_waited_for() -> None:
    labels = {"nvidia.com/mig-1g.10gb.count": "7"}
    cluster = Node(node(labels=labels, gpu="1"))
    (place,) = await places_of(cluster)

    class Coming(Node):
        async def list(self, api_version: str, kind: str, *_: Any, **about: Any) -> AsyncIterator[Object]:
            async for each in super().list(api_version, kind, *_, **about):
                yield each
            if kind == "Node":
                self.objects = [node(labels=labels, gpu="1", mig__1g="7")]

    with pytest.raises(Stuck, match="something changed during the run"):
        await observed(Coming(*cluster.objects), place)


async def test_instances_show_their_memory() -> None:
    folder = f"{simulated_kernel()}/sys/module/simulated_accelerator/devices/MIG-1"

    def shown(size: float) -> list[str]:
        size_of = {"memory": f"{size:.0f}", "parent": "GPU-1"}
        return [f"file {folder}/{name} {base64.b64encode(text.encode()).decode()}" for name, text in size_of.items()]

    labels = {"nvidia.com/mig-1g.10gb.count": "2", "nvidia.com/mig-1g.10gb.simulated": "true"}
    cluster = Node(node(labels=labels, mig__1g="2"), device=lambda _: 0)
    cluster.printed = {0: shown(10 * 2**30), 1: shown(10 * 2**30)}
    found = await seen(cluster)
    assert found.simulated
    assert holds(found)
    cluster = Node(node(labels=labels, mig__1g="2"), device=lambda _: 0)
    cluster.printed = {0: shown(10 * 2**30), 1: shown(80 * 2**30)}
    assert broken(await seen(cluster)) == {"partition_memory_is_its_own"}


POLICY = {"default": "4Gi", "validRange": {"min": "4Gi", "step": "4Gi"}}


async def test_claims_share_the_memory_of_one_device() -> None:
    capacity = {"memory": {"value": "16Gi", "requestPolicy": POLICY}}
    devices = [published(f"gpu-{index}", capacity=capacity, allowMultipleAllocations=True) for index in (0, 1)]
    cluster = Node(node(), slice_(*devices), device=lambda _: 0)
    found = await seen(cluster)
    assert (found.strategy, found.bound, found.physical) == ("consumable-capacity", 4, 1)
    assert holds(found)
    claim = next(each for each in cluster.made if each["kind"] == "ResourceClaim")
    (asked,) = claim["spec"]["devices"]["requests"]
    assert asked["exactly"]["capacity"] == {"requests": {"memory": "4294967296"}}
    assert any("gpu-1" in each["cel"]["expression"] for each in asked["exactly"]["selectors"])
    assert found.shares[0].allocated == ("gpu.nvidia.com/n1/gpu-1/0",)


async def test_claims_that_see_two_devices_did_not_share_one() -> None:
    capacity = {"memory": {"value": "16Gi", "requestPolicy": POLICY}}
    devices = [published("gpu-0", capacity=capacity, allowMultipleAllocations=True)]
    found = await seen(Node(node(), slice_(*devices), device=lambda number: number))
    assert broken(found) == {"shares_are_of_one_device"}


async def test_partitions_are_taken_of_one_device() -> None:
    counters = [{"name": "set", "counters": {"slices": {"value": "2"}}}]

    def consumes(amount: int) -> list[Object]:
        return [{"counterSet": "set", "counters": {"slices": {"value": str(amount)}}}]

    parent = {"pciBusID": {"string": "0000:11:00.0"}}
    whole = published("whole", attributes=parent, consumesCounters=consumes(2), capacity={"memory": {"value": "80Gi"}})
    parts = [
        published(
            f"part-{index}",
            attributes={**parent, "type": {"string": "mig"}, "profile": {"string": "1g.40gb"}},
            consumesCounters=consumes(1),
            capacity={"memory": {"value": "40Gi"}},
        )
        for index in (0, 1)
    ]
    cluster = Node(node(), slice_(whole, *parts, sharedCounters=counters), device=lambda _: 0)
    cluster.devices = 2
    found = await seen(cluster)
    assert (found.strategy, found.bound, found.whole) == ("partitions-by-DRA", 2, 80 * 2.0**30)
    assert [each.published for each in found.shares] == [("0000:11:00.0",)] * 2
    assert broken(found) == set()
    assert findings(CHECK, found)["partition_memory_is_its_own"].holds is None, "nothing shows it"


async def test_two_pods_use_one_claim_where_nothing_better_is_offered() -> None:
    cluster = Node(node(), slice_(published("gpu-0"), published("gpu-1")), device=lambda _: 0)
    found = await seen(cluster)
    assert found.strategy == "shared-claim"
    assert holds(found)
    assert len([each for each in cluster.made if each["kind"] == "ResourceClaim"]) == 1
    assert found.shares[0].allocated == found.shares[1].allocated


async def test_what_cannot_be_shared_is_named_with_its_source() -> None:
    tpu = node(labels={"cloud.google.com/gke-tpu-accelerator": "tpu-v6e-slice"})
    tpu["status"]["allocatable"] = tpu["status"]["capacity"] = {"google.com/tpu": "4"}
    with pytest.raises(NotApplicable, match=r"tpu-v6e-slice are given to one Pod each.*Google TPU: https://"):
        await places_of(Node(tpu))
    with pytest.raises(NothingToLookAt, match="no device of H100 is offered in shares"):
        await places_of(Node(node(gpu="8")))
    with pytest.raises(NothingToLookAt, match="no usable accelerator"):
        await places_of(Node(node()))
    with pytest.raises(NothingToLookAt, match=r"\(looked for shared-claim\)"):
        await places_of(Node(node(labels=SLICED, gpu="4")), strategy="shared-claim")


async def test_one_share_is_blamed_by_a_pod_without_one_and_not_all() -> None:
    cluster = Node(node(labels=SLICED, gpu="4"))
    refused = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "device is not shared"}
    cluster.states |= {f"share-{number}": refused for number in (1, 2, 3)}
    found = await seen(cluster)
    assert [bool(share.problem) for share in found.shares] == [False, True, True, True]
    assert [each["metadata"]["name"] for each in cluster.deleted] == ["probe-share-1-control"]


async def test_every_node_is_tried_if_the_user_says_so() -> None:
    nodes = [node(name, labels=SLICED, gpu="4") for name in ("n1", "n2")]
    every = Settings(every_node=True, options=settings().options)
    assert [str(each) for each in await places(platform(Node(*nodes)), every)] == [
        f"{name}, nvidia.com/gpu by device-plugin-replicas" for name in ("n1", "n2")
    ]
    assert len(await places_of(Node(*nodes))) == 1


async def test_what_is_asked_for_besides_a_share_comes_with_it() -> None:
    cluster = Node(node(labels=SLICED, gpu="4"))
    cluster.objects[0]["status"]["allocatable"] |= {"example.com/mem": "40"}
    found = await seen(cluster, request="example.com/mem=10", image="cuda:1")
    assert holds(found)
    first = next(each for each in cluster.made if each["kind"] == "Pod")
    holder, control = first["spec"]["containers"]
    assert holder["resources"]["limits"].items() >= {"nvidia.com/gpu": "1", "example.com/mem": "10"}.items()
    assert (holder["image"], holder["resources"]["limits"]["memory"]) == ("cuda:1", "8Gi")
    assert "nvidia.com/gpu" not in control["resources"]["limits"]


@pytest.mark.parametrize(("text", "amounts"), [
    ("", {}),
    ("nvidia.com/gpumem=3000", {"nvidia.com/gpumem": "3000"}),
    ("a.b/c=1,d.e/f=20", {"a.b/c": "1", "d.e/f": "20"}),
])  # fmt: skip
def test_what_is_asked_for_besides_is_read(text: str, amounts: dict[str, str]) -> None:
    assert GpuSharing(request=text).besides == amounts


@pytest.mark.parametrize("text", ["gpumem=3000", "a.b/c", "a.b/c=much", "a.b/c=1,"])
def test_what_cannot_be_asked_for_besides_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        GpuSharing(request=text)


async def test_inspect_says_what_would_be_tried() -> None:
    async def inspected(cluster: Node) -> Any:
        return await offered_shares(platform(cluster), settings())

    found = await inspected(Node(node(labels=SLICED, gpu="4")))
    assert "n1, nvidia.com/gpu by device-plugin-replicas: 4 of 4 shares are free" in found.found[0]
    assert (found.missing, found.problems) == ((), ())
    assert "is offered in shares" in (await inspected(Node(node(gpu="8")))).missing[0]
    lost = await inspected(Node(node(labels={"nvidia.com/mig-1g.10gb.count": "7"}, gpu="1")))
    assert "mig-1g.10gb" in lost.problems[0]


async def test_a_way_of_sharing_that_ends_during_the_run_is_no_failure() -> None:
    cluster = Node(node(labels=SLICED, gpu="4"))
    (target,) = await places_of(cluster)
    cluster.objects = [node(gpu="2")]
    with pytest.raises(Stuck, match="no longer offered in shares"):
        await observed(cluster, target)
