"""Other platforms than the usual lab: a vendor's names, one way to allocate only, no accelerators, older Kubernetes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.lab import QUICK, Lab, succeed

from aiconform.lab.faults.registry import breaking, find

DRA = "dra_support"
ACCESS = "secure_accelerator_access"
Bring = Callable[..., Lab]


@pytest.fixture
def bring(tmp_path: Path) -> Iterator[Bring]:
    """Brings up a lab of one node beside the usual one, and ends it."""
    name = "other"
    succeed("lab", "down", "--name", name)

    def up(*options: str) -> Lab:
        succeed("lab", "up", "--name", name, "--nodes", "1", *options)
        return Lab(name, tmp_path)

    yield up
    succeed("lab", "down", "--name", name)


def test_a_vendor_s_names_by_both_ways(bring: Bring) -> None:
    lab = bring("--identity", "nvidia", "--allocation", "both")
    done = lab.run(DRA, ACCESS)
    assert done.code == 0, done.stderr
    assert {entry["name"] for entry in done.report["accelerators"]} == {"gpu.nvidia.com", "nvidia.com/gpu"}
    assert done.report["simulated"] is True, "a vendor's name must not hide that the accelerators are simulated"
    assert "/dev/nvidia" in json.dumps(done.check(ACCESS)["assertions"])
    for fault in ("runtime-leaks-devices", "driver-prepares-all", "driver-never-prepares"):
        with lab.fault(fault):
            done = lab.run(DRA, ACCESS, *QUICK)
        assert done.code == 1
        assert all(done.broken(name) == find(fault).broken(name) for name in (DRA, ACCESS))
        assert "/dev/nvidia" in done.check(ACCESS)["reason"] or "nvidia.com" in done.check(ACCESS)["reason"]


def test_a_device_plugin_alone(bring: Bring) -> None:
    lab = bring("--allocation", "device-plugin")
    done = lab.run(ACCESS)
    assert done.code == 0, done.stderr
    assert {entry["way"] for entry in done.report["accelerators"]} == {"device-plugin"}
    done = lab.run(DRA)
    assert done.code == 3
    assert "nothing to look at" in done.check(DRA)["reason"]
    for fault, broken in breaking(ACCESS).items():
        with lab.fault(fault):
            done = lab.run(ACCESS, *QUICK)
        assert done.code == 1
        assert done.broken(ACCESS) == broken, fault


def test_no_accelerators_are_nothing_to_look_at(bring: Bring) -> None:
    lab = bring("--accelerators", "0")
    done = lab.run(DRA, ACCESS)
    assert done.code == 3
    for name in (DRA, ACCESS):
        assert done.check(name)["verdict"] == "error"
        assert "nothing to look at" in done.check(name)["reason"]
    found = json.loads(succeed("inspect", "-o", "json", kubeconfig=lab.kubeconfig))
    assert found["accelerators"] == []


def test_a_node_with_a_single_accelerator(bring: Bring) -> None:
    lab = bring("--accelerators", "1", "--allocation", "device-plugin")
    done = lab.run(ACCESS)
    assert done.code == 0, done.report
    reasons = {entry["id"]: entry["reason"] for entry in done.check(ACCESS)["assertions"]}
    assert "one free device" in reasons["holders_are_disjoint"]


def test_every_node_is_looked_at_when_asked_for(bring: Bring) -> None:
    lab = bring("--nodes", "2", "--allocation", "dra")
    one, every = lab.run(ACCESS), lab.run(ACCESS, "--every-node")
    assert (one.code, every.code) == (0, 0), every.stderr
    targets = [
        {record["target"] for record in json.loads(evidence.read_text())["records"]}
        for evidence in (done.folder / "observations" / f"{ACCESS}.json" for done in (one, every))
    ]
    assert [len(each) for each in targets] == [1, 2]


@pytest.mark.parametrize("minor", ["1.34"])
def test_the_oldest_kubernetes_of_the_lab(bring: Bring, minor: str) -> None:
    lab = bring("--kubernetes", minor, "--allocation", "both")
    done = lab.run(DRA, ACCESS)
    assert done.code == 0, done.stderr
    assert done.report["standard"] == f"v{minor}"
    assert done.check(DRA)["level"] == "MUST"
    assert done.report["kubernetes"].startswith(f"v{minor}.")
