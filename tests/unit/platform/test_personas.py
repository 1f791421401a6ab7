"""What the personas of the lab offer, as checks see it: from the objects that their drivers and plugins publish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.fake_kubelet import configuration

from aiconform.cluster import Object
from aiconform.lab.accelerators import Offer, cluster_objects, identities, split
from aiconform.lab.accelerators.devices import by_resource
from aiconform.lab.accelerators.objects import node_labels
from aiconform.lab.accelerators.slices import describe, plan, shared_counters
from aiconform.platform.accelerators.offered import Accelerators
from aiconform.platform.accelerators.plugins import by_device_plugin
from aiconform.platform.accelerators.published import by_dra
from aiconform.platform.accelerators.resource_slices import published

COUNT = 2
# Persona -> what it offers by DRA: (product, how many, class).
BY_DRA: dict[str, list[tuple[str, int, str]]] = {
    "simulated": [
        ("Simulated Accelerator A1", 2, "simulated-accelerator.aiconform.dev"),
        ("Simulated Accelerator A1 (vf-8g)", 2, "simulated-accelerator.aiconform.dev"),
    ],
    "simulated-shared": [("Simulated Accelerator A1", 2, "simulated-accelerator.aiconform.dev")],
    "machine": [("Simulated device", 2, "devices.aiconform.dev")],
    "nvidia": [("Simulated H100", 2, "gpu.nvidia.com")],
    "nvidia-two-products": [("Simulated H100", 1, "gpu.nvidia.com"), ("Simulated L40S", 1, "gpu.nvidia.com")],
    "nvidia-mig-mixed": [
        ("Simulated H100 (mig 1g.10gb)", 4, "mig.nvidia.com"),
        ("Simulated H100 (mig 2g.20gb)", 2, "mig.nvidia.com"),
        ("Simulated H100 (mig 3g.40gb)", 2, "mig.nvidia.com"),
    ],
    "nvidia-mig-single": [("Simulated H100 (mig 1g.10gb)", 14, "mig.nvidia.com")],
    "nvidia-time-slicing": [("Simulated H100", 2, "gpu.nvidia.com")],
    "nvidia-mps": [("Simulated H100", 2, "gpu.nvidia.com")],
    "nvidia-vgpu": [("Simulated GRID A100-10C", 2, "gpu.nvidia.com")],
    "nvidia-dra": [("Simulated H100", 2, "gpu.nvidia.com")],
    "nvidia-dra-static-mig": [
        ("Simulated H100", 1, "gpu.nvidia.com"),
        ("Simulated H100 (mig 3g.40gb)", 2, "mig.nvidia.com"),
    ],
    "nvidia-dra-dynamic-mig": [("Simulated H100", 2, "gpu.nvidia.com")],
    "amd": [("Simulated MI300X", 2, "gpu.amd.com")],
    "amd-partitioned": [("Simulated MI300X (amdgpu-partition cpx_nps4)", 16, "gpu.amd.com")],
    "gaudi": [("Simulated Gaudi 3", 2, "gaudi.intel.com")],
    "tpu": [("Simulated TPU v6e", 2, "tpu.google.com")],
    "neuron": [("Simulated Trainium2", 2, "neuron.aws.com")],
    "intel-gpu": [("Simulated Data Center GPU Flex 170", 2, "gpu.intel.com")],
    "intel-gpu-shared": [("Simulated Data Center GPU Flex 170", 2, "gpu.intel.com")],
    # One of them and two functions of the other.
    "intel-gpu-sriov": [("Simulated Data Center GPU Flex 170", 3, "gpu.intel.com")],
    "ascend": [],
}
# Persona -> what it offers by device plugins: (resource, how many).
BY_PLUGIN: dict[str, list[tuple[str, int]]] = {
    "simulated": [("aiconform.dev/simulated-accelerator", 2)],
    "simulated-shared": [("aiconform.dev/simulated-accelerator", 2)],
    "machine": [("aiconform.dev/device", 2)],
    "nvidia": [("nvidia.com/gpu", 2)],
    "nvidia-two-products": [("nvidia.com/gpu", 2)],
    "nvidia-mig-mixed": [("nvidia.com/mig-1g.10gb", 4), ("nvidia.com/mig-2g.20gb", 2), ("nvidia.com/mig-3g.40gb", 2)],
    "nvidia-mig-single": [("nvidia.com/gpu", 14)],
    "nvidia-time-slicing": [("nvidia.com/gpu", 8)],
    "nvidia-mps": [("nvidia.com/gpu.shared", 8)],
    "nvidia-vgpu": [("nvidia.com/gpu", 2)],
    "nvidia-dra": [("nvidia.com/gpu", 2)],
    "nvidia-dra-static-mig": [("nvidia.com/gpu", 3)],
    "nvidia-dra-dynamic-mig": [("nvidia.com/gpu", 2)],
    "amd": [("amd.com/gpu", 2)],
    "amd-partitioned": [("amd.com/cpx_nps4", 16)],
    "gaudi": [("habana.ai/gaudi", 2)],
    "tpu": [("google.com/tpu", 2)],
    "neuron": [("aws.amazon.com/neuron", 2)],
    "intel-gpu": [("gpu.intel.com/xe", 2)],
    "intel-gpu-shared": [("gpu.intel.com/i915", 20)],
    "intel-gpu-sriov": [("gpu.intel.com/xe", 3)],
    "ascend": [("huawei.com/Ascend910", 2)],
}


def offered(persona: str, offer: Offer) -> Accelerators:
    config: Any = configuration(Path("/lab"), count=COUNT, offer=offer, identity=identities()[persona])
    to_dra, to_plugin = split(config)
    made = plan([], describe(config, to_dra), shared_counters(to_dra), config=config, version="v1", node_uid="u").create
    slices = [{**each, "metadata": {"name": f"slice-{number}"}} for number, each in enumerate(made)]
    resources = {name: str(len(ids)) for name, ids in by_resource(config.identity, to_plugin).items()}
    node: Object = {
        "metadata": {"name": config.node_name, "labels": node_labels(config)},
        "spec": {},
        "status": {"allocatable": {"cpu": "8", **resources}, "conditions": [{"type": "Ready", "status": "True"}]},
    }
    if offer is Offer.DEVICE_PLUGIN:
        return by_device_plugin([node], {})
    classes = [each for each in cluster_objects(config.identity) if each["kind"] == "DeviceClass"]
    return by_dra([node], *published(slices), [], classes)


def test_every_persona_has_its_expected_offer() -> None:
    assert set(BY_DRA) == set(BY_PLUGIN) == set(identities())


@pytest.mark.parametrize("persona", identities())
def test_by_dra(persona: str) -> None:
    found = offered(persona, Offer.DRA)
    assert [(each.product, each.total, each.device_class) for each in found.offered] == BY_DRA[persona]
    assert all(each.simulated and each.free == each.total for each in found.offered)
    # The made-up name of a driver that is not public.
    assert found.offered or "is it an accelerator?" in found.passed_over[0]


@pytest.mark.parametrize("persona", identities())
def test_by_device_plugins(persona: str) -> None:
    found = offered(persona, Offer.DEVICE_PLUGIN)
    assert [(each.name, each.total) for each in found.offered] == BY_PLUGIN[persona]
    assert all(each.simulated and each.free == each.total for each in found.offered)


def test_a_node_counts_its_hardware_and_not_its_shares() -> None:
    for persona in ("nvidia-time-slicing", "nvidia-mps", "intel-gpu-shared"):
        (entry,) = offered(persona, Offer.DEVICE_PLUGIN).offered
        assert (entry.total > COUNT, entry.physical) == (True, COUNT), persona


def test_a_host_s_resource_is_asked_for_as_a_whole() -> None:
    (entry,) = offered("tpu", Offer.DEVICE_PLUGIN).offered
    assert entry.unit == COUNT
