"""What nodes of each persona are found to offer in shares, healthy and with the lab's faults of sharing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_kubelet import configuration

from aiconform.lab.accelerators import AcceleratorConfig, DriverFault, Offer, devices_of, identities
from aiconform.lab.accelerators.objects import node_labels
from aiconform.lab.accelerators.sharing import plugged
from aiconform.lab.accelerators.slices import describe, plan, shared_counters
from aiconform.platform import NodeAccelerators
from aiconform.platform.accelerators.plugins import by_device_plugin as offered_by_plugins
from aiconform.platform.accelerators.profiles import load_profiles
from aiconform.platform.accelerators.resource_slices import DevicePools
from aiconform.platform.accelerators.shares import SharedHardware, by_dra
from aiconform.platform.accelerators.shares_of_plugins import by_device_plugin, only_said

GIB = 2.0**30
PROFILES = load_profiles()


def config(persona: str, offer: Offer, *faults: DriverFault) -> AcceleratorConfig:
    return configuration(Path("/lab"), identity=identities()[persona], offer=offer, count=2, faults=faults)


def by_plugin(persona: str, *faults: DriverFault) -> list[SharedHardware]:
    made = config(persona, Offer.DEVICE_PLUGIN, *faults)
    counts = {resource: str(len(ids)) for resource, ids in plugged(made).items()}
    ready = [{"type": "Ready", "status": "True"}]
    node = {
        "metadata": {"name": "n1", "labels": node_labels(made)},
        "spec": {},
        "status": {"allocatable": counts, "capacity": counts, "conditions": ready},
    }
    entries = offered_by_plugins([node], {}).offered
    return [*by_device_plugin(entries, {"n1": node}, PROFILES), *only_said([node], entries, PROFILES)]


APART, MORE = DriverFault.SHARES_APART, DriverFault.MORE_SHARES


@pytest.mark.parametrize(("persona", "fault", "way", "bound", "physical"), [
    ("nvidia-time-slicing", None, "device-plugin-replicas", 8, 2),
    ("nvidia-mps", None, "device-plugin-replicas", 8, 2),
    ("intel-gpu-shared", None, "device-plugin-replicas", 20, 2),
    ("neuron", None, "device-plugin-replicas", 16, 2),
    ("nvidia-mig-mixed", None, "hardware-partitions", 8, 0),
    ("nvidia-mig-single", None, "hardware-partitions", 14, 0),
    ("amd-partitioned", None, "hardware-partitions", 16, 0),
    # More than labels count: that is still the bound.
    ("nvidia-time-slicing", MORE, "device-plugin-replicas", 8, 2),
    ("nvidia-mps", MORE, "device-plugin-replicas", 8, 2),
    # Two shares that are said to be of one device, and of one that cannot be told.
    ("nvidia-time-slicing", APART, "device-plugin-replicas", 2, 1),
    ("nvidia-mps", APART, "device-plugin-replicas", 2, 1),
    ("intel-gpu-shared", APART, "device-plugin-replicas", 2, 1),
    ("nvidia-mig-mixed", APART, "hardware-partitions", 2, 0),
    ("nvidia-mig-single", APART, "hardware-partitions", 2, 0),
    ("amd-partitioned", APART, "hardware-partitions", 2, 0),
])  # fmt: skip
def test_a_node_offers_shares_by_its_device_plugin(
    persona: str, fault: DriverFault | None, way: str, bound: int, physical: int
) -> None:
    (found,) = by_plugin(persona, *([fault] if fault else []))
    assert (found.way, found.bound, found.physical, found.problem) == (way, bound, physical, "")


def test_what_partitions_should_have_is_known_or_what_the_device_has() -> None:
    ((mixed,), (single,), (amd,)) = map(by_plugin, ("nvidia-mig-mixed", "nvidia-mig-single", "amd-partitioned"))
    assert ([each.memory / GIB for each in mixed.shares], mixed.whole / GIB) == ([10, 20, 40], 80)
    assert ([each.memory / GIB for each in single.shares], single.whole) == ([10], 0)
    assert ([each.memory for each in amd.shares], amd.whole / GIB) == ([0], 192)


@pytest.mark.parametrize(("persona", "said"), [
    ("nvidia-time-slicing", ["nvidia.com/gpu"]),
    ("nvidia-mps", ["nvidia.com/gpu.shared"]),
    ("nvidia-mig-mixed", [f"nvidia.com/mig-{name}" for name in ("1g.10gb", "2g.20gb", "3g.40gb")]),
])  # fmt: skip
def test_shares_in_labels_alone_are_a_problem_and_nothing_else(persona: str, said: list[str]) -> None:
    found = by_plugin(persona, DriverFault.SHARES_NOT_OFFERED)
    assert [(each.offered.name, bool(each.problem), each.shares) for each in found] == [
        (name, True, ()) for name in said
    ]


def test_whole_devices_are_no_shares() -> None:
    assert by_plugin("nvidia") == by_plugin("amd") == by_plugin("gaudi") == by_plugin("intel-gpu") == []


@pytest.mark.parametrize(("persona", "way", "bound"), [
    ("simulated-shared", "consumable-capacity", 4),
    ("nvidia-dra-dynamic-mig", "partitions-by-DRA", 7),
    ("nvidia-dra-static-mig", "partitions-by-DRA", 2),
    ("nvidia-mig-single", "partitions-by-DRA", 7),
    ("amd-partitioned", "partitions-by-DRA", 8),
])  # fmt: skip
def test_a_node_offers_shares_by_dra(persona: str, way: str, bound: int) -> None:
    made = config(persona, Offer.DRA)
    devices = devices_of(made)
    slices = plan([], describe(made, devices), shared_counters(devices), config=made, version="v1", node_uid="u")
    pools = DevicePools()
    for each in slices.create:
        pools.add(each)
    published, _ = pools.result()
    driver = identities()[persona].driver
    entry = NodeAccelerators("dra", published[0].node or "", driver, published[0].product, total=2, free=2)
    (found,) = by_dra([entry], published, [], PROFILES, {}, 32)
    assert (found.way, found.bound, found.physical) == (way, bound, 1)


def test_shares_count_as_the_accelerators_that_a_run_lists() -> None:
    (cores,) = by_plugin("neuron")
    assert (cores.offered.name, cores.shares[0].name) == ("aws.amazon.com/neuron", "aws.amazon.com/neuroncore")
