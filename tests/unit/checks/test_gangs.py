"""The adapters of gang scheduling: which one a platform gets, what they make, and what they understand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from aiconform.check import NothingToLookAt
from aiconform.checks.gang_scheduling import choice, placement
from aiconform.checks.gang_scheduling.choice import ADAPTERS, choose, find
from aiconform.checks.gang_scheduling.solutions import kueue
from aiconform.checks.gang_scheduling.solutions.adapter import GANG_LABEL, InstalledSolution, Order
from aiconform.cluster import Object
from aiconform.cluster.guest import Guest
from aiconform.kit.pods import container
from aiconform.platform import AcceleratorGroup, Accelerators, NodeAccelerators
from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.holders import describe

BY_NAME = {adapter.name: adapter for adapter in ADAPTERS}
NODE: Object = {"metadata": {"name": "a", "labels": {"kubernetes.io/hostname": "a.example"}}, "spec": {}}


def order(name: str, **change: Any) -> Order:
    adapter = BY_NAME[name]
    fields: dict[str, Any] = {
        "name": "gang",
        "size": 3,
        "api_version": f"{adapter.group}/{adapter.versions[0]}" if adapter.group else "",
        "template": {
            "metadata": {"labels": {GANG_LABEL: "gang"}},
            "spec": {
                "affinity": {"nodeAffinity": {}},
                "tolerations": [],
                "containers": [container("worker", "i", "true")],
            },
        },
        "resource": "example.com/gpu",
        "nodes": (NODE,),
        "shared": "shared",
        "local": "local",
    }
    return Order(**fields | change)


def deployment(image: str, available: int = 1) -> Object:
    return {
        "metadata": {"name": "controller", "namespace": "system"},
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
        "status": {"availableReplicas": available},
    }


KUEUE = deployment("registry.k8s.io/kueue/kueue:v0.19.2")
GROUPS = {"kueue.x-k8s.io": ("v1beta2", "v1beta1"), "scheduling.k8s.io": ("v1", "v1beta1")}
KINDS = {"kueue": frozenset(kueue.ADAPTER.kinds), "native": frozenset({"PodGroup", "Workload", "PriorityClass"})}


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_only_what_is_built_on_kube_scheduler_may_wait_for_its_next_try(name: str) -> None:
    assert bool(BY_NAME[name].retries) == (name in ("native", "coscheduling"))


# Choice


def test_what_is_installed_goes_before_what_kubernetes_brings() -> None:
    found, why = choose(find(GROUPS, KINDS, [KUEUE]), "")
    assert found.adapter.name == "kueue"
    assert found.version == "0.19.2"
    assert found.api_version == "kueue.x-k8s.io/v1beta2"
    assert "Kubernetes PodGroup" in why
    assert "--set gang_scheduling.solution=native" in why


def test_what_works_goes_before_what_is_down() -> None:
    found, why = choose(find(GROUPS, KINDS, [deployment("kueue/kueue:v1", available=0)]), "")
    assert found.adapter.name == "native"
    assert "the one that works" in why


def test_what_is_down_is_used_if_there_is_nothing_else() -> None:
    (found,) = find({"kueue.x-k8s.io": ("v1beta2",)}, KINDS, [deployment("kueue/kueue:v1", available=0)])
    assert found.down == ("system/controller",)
    assert "not available" in str(found)
    assert choose([found], "")[0] is found


def test_the_user_has_the_last_word() -> None:
    found, why = choose(find(GROUPS, KINDS, [KUEUE]), "native")
    assert found.adapter.name == "native"
    assert "as set by" in why
    with pytest.raises(NothingToLookAt, match="volcano is not installed; installed solutions: kueue, native"):
        choose(find(GROUPS, KINDS, [KUEUE]), "volcano")


def test_a_solution_that_cannot_request_what_is_offered_is_left_out() -> None:
    found = find(GROUPS, KINDS, [KUEUE])
    taken, why = choose(found, "", {"dra"})
    assert taken.adapter.name == "native"
    assert "Kueue: Kueue counts what is free on the nodes only for extended resources" in why
    assert choose(found, "", {"device-plugin"})[0].adapter.name == "kueue"
    assert choose(found, "", {"dra", "device-plugin"})[0].adapter.name == "kueue"
    assert choose(found, "kueue", {"dra"})[0].adapter.name == "kueue"
    only_kueue = [each for each in found if each.adapter.name == "kueue"]
    assert choose(only_kueue, "", {"dra"})[0].adapter.name == "kueue"


def test_an_unknown_version_is_said() -> None:
    found = find({"kueue.x-k8s.io": ("v3",)}, {}, [KUEUE])
    with pytest.raises(NothingToLookAt, match=r"served in v3 only; this suite knows v1beta2, v1beta1"):
        choose(found, "")
    with pytest.raises(NothingToLookAt, match="served in v3 only"):
        choose(found, "kueue")
    both, why = choose([*found, *find({"scheduling.k8s.io": ("v1beta1",)}, KINDS, [])], "")
    assert both.adapter.name == "native"
    assert "v3 only" in why


def test_a_version_without_its_kinds_is_said() -> None:
    (found,) = find({"kueue.x-k8s.io": ("v1beta2",)}, {"kueue": frozenset({"ClusterQueue"})}, [])
    assert "served without LocalQueue" in found.problem


def test_priority_classes_alone_are_no_gang_scheduling() -> None:
    assert find({"scheduling.k8s.io": ("v1",)}, {}, []) == []
    assert find({"scheduling.k8s.io": ("v1", "v1beta1")}, {"native": frozenset({"PriorityClass"})}, []) == []


def test_nothing_installed_names_what_is_known() -> None:
    with pytest.raises(NothingToLookAt, match=r"Kueue, Volcano, KAI Scheduler, Apache YuniKorn"):
        choose([], "")


@pytest.mark.parametrize(
    ("image", "name", "version"),
    [
        ("docker.io/volcanosh/vc-scheduler:v1.10.0", "volcano", "1.10.0"),
        ("ghcr.io/kai-scheduler/kai-scheduler/scheduler:v0.12.0", "kai", "0.12.0"),
        ("apache/yunikorn:scheduler-1.6.3", "yunikorn", "scheduler-1.6.3"),
        ("registry.k8s.io/scheduler-plugins/kube-scheduler:v0.33.5", "coscheduling", "0.33.5"),
        ("mirror:5000/kueue/kueue@sha256:0123", "kueue", ""),
    ],
)
def test_controllers_are_known_by_their_images(image: str, name: str, version: str) -> None:
    adapter = BY_NAME[name]
    groups = {adapter.group: adapter.versions} if adapter.group else {}
    (found,) = find(groups, {name: frozenset(adapter.kinds)}, [deployment(image), deployment("example.com/other:1")])
    assert (found.adapter.name, found.version, found.down) == (name, version, ())


# What they make


@pytest.mark.parametrize("name", choice.NAMES)
def test_every_adapter_makes_a_whole_gang_on_the_given_place(name: str) -> None:
    made = BY_NAME[name].gang(order(name))
    pods = [obj for obj in made if obj["kind"] == "Pod"]
    if name == "kueue":
        (job,) = made
        assert (job["spec"]["parallelism"], job["spec"]["completions"]) == (3, 3)
        pods = [job["spec"]["template"]]
    else:
        assert len({obj["metadata"]["name"] for obj in pods}) == 3
        assert len({json.dumps(pod["spec"]["containers"][0]["env"]) for pod in pods}) == 3
    for pod in pods:
        assert pod["metadata"]["labels"][GANG_LABEL] == "gang"
        assert pod["spec"]["affinity"] == {"nodeAffinity": {}}
    groups = [obj for obj in made if obj["kind"] == "PodGroup"]
    assert all("3" in json.dumps(group["spec"]) for group in groups)


@pytest.mark.parametrize("name", [name for name in choice.NAMES if name != "kueue"])
def test_the_scheduler_can_be_named(name: str) -> None:
    made = BY_NAME[name].gang(order(name, scheduler="mine"))
    assert {obj["spec"]["schedulerName"] for obj in made if obj["kind"] == "Pod"} == {"mine"}


def test_groups_have_the_priority_of_their_pods_where_solutions_evict_by_it() -> None:
    for name in ("native", "volcano"):
        wanted = order(name)
        wanted.template["spec"]["priorityClassName"] = "low"
        group, *pods = BY_NAME[name].gang(wanted)
        assert [obj["spec"]["priorityClassName"] for obj in (group, *pods)] == ["low"] * 4


def test_a_queue_of_kai_is_due_nothing_so_that_it_takes_nothing_back() -> None:
    quotas = [each for obj in BY_NAME["kai"].setup(order("kai")) for each in obj["spec"]["resources"].values()]
    assert {(each["quota"], each["limit"]) for each in quotas} == {(0, -1)}


def test_a_template_is_not_changed_by_making_pods_of_it() -> None:
    wanted = order("volcano")
    before = json.dumps(wanted.template)
    BY_NAME["volcano"].gang(wanted)
    assert json.dumps(wanted.template) == before


def test_kueue_s_own_queue_has_room_for_all_and_counts_the_nodes() -> None:
    made = {obj["kind"]: obj for obj in kueue.setup(order("kueue"))}
    assert made["ResourceFlavor"]["spec"]["topologyName"] == made["Topology"]["metadata"]["name"]
    assert made["ResourceFlavor"]["spec"]["nodeLabels"] == {"kubernetes.io/hostname": "a.example"}
    assert kueue.unfit_queue(made["ClusterQueue"], "example.com/gpu", 16) == ""
    several = kueue.flavor(order("kueue", nodes=(NODE, NODE)), "t")
    assert several["spec"]["nodeLabels"] == {"kubernetes.io/os": "linux"}


def test_a_given_queue_is_used_as_it_is() -> None:
    (local,) = kueue.setup(order("kueue", queue="team"))
    assert local["spec"] == {"clusterQueue": "team"}
    assert BY_NAME["kai"].setup(order("kai", queue="team")) == []


def test_kueue_s_own_queue_covers_whatever_the_pods_request() -> None:
    wanted = order("kueue")
    (worker,) = wanted.template["spec"]["containers"]
    worker["resources"] = {"limits": {"example.com/gpu": "1"}, "requests": {"example.com/nic": "1"}, "claims": []}
    (queue,) = (obj for obj in kueue.setup(wanted) if obj["kind"] == "ClusterQueue")
    (group,) = queue["spec"]["resourceGroups"]
    covers = ["example.com/gpu", "cpu", "memory", "ephemeral-storage", "example.com/nic"]
    assert group["coveredResources"] == covers
    assert [each["name"] for each in group["flavors"][0]["resources"]] == covers


@pytest.mark.parametrize(
    ("quota", "more", "said"),
    [
        ("2", {}, "quota for 2 of example.com/gpu, the gang requests 3"),
        ("3", {}, ""),
        ("2", {"cohortName": "c"}, ""),
        ("1k", {}, ""),
        ("3", {"preemption": {"reclaimWithinCohort": "LowerPriority"}}, ""),
        ("3", {"cohort": "c", "preemption": {"reclaimWithinCohort": "Any"}}, "evicts Workloads of others"),
    ],
)
def test_a_queue_that_cannot_be_used_is_told_with_the_way_out(quota: str, more: Object, said: str) -> None:
    resources = [{"name": "example.com/gpu", "nominalQuota": quota}]
    groups = [{"flavors": [{"name": "f", "resources": resources}]}]
    queue = {"metadata": {"name": "team"}, "spec": {"resourceGroups": groups, **more}}
    problem = kueue.unfit_queue(queue, "example.com/gpu", 3)
    assert said in problem
    assert not said or "--set gang_scheduling.queue=NAME" in problem
    # A cohort lends quota, and no resource that the queue does not cover.
    assert "team does not cover x/y" in kueue.unfit_queue(queue, "x/y", 3)


# What they understand


def status(kind: str, **fields: Any) -> Object:
    return {"kind": kind, "metadata": {"name": "gang"}, "status": fields}


def told(kind: str, state: str, reason: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": state, "reason": reason, "message": "too few nodes"}]}


@pytest.mark.parametrize(
    ("name", "waits", "runs"),
    [
        (
            "native",
            told("PodGroupInitiallyScheduled", "False", "Unschedulable"),
            told("PodGroupInitiallyScheduled", "True", "Scheduled"),
        ),
        ("coscheduling", {"phase": "Scheduling"}, {"phase": "Running"}),
        ("volcano", told("Unschedulable", "True", "NotEnoughResources"), {"phase": "Running"}),
        ("volcano", {"phase": "Inqueue"}, told("Scheduled", "True", "")),
        (
            "kai",
            {"schedulingConditions": [{"status": "True", "reason": "NotEnough", "message": "gang"}]},
            {"phase": "Running"},
        ),
    ],
)
def test_a_group_says_that_it_waits(name: str, waits: Object, runs: Object) -> None:
    adapter, wanted = BY_NAME[name], order(name)
    assert adapter.word(status("PodGroup", **waits), wanted)
    assert adapter.word(status("PodGroup", **runs), wanted) == ""
    other = {**status("PodGroup", **waits), "metadata": {"name": "other"}}
    assert adapter.word(other, wanted) == ""


def test_kueue_says_it_on_the_workload_of_the_job() -> None:
    workload = status("Workload", **told("QuotaReserved", "False", "Pending"))
    assert kueue.word(workload, order("kueue")) == ""
    workload["metadata"] = {"name": "job-gang-1", "ownerReferences": [{"kind": "Job", "name": "gang"}]}
    assert kueue.word(workload, order("kueue")) == "Pending: too few nodes"
    # With quota it waits for the admission checks of its queue.
    checks = [{"name": "dws", "state": "Pending", "message": "not yet"}, {"name": "other", "state": "Ready"}]
    workload["status"] = {"conditions": [{"type": "QuotaReserved", "status": "True"}], "admissionChecks": checks}
    assert kueue.word(workload, order("kueue")) == "admission check dws is Pending: not yet"
    workload["status"]["conditions"].append({"type": "Admitted", "status": "True"})
    assert kueue.word(workload, order("kueue")) == ""


def test_podgroups_of_an_earlier_kubernetes_are_told() -> None:
    (found,) = find({"scheduling.k8s.io": ("v1", "v1alpha2")}, {}, [])
    assert found.problem == "scheduling.k8s.io is served in v1, v1alpha2 only; this suite knows v1beta1"
    assert find({"scheduling.k8s.io": ("v1",)}, {}, []) == []


# Places


def node(name: str, free: int, way: Any = "device-plugin", resource: str = "example.com/gpu") -> NodeAccelerators:
    return NodeAccelerators(way, name, resource, "model", total=8, free=free)


def test_the_smallest_node_that_will_do_is_taken() -> None:
    offered = [node("big", 8), node("small", 4), node("tiny", 1)]
    assert [each.node for each in placement.choose_places(offered, BY_NAME["kueue"])] == ["small", "big"]


def test_nodes_with_one_accelerator_each_are_taken_together() -> None:
    offered = [*(node(f"n{number}", 1) for number in range(6)), node("other", 1, resource="example.com/npu")]
    (found,) = placement.choose_places(offered, BY_NAME["kueue"])
    assert isinstance(found, AcceleratorGroup)
    assert (found.free, found.name, found.node) == (4, "example.com/gpu", "n0-and-3-more")
    assert placement.shares(found, 3) == [(found.members[3], 1), (found.members[2], 1), (found.members[1], 1)]


def test_a_way_that_the_solution_does_not_mind_is_no_place() -> None:
    offered = [node("a", 8, way="dra", resource="gpu.example.com")]
    assert placement.choose_places(offered, BY_NAME["kueue"]) == []
    assert len(placement.choose_places(offered, BY_NAME["native"])) == 1
    assert placement.choose_places([node("a", 1)], BY_NAME["kueue"]) == []


EITHER = {"dra", "device-plugin"}


class Offering:
    """A platform that offers these accelerators."""

    def __init__(self, *offered: NodeAccelerators) -> None:
        self._offered = offered

    async def accelerators(self) -> Accelerators:
        return Accelerators(self._offered, ())


@pytest.mark.parametrize(
    ("free", "ways"),
    [
        ((8, 1), {"dra"}),
        ((1, 8), {"device-plugin"}),
        ((8, 8), {"dra", "device-plugin"}),
        ((0, 1), {"dra", "device-plugin"}),
    ],
)
async def test_the_ways_that_count_are_those_with_room_for_a_gang(free: tuple[int, int], ways: set[str]) -> None:
    offered = node("a", free[0], "dra", "gpu.example.com"), node("b", free[1])
    assert await placement.ways(Offering(*offered)) == ways  # type: ignore[arg-type]


@pytest.mark.parametrize("count", range(9))
def test_fillers_take_what_they_are_told_to(count: int) -> None:
    target = AcceleratorGroup((node("a", 3), node("b", 5)))
    assert sum(here for _, here in placement.shares(target, count)) == count


# Who is in the way


def test_holders_are_named_the_largest_first() -> None:
    def pod(name: str, count: int) -> Object:
        containers = [{"name": "c", "resources": {"limits": {"example.com/gpu": str(count)}}}]
        metadata = {"namespace": "team", "name": name}
        return {"metadata": metadata, "spec": {"nodeName": "a", "containers": containers}, "status": {}}

    devices = [Device("gpu.example.com", "a", f"gpu-{number}", "a", {}) for number in range(2)]
    results = [{"driver": "gpu.example.com", "pool": "a", "device": device.name} for device in devices]
    claims = [
        {
            "metadata": {"namespace": "lab", "name": "claim"},
            "status": {"allocation": {"devices": {"results": results}}, "reservedFor": [{"name": "holder"}]},
        }
    ]
    plugin, dra = node("a", 0), node("a", 0, way="dra", resource="gpu.example.com")
    assert describe([plugin], [pod("x", 1), pod("y", 3)], claims, devices) == "team/y (3), team/x (1)"
    assert describe([dra], [pod("x", 1)], claims, devices) == "lab/holder (2)"
    assert describe([node("b", 0)], [pod("x", 1)], [], []) == "nobody"
    assert describe([plugin], [pod(f"p{number}", 1) for number in range(9)], [], []).endswith("and 4 more")


def test_what_was_found_is_said_in_a_line() -> None:
    assert (
        str(InstalledSolution(BY_NAME["native"], "scheduling.k8s.io/v1beta1"))
        == "Kubernetes PodGroup (scheduling.k8s.io/v1beta1)"
    )


def test_placeholders_of_yunikorn_fit_where_the_pods_fit_that_replace_them() -> None:
    wanted = order("yunikorn", resource="example.com/gpu")
    guest = Guest(pod_template={"spec": {"nodeSelector": {"pool": "gpu"}}})
    bounds = {"spec": {"limits": [{"type": "Container", "min": {"cpu": "100m", "memory": "128Mi"}}]}}
    wanted = replace(wanted, template=guest.fitted(wanted.template, [bounds]))
    for pod in BY_NAME["yunikorn"].gang(wanted):
        (group,) = json.loads(pod["metadata"]["annotations"]["yunikorn.apache.org/task-groups"])
        assert group["minResource"].pop("example.com/gpu") == "1"
        assert group["minResource"] == pod["spec"]["containers"][0]["resources"]["requests"]
        assert group["minResource"]["memory"] == "134217728"
        assert group["nodeSelector"] == pod["spec"]["nodeSelector"] == {"pool": "gpu", "kubernetes.io/os": "linux"}
