"""Every fault of the whole lab breaks exactly its assertions: faults of different checks are on at the same time.

They come in rounds: one of each check, none of which changes what another's check sees, as the registry says. They
have a lab of their own, so that they run beside the other tests of the checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

import pytest
from support.lab import CHECKS_LAB, Lab, Outcome, assert_breaks
from support.lab_of_checks import lab_of_checks

from aiconform.lab.faults.fault import Fault, Scope, assertions
from aiconform.lab.faults.registry import possible, rounds

AUTOSCALING = "cluster_autoscaling"
# The API server restarts without it: tests/lab/test_nothing_installed.py.
ELSEWHERE = ("no-dra-api",)
# What a check observes for a fixed time, here only as long as a defect of the lab needs to show itself.
BRIEF: dict[str, dict[str, object]] = {
    "accelerator_metrics": {"load_seconds": 10},
    "ai_service_metrics": {"counter_seconds": 10},
    "cluster_autoscaling": {"node_added_seconds": 90, "node_removed_seconds": 120},
    "gang_scheduling": {"observe_seconds": 6, "solution": "kueue"},
    "pod_autoscaling": {"observe_seconds": 5, "interval_seconds": 5, "window_seconds": 20, "scale_seconds": 90},
    "robust_controller": {"operator": "jobset"},
}
# Shorter limits of what never happens with the fault on, and of nothing else: the outcome does not depend on them.
NEVER: dict[str, dict[str, object]] = {
    "autoscaled-another-kind": {"cluster_autoscaling.node_added_seconds": 45},
    "autoscaled-never-ready": {"cluster_autoscaling.node_added_seconds": 45},
    "autoscaler-at-limit": {"cluster_autoscaling.node_added_seconds": 20},
    "autoscaler-never-removes": {"cluster_autoscaling.node_removed_seconds": 45},
    "children-stay": {"robust_controller.child_seconds": 20, "robust_controller.restart": "false"},
    "coscheduling-off": {"gang_scheduling.solution": "coscheduling"},
    # A class that nobody names is no verdict.
    "gateway-class-refused": {"ai_inference.gateway_class": "envoy"},
    "gateway-refused": {"ai_inference.gateway_class": "envoy", "ai_inference.programmed_seconds": 10},
    "metrics-constant": {"pod_autoscaling.scale_seconds": 30},
    "metrics-down": {"pod_autoscaling.scale_seconds": 10},
    "metrics-of-another": {"pod_autoscaling.scale_seconds": 30},
    "metrics-creep": {"pod_autoscaling.scale_seconds": 50},
    # What it answers is wrong or lacking; where it is late, the operator's own Service of the same Prometheus is asked.
    "monitoring-answers-stale": {"ai_service_metrics.query": "monitoring/prometheus-k8s:9090"},
    "monitoring-answers-tenfold": {"ai_service_metrics.query": "monitoring/prometheus-k8s:9090"},
    "monitoring-drops-targets": {
        "ai_service_metrics.discovery_seconds": 40,
        "ai_service_metrics.query": "monitoring/prometheus-k8s:9090",
    },
    "no-driver": {"cluster_autoscaling.node_added_seconds": 45},
    "operator-does-not-come-back": {"robust_controller.restart_seconds": 15},
    "operator-lease-stuck": {"robust_controller.restart_seconds": 45},
    "operator-makes-nothing": {"robust_controller.ready_seconds": 10},
    "operator-replaces-nothing": {"robust_controller.child_seconds": 20},
    "operator-update-stuck": {"robust_controller.restart": "false"},
    "pod-groups-ignored": {"gang_scheduling.solution": "native"},
    "routes-not-attached": {"ai_inference.route_seconds": 8},
    "autoscaler-of-pods-capped": {"pod_autoscaling.scale_seconds": 30},
    "autoscaler-of-pods-never-shrinks": {"pod_autoscaling.scale_seconds": 30},
    "scaled-without-accelerators": {"pod_autoscaling.scale_seconds": 50},
    "weights-ignored": {"ai_inference.change_seconds": 6},
    "weights-never-change": {"ai_inference.change_seconds": 6},
}


def settings(faults: Sequence[Fault], checks: Sequence[str]) -> dict[str, object]:
    brief = {f"{check}.{name}": value for check in checks for name, value in BRIEF.get(check, {}).items()}
    of_faults = [item for fault in faults for item in NEVER.get(fault.name, {}).items()]
    return brief | {name: value for name, value in of_faults if name.partition(".")[0] in checks}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    check = metafunc.config.getoption("check")
    # By what they break on this lab: of a fault of nodes that can be less than elsewhere.
    here = [fault for fault in map(of_lab, possible().values()) if fault and check in (None, *fault.checks)]
    cases = [(members, fault) for members in rounds(here) for fault in members]
    ids = [fault.name for _, fault in cases]
    metafunc.parametrize(("in_round", "fault"), cases, indirect=["in_round"], ids=ids, scope="module")


def of_lab(fault: Fault) -> Fault | None:
    """The fault as one of the lab: of a node's faults, what they do at nodes that the autoscaler orders."""
    if fault.name in ELSEWHERE:
        return None
    if fault.scope is Scope.LAB:
        return fault
    broken = assertions(AUTOSCALING, *fault.broken(AUTOSCALING))
    return replace(fault, breaks=broken, disturbs=frozenset()) if broken else None


@pytest.fixture(scope="module")
def lab(can_have_labs: None, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab_of_checks(request.config, f"{CHECKS_LAB}-faults", tmp_path_factory.mktemp("runs")) as made:
        yield made


@pytest.fixture(scope="module")
def in_round(lab: Lab, request: pytest.FixtureRequest) -> Mapping[str, Outcome]:
    """Check -> its run, with all faults of this round on: one run of all checks that they break.

    What a check could not decide then is asked again, of that check alone and more patiently.
    """
    faults: tuple[Fault, ...] = request.param
    checks = sorted({check for fault in faults for check in fault.checks})
    at_ordered = [fault.name for fault in faults if fault.scope is Scope.NODE]
    with ExitStack() as on:
        # Of one check alone, a round can be without either.
        if in_cluster := [fault.name for fault in faults if fault.scope is Scope.LAB]:
            on.enter_context(lab.fault(*in_cluster))
        if at_ordered:
            on.enter_context(lab.fault(*at_ordered, where=["--autoscaled"]))
        done = lab.look(*checks, brief=settings(faults, checks))
        found = dict.fromkeys(checks, done)
        for fault in faults:
            for check in fault.checks:
                if (fault.broken(check) - done.broken(check)) & done.undecided(check):
                    found[check] = lab.look(check, brief=settings(faults, [check]), times=2)
    return found


def test_a_fault_of_the_lab_breaks_its_assertions_and_no_others(in_round: Mapping[str, Outcome], fault: Fault) -> None:
    for check in fault.checks:
        assert_breaks(in_round[check], fault, check)
