"""gang_scheduling with three different solutions, healthy, and with each fault that has to break it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.lab import Lab, Outcome, assert_broken, succeed

from aiconform.checks.gang_scheduling.choice import ADAPTERS
from aiconform.checks.gang_scheduling.solutions.adapter import Order
from aiconform.kit.pods import container, pod
from aiconform.lab.faults.registry import breaking
from aiconform.platform.images import IMAGES

CHECK = "gang_scheduling"

FAULTS = breaking(CHECK)
SOLUTION = {"pod-groups-ignored": "native", "coscheduling-off": "coscheduling"}
# With each fault on, a Pod that starts does so in the first seconds.
QUICK = ("--patience", "20", "--set", f"{CHECK}.observe_seconds=6")
# One more node for each probe: they run side by side then.
NODES = ("gang-1", "gang-2")
BY_BOTH_WAYS = ("--allocation", "both", "--accelerators", "8")
CLUSTER_SCOPED = "namespaces,clusterqueues,resourceflavors,topologies.kueue.x-k8s.io,deviceclasses"


# Solutions whose objects the lab has the definitions of, or that have none.
MADE_FOR = ("volcano", "kai", "coscheduling", "yunikorn")


def run(lab: Lab, solution: str, *arguments: str) -> Outcome:
    return lab.run(CHECK, *QUICK, "--set", f"{CHECK}.solution={solution}", *arguments)


def create(lab: Lab, folder: Path, obj: dict[str, Any], *options: str) -> None:
    file = folder / "object.json"
    file.write_text(json.dumps(obj))
    lab.kubectl("create", "-f", str(file), *options)


@pytest.fixture(scope="module")
def gangs(lab: Lab) -> Iterator[Lab]:
    lab.install("kueue", "coscheduling", "workload-api")
    for node in NODES:
        succeed("lab", "node", "add", node, "--name", lab.name, *BY_BOTH_WAYS)
    yield lab
    # A new lab for whoever comes next is there sooner than this one would be without all that.
    succeed("lab", "down", "--name", lab.name)
    succeed("lab", "up", "--name", lab.name)


@pytest.fixture(scope="module")
def definitions(gangs: Lab) -> Lab:
    gangs.install("gang-definitions")
    return gangs


@pytest.mark.parametrize("solution", ["kueue", "coscheduling", "native"])
def test_the_healthy_lab_passes_with_each_solution(gangs: Lab, solution: str) -> None:
    # Kueue with the window that users get.
    done = run(gangs, solution, *(("--set", f"{CHECK}.observe_seconds=30") if solution == "kueue" else ()))
    assert done.code == 0, done.stderr
    assert done.report["leaks"] == []
    assert done.check(CHECK)["verdict"] == "pass"
    for entry in done.check(CHECK)["assertions"]:
        assert entry["holds"], entry
        assert entry["subjects"], entry
        assert entry["reason"].startswith(solution)
    succeed("judge", done.folder)
    left = gangs.kubectl("get", CLUSTER_SCOPED, "-o", "name").replace("simulated-accelerator.aiconform.dev", "")
    assert "aiconform" not in left


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_breaks_its_assertions_and_no_others(gangs: Lab, fault: str) -> None:
    with gangs.fault(fault):
        done = run(gangs, SOLUTION.get(fault, "kueue"))
    assert_broken(done, fault, CHECK)
    assert done.report["leaks"] == []


def test_kueue_is_restarted_after_its_gangs_are_done(gangs: Lab) -> None:
    done = run(gangs, "kueue", "robust_controller", "--set", "robust_controller.operator=kueue")
    assert done.code == 0, done.stderr
    assert {entry["verdict"] for entry in done.report["checks"]} == {"pass"}
    lines = [json.loads(line) for line in (done.folder / "journal.ndjson").read_text().splitlines()]
    observed = [line["data"]["check"] for line in lines if line["event"] == "observed"]
    # Alone it takes a third of the time of the gangs.
    assert observed == [CHECK, "robust_controller"]


def test_what_is_installed_is_shown_and_one_of_it_taken(gangs: Lab) -> None:
    found = succeed("inspect", "--kubeconfig", gangs.kubeconfig)
    for title in ("Kueue 0.19.2", "scheduler-plugins coscheduling 0.33.5", "Kubernetes PodGroup"):
        assert title in found
    assert "taken: the first of those that work; also here: scheduler-plugins coscheduling" in found
    assert f"gangs of 3 Pods on {NODES[0]}" in found or "gangs of 3 Pods on node-2" in found


@pytest.mark.parametrize("solution", MADE_FOR)
def test_what_is_made_for_a_solution_is_valid_by_its_own_definitions(
    definitions: Lab, solution: str, tmp_path: Path
) -> None:
    adapter = next(each for each in ADAPTERS if each.name == solution)
    worker = container("worker", IMAGES["shell"], "exit 0", resources={"limits": {"example.com/gpu": "1"}})
    template = pod("", {"metadata": {"name": "node-1"}, "spec": {}}, [worker])
    order = Order(
        name="gang",
        size=3,
        api_version=f"{adapter.group}/{adapter.versions[0]}" if adapter.group else "",
        template={"metadata": {"labels": {"aiconform.dev/gang": "gang"}}, "spec": template["spec"]},
        resource="example.com/gpu",
        nodes=({"metadata": {"name": "node-1"}},),
        shared="aiconform-gang",
        local="gang",
    )
    for obj in (*adapter.setup(order), *adapter.gang(order)):
        create(definitions, tmp_path, obj, "--dry-run=server", "--validate=strict")
        if obj["kind"] != "Pod":
            wrong = {**obj, "spec": {**obj["spec"], "minMembers": 3}}
            with pytest.raises(subprocess.CalledProcessError):
                create(definitions, tmp_path, wrong, "--dry-run=server", "--validate=strict")


def test_definitions_without_a_controller_are_found_and_not_taken(definitions: Lab) -> None:
    found = succeed("inspect", "--kubeconfig", definitions.kubeconfig)
    assert "Volcano (scheduling.volcano.sh/v1beta1)" in found
    assert "KAI Scheduler (scheduling.run.ai/v2alpha2)" in found
    assert "taken: the first of those that work; also here: scheduler-plugins coscheduling" in found


def test_a_queue_without_quota_is_no_verdict(gangs: Lab, tmp_path: Path) -> None:
    queue = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ClusterQueue", "metadata": {"name": "team"}, "spec": {}}
    create(gangs, tmp_path, queue)
    try:
        done = run(gangs, "kueue", "--set", f"{CHECK}.queue=team")
        missing = run(gangs, "kueue", "--set", f"{CHECK}.queue=nobody")
    finally:
        gangs.kubectl("delete", "clusterqueue", "team")
    assert (done.code, done.check(CHECK)["verdict"]) == (3, "error")
    assert "ClusterQueue team has no quota for aiconform.dev/simulated-accelerator" in done.check(CHECK)["reason"]
    assert "ClusterQueue nobody does not exist" in missing.check(CHECK)["reason"]


def test_who_takes_the_accelerators_is_named(gangs: Lab, tmp_path: Path) -> None:
    names = []
    for node in ("node-2", *NODES):
        names.append(f"busy-{node}")
        limits = {"aiconform.dev/simulated-accelerator": "4"}
        container = {
            "name": "busy",
            "image": "registry.k8s.io/e2e-test-images/busybox:1.36.1-1",
            "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 600 & wait"],
            "resources": {"limits": limits},
        }
        spec = {"nodeName": node, "terminationGracePeriodSeconds": 1, "containers": [container]}
        create(gangs, tmp_path, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": names[-1]}, "spec": spec})
    try:
        done = run(gangs, "kueue")
    finally:
        gangs.kubectl("delete", "pod", *names)
    assert (done.code, done.check(CHECK)["verdict"]) == (3, "error")
    assert (
        "held by default/busy-gang-1 (4), default/busy-gang-2 (4), default/busy-node-2 (4)"
        in (done.check(CHECK)["reason"])
    )
