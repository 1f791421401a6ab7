"""gang_scheduling with three solutions, and where it cannot decide; its faults are in test_faults.py."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.lab import Lab, Outcome, options

from aiconform.checks.gang_scheduling.choice import ADAPTERS
from aiconform.checks.gang_scheduling.solutions.adapter import Order
from aiconform.kit.pods import container, pod
from aiconform.platform.images import IMAGES

CHECK = "gang_scheduling"
# Solutions whose objects the lab has the definitions of, or that have none.
MADE_FOR = ("volcano", "kai", "coscheduling", "yunikorn")


def create(lab: Lab, folder: Path, obj: dict[str, Any], *options: str) -> None:
    file = folder / "object.json"
    file.write_text(json.dumps(obj))
    lab.kubectl("create", "-f", str(file), *options)


def test_the_healthy_lab_passes_with_each_solution(
    healthy: Outcome, healthy_otherwise: Outcome, undecided: Outcome
) -> None:
    for solution, done in (("kueue", healthy), ("coscheduling", healthy_otherwise), ("native", undecided)):
        assert done.passes(CHECK)
        assert not done.report["leaks"]
        assert all(entry["reason"].startswith(solution) for entry in done.check(CHECK)["assertions"])


def test_what_is_installed_is_shown_and_one_of_it_taken(inspected: dict[str, dict[str, Any]]) -> None:
    found = "\n".join(inspected[CHECK]["found"])
    for title in ("Kueue 0.19.2", "scheduler-plugins coscheduling 0.33.5", "Kubernetes PodGroup"):
        assert title in found
    assert "gangs of 3 Pods on node-" in found


def test_definitions_without_a_controller_are_found_and_not_taken(inspected: dict[str, dict[str, Any]]) -> None:
    found = "\n".join(inspected[CHECK]["found"])
    assert "Volcano (scheduling.volcano.sh/v1beta1)" in found
    assert "KAI Scheduler (scheduling.run.ai/v2alpha2)" in found
    assert "taken: the first of those that work; also here: scheduler-plugins coscheduling" in found


@pytest.mark.parametrize("solution", MADE_FOR)
def test_what_is_made_for_a_solution_is_valid_by_its_own_definitions(lab: Lab, solution: str, tmp_path: Path) -> None:
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
        create(lab, tmp_path, obj, "--dry-run=server", "--validate=strict")
        if obj["kind"] != "Pod":
            wrong = {**obj, "spec": {**obj["spec"], "minMembers": 3}}
            with pytest.raises(subprocess.CalledProcessError):
                create(lab, tmp_path, wrong, "--dry-run=server", "--validate=strict")


def test_jobs_that_kueue_does_not_manage_are_no_verdict(lab: Lab) -> None:
    with lab.traits("unqueued-jobs"):
        done = lab.run(CHECK, *options({f"{CHECK}.solution": "kueue", f"{CHECK}.observe_seconds": 6}))
    found = done.check(CHECK)
    assert (done.code, found["verdict"]) == (3, "error"), done.stderr
    assert "batch/job in integrations.frameworks" in found["reason"]


def test_a_queue_without_quota_is_no_verdict(lab: Lab, tmp_path: Path) -> None:
    queue = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ClusterQueue", "metadata": {"name": "team"}, "spec": {}}
    create(lab, tmp_path, queue)
    try:
        done = lab.run(CHECK, *options({f"{CHECK}.solution": "kueue", f"{CHECK}.queue": "team"}))
    finally:
        lab.kubectl("delete", "clusterqueue", "team")
    assert (done.code, done.check(CHECK)["verdict"]) == (3, "error")
    assert "ClusterQueue team does not cover aiconform.dev/simulated-accelerator" in done.check(CHECK)["reason"]


def test_a_queue_that_does_not_exist_is_no_verdict(lab: Lab) -> None:
    done = lab.run(CHECK, *options({f"{CHECK}.solution": "kueue", f"{CHECK}.queue": "nobody"}))
    assert "ClusterQueue nobody does not exist" in done.check(CHECK)["reason"]


def test_who_takes_the_accelerators_is_named(occupied: Outcome) -> None:
    assert occupied.check(CHECK)["verdict"] == "error"
    assert "held by default/busy-node-2 (3)" in occupied.check(CHECK)["reason"]
