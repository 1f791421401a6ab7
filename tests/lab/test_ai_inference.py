"""ai_inference on the healthy lab with Envoy Gateway, and with each fault that has to break it."""

from __future__ import annotations

import json

import pytest
from support.lab import Lab, aiconform, assert_broken, succeed

from aiconform.lab.faults.registry import breaking

CHECK = "ai_inference"
ADD_ON = "envoy-gateway"


FAULTS = breaking(CHECK)
# Shorter limits for what never happens with the fault on.
SHORTER = {
    "gateway-without-data-plane": "programmed_seconds=10",
    "routes-not-attached": "route_seconds=8",
    "weights-ignored": "change_seconds=6",
    "weights-never-change": "change_seconds=6",
}


@pytest.fixture(scope="module")
def gateways(lab: Lab) -> Lab:
    lab.install(ADD_ON)
    return lab


def test_the_healthy_lab_passes_from_inside_and_outside(gateways: Lab) -> None:
    done = gateways.run(CHECK)
    assert done.code == 0, done.stderr
    assert done.check(CHECK)["verdict"] == "pass"
    assertions = {entry["id"]: entry for entry in done.check(CHECK)["assertions"]}
    assert all(entry["holds"] and entry["subjects"] for entry in assertions.values())
    assert "once in 1000000" in assertions["traffic_split_by_weight"]["reason"]
    assert "from inside" in assertions["traffic_split_by_weight"]["reason"]
    assert "from outside" in assertions["traffic_split_by_weight"]["reason"]
    succeed("judge", done.folder)
    assert "aiconform" not in gateways.kubectl("get", "namespaces,gateways,httproutes", "-A", "-o", "name")


def test_inspect_says_which_class_would_be_used(gateways: Lab) -> None:
    done = aiconform("inspect", "-o", "json", kubeconfig=gateways.kubeconfig)
    said = json.dumps(json.loads(done.stdout))
    assert "Gateway API v1, release v1.6.1 standard" in said
    assert "would use envoy" in said


def test_a_class_that_is_not_there_is_no_verdict(gateways: Lab) -> None:
    done = gateways.run(CHECK, "--set", f"{CHECK}.gateway_class=nothing")
    assert done.code == 3
    assert done.check(CHECK)["verdict"] == "error"
    assert "there is no GatewayClass nothing" in done.check(CHECK)["reason"]
    assert "there is envoy" in done.check(CHECK)["reason"]


def test_a_value_out_of_range_is_wrong_use(gateways: Lab) -> None:
    done = aiconform("run", CHECK, "--set", f"{CHECK}.requests=10", kubeconfig=gateways.kubeconfig)
    assert done.returncode == 2
    assert "ai_inference.requests=10" in done.stderr


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_breaks_its_assertions_and_no_others(gateways: Lab, fault: str) -> None:
    options = ("--set", f"{CHECK}.{SHORTER[fault]}") if fault in SHORTER else ()
    with gateways.fault(fault):
        done = gateways.run(CHECK, *options)
    assert_broken(done, fault, CHECK)


def test_the_lab_is_healthy_again_after_all_faults(gateways: Lab) -> None:
    assert gateways.run(CHECK).code == 0
