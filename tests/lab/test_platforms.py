"""Other platforms than the usual lab: a vendor's names, one way to allocate only, no accelerators, older Kubernetes.

One lab after another, each of the same name; whatever can be changed while a lab runs is changed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from support.accelerator_pods import NOTHING, Pods, sound
from support.lab import LAB, Lab, Outcome, lab_of_its_own, succeed

from aiconform.cluster import connect
from aiconform.lab import load
from aiconform.lab.accelerators import identities
from aiconform.lab.faults.registry import breaking, find

DRA = "dra_support"
ACCESS = "secure_accelerator_access"
NAME = f"{LAB}-platforms"
NODES = ("node-1", "node-2", "node-3")
"""More than one, so that one run shows several faults."""
VENDOR = "nvidia"
PLUGIN_FAULTS = list(breaking(ACCESS))


def up(*options: str) -> None:
    succeed("lab", "up", "--name", NAME, *options)


def brought(tmp_path_factory: pytest.TempPathFactory, *options: str) -> Iterator[Lab]:
    with lab_of_its_own(NAME, tmp_path_factory.mktemp("runs"), *options) as made:
        yield made


def run_with(lab: Lab, faults: Sequence[str], *checks: str) -> Outcome:
    """A run that looks at every node, with each of these faults on at a node of its own."""
    with lab.faults_at({node: [fault] for node, fault in zip(NODES, faults, strict=False)}):
        return lab.run(*checks, "--every-node", "--patience", "30")


def looked_at(done: Outcome, check: str) -> set[str]:
    """The targets of a check: accelerators of one node by one way."""
    evidence = json.loads((done.folder / "observations" / f"{check}.json").read_text())
    return {record["target"] for record in evidence["records"]}


# The usual names, in one lab that changes


@pytest.fixture(scope="module")
def plugged(can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A device plugin alone: nothing of DRA was ever in this lab."""
    yield from brought(tmp_path_factory, "--nodes", str(len(NODES)), "--allocation", "device-plugin")


def test_a_device_plugin_alone(plugged: Lab) -> None:
    done = plugged.run(DRA, ACCESS)
    assert done.code == 3
    assert done.check(ACCESS)["verdict"] == "pass"
    assert {entry["way"] for entry in done.report["accelerators"]} == {"device-plugin"}
    assert len(looked_at(done, ACCESS)) == 1
    assert done.check(DRA)["verdict"] == "error"
    assert "nothing to look at" in done.check(DRA)["reason"]


@pytest.mark.parametrize(
    "faults", [PLUGIN_FAULTS[i : i + len(NODES)] for i in range(0, len(PLUGIN_FAULTS), len(NODES))], ids="+".join
)
def test_faults_of_a_device_plugin_alone(plugged: Lab, faults: Sequence[str]) -> None:
    done = run_with(plugged, faults, ACCESS)
    assert done.code == 1
    for node, fault in zip(NODES, faults, strict=False):
        assert done.broken(ACCESS, node) == find(fault).broken(ACCESS), fault


def test_nodes_with_a_single_accelerator(plugged: Lab) -> None:
    """Each is looked at, because the run is asked to."""
    up("--nodes", "2", "--accelerators", "1")
    done = plugged.run(ACCESS, "--every-node")
    assert done.code == 0, done.report
    assert len(looked_at(done, ACCESS)) == 2
    reasons = {entry["id"]: entry["reason"] for entry in done.check(ACCESS)["assertions"]}
    assert "had what was free" in reasons["holders_are_disjoint"]


def test_no_accelerators_are_nothing_to_look_at(plugged: Lab) -> None:
    up("--nodes", "1", "--accelerators", "0")
    done = plugged.run(DRA, ACCESS)
    assert done.code == 3
    for name in (DRA, ACCESS):
        assert done.check(name)["verdict"] == "error"
        assert "nothing to look at" in done.check(name)["reason"]
    found = json.loads(succeed("inspect", "-o", "json", kubeconfig=plugged.kubeconfig))
    assert found["accelerators"] == []


# A vendor's names


@pytest.fixture(scope="module")
def vendor(can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    # Each way has enough for the checks to look at a node at the same time.
    counts = ("--nodes", str(len(NODES)), "--accelerators", "6")
    yield from brought(tmp_path_factory, *counts, "--identity", VENDOR, "--allocation", "both")


@pytest.fixture
async def pods(vendor: Lab) -> AsyncIterator[Pods]:
    async with connect(str(vendor.kubeconfig)) as cluster:
        made = Pods(cluster, "gpu.nvidia.com")
        yield made
        await made.remove_all()


async def test_a_vendor_s_names_are_taken_on(vendor: Lab, pods: Pods) -> None:
    real = load(vendor.name)
    assert real
    product = identities()[VENDOR].product
    await pods.claim("one", selector=f'device.attributes["gpu.nvidia.com"].productName == "{product}"')
    by_claim = await pods.look("by-claim", "node-1", claim="one")
    by_request = await pods.look("by-request", "node-1", resource="nvidia.com/gpu")
    (taken,) = sound(by_claim, real, "node-1")
    (given,) = sound(by_request, real, "node-1")
    assert taken.container_path in ("/dev/nvidia0", "/dev/nvidia1", "/dev/nvidia2")
    assert given.container_path in ("/dev/nvidia3", "/dev/nvidia4", "/dev/nvidia5")
    assert await pods.look("stranger", "node-1") == NOTHING


def test_a_vendor_s_names_by_both_ways(vendor: Lab) -> None:
    done = vendor.run(DRA, ACCESS)
    assert done.code == 0, done.stderr
    assert {entry["name"] for entry in done.report["accelerators"]} == {"gpu.nvidia.com", "nvidia.com/gpu"}
    assert done.report["simulated"] is True, "a vendor's name must not hide that the accelerators are simulated"
    assert "/dev/nvidia" in json.dumps(done.check(ACCESS)["assertions"])


def test_faults_under_a_vendor_s_names(vendor: Lab) -> None:
    faults = ("runtime-leaks-devices", "driver-prepares-all", "driver-never-prepares")
    done = run_with(vendor, faults, DRA, ACCESS)
    assert done.code == 1
    for node, fault in zip(NODES, faults, strict=True):
        for check in (DRA, ACCESS):
            assert done.broken(check, node) == find(fault).broken(check), fault
    assert "/dev/nvidia" in done.check(ACCESS)["reason"] or "nvidia.com" in done.check(ACCESS)["reason"]


# Older Kubernetes


@pytest.fixture(scope="module", params=["1.34"])
def oldest(
    can_have_labs: None, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Lab]:
    yield from brought(tmp_path_factory, "--nodes", "1", "--kubernetes", request.param, "--allocation", "both")


def test_the_oldest_kubernetes_of_the_lab(oldest: Lab, request: pytest.FixtureRequest) -> None:
    minor = request.node.callspec.params["oldest"]
    done = oldest.run(DRA, ACCESS)
    assert done.code == 0, done.stderr
    assert done.report["standard"] == f"v{minor}"
    assert done.check(DRA)["level"] == "MUST"
    assert done.report["kubernetes"].startswith(f"v{minor}.")
