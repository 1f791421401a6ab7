"""A lab whose only addresses are of IPv6."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from support.denial import DENIAL, asked
from support.lab import LAB, Lab, lab_of_its_own, succeed
from support.packet_filter import cannot_enforce

from aiconform.lab.addons.registry import needed
from aiconform.lab.config import DEFAULT_KUBERNETES
from aiconform.spec import load_standard


@pytest.fixture(scope="module")
def ipv6(can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    add_ons = ",".join(needed(load_standard().at(f"v{DEFAULT_KUBERNETES}")))
    shape = ("--ip-family", "ipv6", "--nodes", "4", "--accelerators", "8", "--with", add_ons)
    with lab_of_its_own(f"{LAB}-ipv6", tmp_path_factory.mktemp("runs"), *shape) as made:
        yield made


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
        registry = ipv6.registry
        assert registry.startswith("[2001:2:")
        done = ipv6.run("dra_support", "--image-registry", f"{registry}/v6", "--patience", "120")
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
