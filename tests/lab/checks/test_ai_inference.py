"""ai_inference on the healthy lab with Envoy Gateway, and where it cannot decide; its faults are in test_faults.py."""

from __future__ import annotations

import json
from typing import Any

from support.lab import Lab, Outcome, aiconform

CHECK = "ai_inference"


def test_the_healthy_lab_passes_from_inside_and_outside(healthy: Outcome) -> None:
    assert healthy.passes(CHECK)
    assertions = {entry["id"]: entry for entry in healthy.check(CHECK)["assertions"]}
    for said in ("once in 1000000", "from inside", "from outside"):
        assert said in assertions["traffic_split_by_weight"]["reason"]


def test_inspect_says_which_class_would_be_used(inspected: dict[str, dict[str, Any]]) -> None:
    said = json.dumps(inspected[CHECK])
    assert "Gateway API v1, release v1.6.1 standard" in said
    assert "would use envoy" in said


def test_a_class_that_is_not_there_is_no_verdict(undecided: Outcome) -> None:
    assert undecided.check(CHECK)["verdict"] == "error"
    assert "there is no GatewayClass nothing" in undecided.check(CHECK)["reason"]
    assert "there is envoy" in undecided.check(CHECK)["reason"]


def test_a_value_out_of_range_is_wrong_use(lab: Lab) -> None:
    done = aiconform("run", CHECK, "--set", f"{CHECK}.requests=10", kubeconfig=lab.kubeconfig)
    assert done.returncode == 2
    assert "ai_inference.requests=10" in done.stderr
