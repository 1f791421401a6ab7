"""pod_autoscaling on Prometheus and its adapter, and where it cannot decide; its faults are in test_faults.py."""

from __future__ import annotations

from typing import Any

import pytest
from support.lab import Lab, Outcome, aiconform

CHECK = "pod_autoscaling"


def test_pods_with_accelerators_come_and_go_with_their_metric(healthy: Outcome) -> None:
    assert healthy.passes(CHECK)
    found = healthy.check(CHECK)
    assert "by the custom metrics API of monitoring/prometheus-adapter" in found["assertions"][0]["reason"]
    # It follows by watches: the number of requests does not grow with the time that passes.
    assert found["requests"] < 60
    for told in ("the metric is set to 30", "wants 3", "waiting for one Pod"):
        assert told in healthy.stderr


def test_the_other_api_and_both_ways_of_allocation(healthy_otherwise: Outcome) -> None:
    assert healthy_otherwise.passes(CHECK)
    found = healthy_otherwise.check(CHECK)
    assert "by the external metrics API of monitoring/prometheus-adapter" in found["assertions"][0]["reason"]
    assert healthy_otherwise.targets(CHECK) == {"dra": 1, "device-plugin": 1}


def test_inspect_says_what_serves_the_metric(inspected: dict[str, dict[str, Any]]) -> None:
    found = inspected[CHECK]["found"]
    assert "custom.metrics.k8s.io by monitoring/prometheus-adapter" in found
    assert any("PodMonitor" in text for text in found)
    assert inspected[CHECK]["missing"] == []


def test_a_metric_that_nobody_has_is_an_error_with_the_way_out(undecided: Outcome) -> None:
    assert undecided.check(CHECK)["verdict"] == "error"
    assert f"--set {CHECK}.collection" in undecided.check(CHECK)["reason"]


def test_who_takes_the_accelerators_is_named(occupied: Outcome) -> None:
    assert occupied.check(CHECK)["verdict"] == "error"
    named = "node-2, aiconform.dev/simulated-accelerator by device plugin: 1 of 4 free"
    assert named in occupied.check(CHECK)["reason"]
    assert "held by default/busy-node-2 (3)" in occupied.check(CHECK)["reason"]


@pytest.mark.parametrize(
    ("word", "told"), [("api=other", "custom, external"), ("window_seconds=31", "two periods of the autoscaler")]
)
def test_options_that_cannot_be_are_refused(lab: Lab, word: str, told: str) -> None:
    done = aiconform("run", CHECK, "--set", f"{CHECK}.{word}", kubeconfig=lab.kubeconfig)
    assert done.returncode == 2
    assert told in done.stderr
