"""Networks unlike the lab's usual one: IPv6 alone, and Namespaces that deny all traffic, with an enforcer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from support.accounts import drop_limited, limited
from support.lab import LAB, Lab, Outcome, options, succeed
from support.packet_filter import cannot_enforce

from aiconform.lab.addons.registry import needed
from aiconform.lab.config import DEFAULT_KUBERNETES
from aiconform.spec import load_standard

NETWORKED = ("ai_inference", "ai_service_metrics", "pod_autoscaling")
DENIAL = "enforced-default-deny"
# Under the denial nothing arrives, however long one waits.
BRIEF = {
    "ai_inference.route_seconds": 20,
    "ai_service_metrics.discovery_seconds": 20,
    "pod_autoscaling.scale_seconds": 40,
}
ASKS = """
apiVersion: v1
kind: Pod
metadata: {name: asks, namespace: default}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
    - name: asks
      image: registry.k8s.io/e2e-test-images/busybox:1.36.1-1
      command:
        - sh
        - -c
        - |
          # The rules for a new Pod take a moment: the last answer counts.
          for _ in 1 2 3 4; do
            sleep 3
            nslookup kubernetes.default.svc.cluster.local && said=resolved || said=denied
          done
          echo $said
"""


def asked(lab: Lab, folder: Path) -> str:
    """What a Pod says that asks the cluster's DNS."""
    file = folder / "asks.yaml"
    file.write_text(ASKS)
    lab.kubectl("apply", "-f", str(file))
    try:
        lab.kubectl("wait", "pod/asks", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s")
        return lab.kubectl("logs", "asks").splitlines()[-1]
    finally:
        lab.kubectl("delete", "pod", "asks")


# IPv6


@pytest.fixture(scope="module")
def ipv6(can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    name = f"{LAB}-ipv6"
    add_ons = ",".join(needed(load_standard().at(f"v{DEFAULT_KUBERNETES}")))
    succeed("lab", "down", "--name", name)
    up = ("lab", "up", "--name", name, "--ip-family", "ipv6", "--nodes", "4", "--accelerators", "8")
    succeed(*up, "--with", add_ons)
    yield Lab(name, tmp_path_factory.mktemp("runs"))
    succeed("lab", "down", "--name", name)


def test_a_lab_of_ipv6_has_no_other_addresses(ipv6: Lab) -> None:
    found = json.loads(ipv6.kubectl("get", "nodes,pods,services", "-A", "-o", "json"))["items"]
    addresses = {
        address
        for obj in found
        for address in (
            *(entry["ip"] for entry in obj["status"].get("podIPs", [])),
            *(entry["address"] for entry in obj["status"].get("addresses", []) if entry["type"] == "InternalIP"),
            *(each for each in obj["spec"].get("clusterIPs", []) if each != "None"),
            *obj["spec"].get("externalIPs", []),
        )
    }
    assert len(addresses) > 10
    assert all(ip_address(each) in ip_network("2001:2::/48") for each in addresses)


def test_every_check_passes_on_ipv6(ipv6: Lab) -> None:
    done = ipv6.run()
    assert done.code == 0, done.report.get("checks") or done.stderr
    assert {entry["verdict"] for entry in done.report["checks"] if entry["level"] == "MUST"} == {"pass"}


def test_images_come_from_a_registry_at_an_address_of_ipv6(ipv6: Lab) -> None:
    with ipv6.traits("registry-flaky"):
        assert ipv6.registry.startswith("[2001:2:")
        done = ipv6.run("dra_support", "--image-registry", f"{ipv6.registry}/v6", "--patience", "120")
    assert done.passes("dra_support")


def test_the_denial_is_enforced_on_ipv6(ipv6: Lab, tmp_path: Path) -> None:
    if why := cannot_enforce("ipv6"):
        pytest.skip(f"{DENIAL}: {why}")
    # Brings up the enforcer, and returns when it was seen to deny on each node.
    succeed("lab", "up", "--name", ipv6.name, "--trait", DENIAL)
    try:
        assert asked(ipv6, tmp_path) == "denied"
    finally:
        succeed("lab", "trait", DENIAL, "--off", "--name", ipv6.name)
        succeed("lab", "up", "--name", ipv6.name, "--without", "kube-router")
    assert asked(ipv6, tmp_path) == "resolved"


# Traffic that is denied


@pytest.fixture(scope="module")
def denying(can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab whose new Namespaces deny all traffic, by an enforcer that was seen to deny it on each node."""
    if why := cannot_enforce("ipv4"):
        pytest.skip(f"{DENIAL}: {why}")
    name = f"{LAB}-deny"
    add_ons = ("envoy-gateway", "prometheus-adapter")
    succeed("lab", "down", "--name", name)
    up = ("lab", "up", "--name", name, "--nodes", "2", "--allocation", "both", "--with", ",".join(add_ons))
    succeed(*up, "--trait", DENIAL)
    yield Lab(name, tmp_path_factory.mktemp("runs"))
    succeed("lab", "down", "--name", name)


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
