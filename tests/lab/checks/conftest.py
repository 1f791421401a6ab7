"""One lab for the tests of all checks: with every add-on and with nodes to spare, so that each run proves much.

A run of all checks costs little more than a run of the slowest. So what the tests of single checks look at comes from
a few runs: `healthy`, `healthy_otherwise`, `undecided`, and one for each round of faults (test_faults.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from support.accelerator_pods import IMAGE, STAY
from support.accounts import drop_limited, limited
from support.lab import CHECKS_LAB, Lab, Outcome, options, succeed
from support.lab_of_checks import lab_of_checks

OPERATORS = "jobset,leaderworkerset,trainer,kueue"


@pytest.fixture(scope="session")
def lab(can_have_labs: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab_of_checks(request.config, CHECKS_LAB, tmp_path_factory.mktemp("runs")) as made:
        yield made


KINDS = {
    *("namespaces", "nodes", "jobs", "deviceclasses", "podmonitors", "gateways", "httproutes"),
    *("clusterqueues", "resourceflavors", "jobsets"),
}


def objects(lab: Lab) -> set[str]:
    """kind/name of everything that checks could leave, of the kinds that this lab has."""
    served = {name.partition(".")[0] for name in lab.kubectl("api-resources", "-o", "name").split()}
    return set(lab.kubectl("get", ",".join(sorted(KINDS & served)), "-A", "-o", "name").split())


@pytest.fixture(scope="session")
def run(lab: Lab, request: pytest.FixtureRequest) -> Callable[..., Outcome]:
    """`lab.run` of these checks, or of the one that `--check` names."""
    only = request.config.getoption("check")

    def run(*checks: str, settings: Mapping[str, object], words: Sequence[str] = (), **how: Any) -> Outcome:
        return lab.run(*([only] if only else checks), *words, *options(settings), **how)

    return run


@pytest.fixture(scope="session")
def healthy(lab: Lab, run: Callable[..., Outcome], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A run of all checks as users run them, with the role that `aiconform rbac` prints; it leaves nothing."""
    before = objects(lab)
    try:
        account = limited(lab, tmp_path_factory.mktemp("account"), ("nothing", ""))
        done = run(
            settings={
                "gang_scheduling.solution": "kueue",
                "pod_autoscaling.api": "custom",
                "robust_controller.operator": OPERATORS,
            },
            kubeconfig=account,
        )
    finally:
        drop_limited(lab)
    assert done.report, done.stderr
    assert not done.report["leaks"], done.report["leaks"]
    assert not objects(lab) - before
    succeed("judge", done.folder)
    return done


@pytest.fixture(scope="session")
def inspected(lab: Lab) -> dict[str, dict[str, Any]]:
    """Check -> what `inspect` says of it."""
    shown = json.loads(succeed("inspect", "-o", "json", kubeconfig=lab.kubeconfig))
    return {entry["id"]: entry for entry in shown["checks"]}


@pytest.fixture(scope="session")
def healthy_otherwise(run: Callable[..., Outcome]) -> Outcome:
    """The checks that can take another way: by another API, solution, on every one of these nodes."""
    done = run(
        "gang_scheduling",
        "pod_autoscaling",
        settings={
            "gang_scheduling.solution": "coscheduling",
            "gang_scheduling.observe_seconds": 6,
            "pod_autoscaling.api": "external",
        },
        words=("--every-node", "--nodes", "kubernetes.io/hostname in (node-1, node-2)"),
    )
    succeed("judge", done.folder)
    return done


@pytest.fixture(scope="session")
def undecided(run: Callable[..., Outcome]) -> Outcome:
    """A run of all checks, each asked for something that is not there; gangs by the solution that is left."""
    return run(
        "accelerator_metrics",
        "ai_inference",
        "ai_service_metrics",
        "cluster_autoscaling",
        "gang_scheduling",
        "pod_autoscaling",
        "robust_controller",
        settings={
            "accelerator_metrics.exporter": "nowhere/*",
            "ai_inference.gateway_class": "nothing",
            "ai_service_metrics.query": "monitoring/prometheus-operator:8080",
            "ai_service_metrics.discovery_seconds": 2,
            "cluster_autoscaling.none": "true",
            "gang_scheduling.solution": "native",
            "gang_scheduling.observe_seconds": 6,
            "pod_autoscaling.metric": "nobody_has_this",
            "pod_autoscaling.scale_seconds": 10,
            "robust_controller.operator": "kuberay",
        },
    )


@pytest.fixture(scope="session")
def occupied(lab: Lab, run: Callable[..., Outcome], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A run of checks that need several accelerators, while others hold most of those of its nodes."""
    folder = tmp_path_factory.mktemp("busy")
    held = {"node-2": 3}
    pods = [f"busy-{node}" for node in held]
    for node, count in held.items():
        container = {
            "name": "busy",
            "image": IMAGE,
            "command": ["sh", "-c", STAY],
            "resources": {"limits": {"aiconform.dev/simulated-accelerator": str(count)}},
        }
        spec = {"nodeName": node, "terminationGracePeriodSeconds": 1, "containers": [container]}
        file = folder / f"{node}.json"
        file.write_text(
            json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"busy-{node}"}, "spec": spec})
        )
        lab.kubectl("create", "-f", str(file))
    try:
        return run(
            "gang_scheduling",
            "pod_autoscaling",
            settings={"gang_scheduling.solution": "kueue"},
            words=("--nodes", "kubernetes.io/hostname=node-2"),
        )
    finally:
        lab.kubectl("delete", "pod", *pods)
