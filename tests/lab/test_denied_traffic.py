"""Namespaces that deny all traffic, with an enforcer: a run allows what it needs, or says what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.accounts import drop_limited, limited
from support.denial import DENIAL, asked
from support.lab import LAB, Lab, Outcome, lab_of_its_own, options, succeed
from support.packet_filter import cannot_enforce

NETWORKED = ("ai_inference", "ai_service_metrics", "pod_autoscaling")
# Under the denial nothing arrives, however long one waits.
BRIEF = {
    "ai_inference.route_seconds": 20,
    "ai_service_metrics.discovery_seconds": 20,
    "pod_autoscaling.scale_seconds": 40,
}


@pytest.fixture(scope="module")
def denying(can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab whose new Namespaces deny all traffic, by an enforcer that was seen to deny it on each node."""
    if why := cannot_enforce("ipv4"):
        pytest.skip(f"{DENIAL}: {why}")
    shape = ("--nodes", "2", "--allocation", "both", "--with", "envoy-gateway,prometheus-adapter", "--trait", DENIAL)
    with lab_of_its_own(f"{LAB}-deny", tmp_path_factory.mktemp("runs"), *shape) as made:
        yield made


def test_the_denial_is_enforced_and_ends_with_the_trait(denying: Lab, tmp_path: Path) -> None:
    assert asked(denying, tmp_path) == "denied"
    succeed("lab", "trait", DENIAL, "--off", "--name", denying.name)
    try:
        assert asked(denying, tmp_path) == "resolved"
    finally:
        succeed("lab", "trait", DENIAL, "--name", denying.name)


def test_a_run_allows_its_own_pods_what_they_need_and_leaves_no_policy(denying: Lab) -> None:
    done = denying.run("dra_support", "secure_accelerator_access", *NETWORKED)
    assert done.code == 0, done.report.get("checks") or done.stderr
    made = json.loads(denying.kubectl("get", "networkpolicies", "-A", "-l", "aiconform.dev/run", "-o", "json"))
    assert made["items"] == []


@pytest.fixture(scope="module")
def without_policies(denying: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """A run that may make no NetworkPolicies."""
    try:
        account = limited(denying, tmp_path_factory.mktemp("account"), ("networkpolicies", "create"))
        yield denying.run(*NETWORKED, "--patience", "20", *options(BRIEF), kubeconfig=account)
    finally:
        drop_limited(denying)


@pytest.mark.parametrize("check", NETWORKED)
def test_a_run_that_may_allow_nothing_names_the_policy_and_fails_nobody(without_policies: Outcome, check: str) -> None:
    found = without_policies.check(check)
    assert (without_policies.code, found["verdict"]) == (3, "error"), found["reason"]
    assert f"NetworkPolicy {DENIAL} in Namespace aiconform-" in found["reason"]
    assert "aiconform rbac" in found["reason"]
