"""Every check on a platform that has Kubernetes and accelerators and nothing else: no verdict, and the way out."""

from __future__ import annotations

import pytest
from support.lab import Lab, Outcome, assert_breaks

from aiconform.lab.faults.registry import FAULTS


@pytest.fixture(scope="module")
def bare(lab: Lab) -> Outcome:
    return lab.run()


def test_a_whole_run_does_not_call_conformant_what_it_did_not_check(bare: Outcome) -> None:
    assert bare.code == 3
    assert bare.report["verdict"] == "undetermined"
    assert "not-run" in {entry["verdict"] for entry in bare.report["checks"]}


def test_a_run_of_chosen_checks_names_what_it_does_not_cover(lab: Lab) -> None:
    done = lab.run("dra_support", "secure_accelerator_access")
    assert done.code == 0, done.stderr
    assert done.report["verdict"] == "conformant"
    assert done.report["scope"] == "chosen"
    assert "gang_scheduling" in done.report["uncovered"]


@pytest.mark.parametrize(
    ("check", "told"),
    [
        ("gang_scheduling", "no known gang scheduling solution"),
        ("pod_autoscaling", "neither custom.metrics.k8s.io nor external.metrics.k8s.io"),
        ("cluster_autoscaling", "no autoscaler of nodes was found"),
        ("cluster_autoscaling", "cluster_autoscaling.none=true"),
    ],
)
def test_what_is_missing_is_an_error_with_the_way_out(bare: Outcome, check: str, told: str) -> None:
    assert bare.check(check)["verdict"] == "error"
    assert told in bare.check(check)["reason"]


def test_that_there_is_no_autoscaler_may_be_confirmed(lab: Lab) -> None:
    done = lab.run("cluster_autoscaling", "--set", "cluster_autoscaling.none=true")
    assert done.check("cluster_autoscaling")["verdict"] == "not-applicable"
    assert "cluster-autoscaler-status" in done.check("cluster_autoscaling")["reason"]


# The API server restarts for the first one; the second one shows only if no node publishes accelerators; and the third
# one strikes whenever any Pod gets an accelerator of the node.
@pytest.mark.parametrize("name", ["no-dra-api", "no-driver", "driver-renumbers-devices"])
def test_faults_that_no_other_may_be_on_beside(lab: Lab, name: str) -> None:
    with lab.fault(name):
        done = lab.run("dra_support")
    assert_breaks(done, FAULTS[name], "dra_support")


def test_the_lab_is_healthy_again_after_all_faults(lab: Lab) -> None:
    assert lab.run("dra_support").code == 0
