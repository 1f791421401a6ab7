"""ai_service_metrics on the healthy lab, and with each fault that has to break it."""

from __future__ import annotations

import json

import pytest
from support.lab import Lab, assert_broken, succeed

from aiconform.lab.faults.registry import breaking

METRICS = "ai_service_metrics"

FAULTS = breaking(METRICS)


@pytest.fixture(scope="module", autouse=True)
def prometheus(lab: Lab) -> None:
    lab.install("prometheus")


def test_the_healthy_lab_passes(lab: Lab) -> None:
    done = lab.run(METRICS)
    assert done.code == 0, done.stderr
    assert done.check(METRICS)["verdict"] == "pass"
    assert all(entry["holds"] and entry["subjects"] for entry in done.check(METRICS)["assertions"])
    succeed("judge", done.folder)
    assert "aiconform" not in lab.kubectl("get", "namespaces,pods,podmonitors", "-A", "-o", "name")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_breaks_its_assertions_and_no_others(lab: Lab, fault: str) -> None:
    # A new target is scraped within seconds here; the longer limits are for platforms.
    quick = ("--set", f"{METRICS}.discovery_seconds=40", "--set", f"{METRICS}.counter_seconds=10")
    with lab.fault(fault):
        done = lab.run(METRICS, *quick)
    assert_broken(done, fault, METRICS)


def test_a_query_api_that_is_none_is_an_error_with_its_words(lab: Lab) -> None:
    done = lab.run(
        METRICS,
        *("--set", f"{METRICS}.query=monitoring/prometheus-operator:8080", "--set", f"{METRICS}.discovery_seconds=2"),
    )
    assert done.code == 3
    assert done.check(METRICS)["verdict"] == "error"
    assert "query API" in json.dumps(done.check(METRICS))
