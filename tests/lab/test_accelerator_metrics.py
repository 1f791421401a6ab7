"""accelerator_metrics on the healthy lab, with each fault that has to break it, and where exporters are no help."""

from __future__ import annotations

import json

import pytest
from support.lab import Lab, assert_broken, succeed

from aiconform.lab.faults.registry import breaking

METRICS = "accelerator_metrics"
# The lab's exporter reports the mean of two seconds.
QUICK = ("--patience", "60", "--set", f"{METRICS}.load_seconds=10")


FAULTS = breaking(METRICS)
NAMESPACE = "accelerator-metrics"


@pytest.fixture(scope="module", autouse=True)
def exporter(lab: Lab) -> None:
    lab.install("accelerator-exporter")


def test_the_healthy_lab_passes(lab: Lab) -> None:
    done = lab.run(METRICS)
    assert done.code == 0, done.stderr
    assert done.check(METRICS)["verdict"] == "pass"
    assert all(entry["holds"] and entry["subjects"] for entry in done.check(METRICS)["assertions"])
    succeed("judge", done.folder)
    assert "aiconform" not in lab.kubectl("get", "namespaces,pods,resourceclaims", "-A", "-o", "name")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_breaks_its_assertions_and_no_others(lab: Lab, fault: str) -> None:
    with lab.fault(fault):
        done = lab.run(METRICS, *QUICK)
    assert_broken(done, fault, METRICS)


def test_without_an_exporter_nothing_is_judged_and_the_way_out_is_said(lab: Lab) -> None:
    done = lab.run(METRICS, "--set", f"{METRICS}.exporter=nowhere/*")
    assert done.code == 3
    assert done.check(METRICS)["verdict"] == "error"
    assert "accelerator_metrics.exporter=NAMESPACE/POD" in json.dumps(done.check(METRICS))


def test_an_exporter_is_found_by_its_annotations_alone(lab: Lab) -> None:
    told = succeed("inspect", "-o", "json", kubeconfig=lab.kubeconfig)
    found = next(entry for entry in json.loads(told)["checks"] if entry["id"] == METRICS)
    assert len(found["found"]) == 2, found
    assert not found["missing"]
