"""Which devices are virtual by what vendors publish, how large they are, and with what they are compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.shared_devices import FakeCluster, platform

from aiconform.cluster import Object
from aiconform.platform import Platform
from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.options import AcceleratorOptions
from aiconform.platform.accelerators.profiles import load_profiles
from aiconform.platform.accelerators.resource_slices import IncompletePool
from aiconform.platform.accelerators.virtual import (
    anywhere,
    for_machines,
    memory_of_device,
    memory_of_resource,
    of_device,
    of_resource,
    parent_of,
)
from aiconform.platform.accelerators.virtual_devices import VirtualDevices
from aiconform.platform.accelerators.virtual_offers import Offers, virtual_offers
from aiconform.platform.images import Images

GIB = 2.0**30
NVIDIA, INTEL, AMD, ASCEND = "NVIDIA GPU", "Intel GPU", "AMD GPU", "Huawei Ascend"


def device(driver: str = "gpu.example.com", **attributes: Any) -> Device:
    named = {name.replace("__", "/"): value for name, value in attributes.items()}
    return Device(driver, "n1", "d", "n1", named)


@pytest.mark.parametrize(
    ("found", "profile", "said"),
    [
        # A whole GPU that is passed to a machine can have such a licence, too.
        (device("gpu.nvidia.com", type="gpu", brand="NvidiaVWS", productName="Tesla T4"), NVIDIA, ""),
        (
            device("gpu.nvidia.com", type="gpu", brand="NvidiaVCS", productName="GRID A100-10C"),
            NVIDIA,
            "product GRID A100-10C",
        ),
        (device("gpu.nvidia.com", productName="NVIDIA A10-8Q"), NVIDIA, "product NVIDIA A10-8Q"),
        (device("gpu.nvidia.com", type="gpu", brand="Nvidia", productName="NVIDIA A100-SXM4-80GB"), NVIDIA, ""),
        (device("gpu.nvidia.com", type="mig", profile="1g.10gb", parentUUID="GPU-1"), NVIDIA, ""),
        (device("gpu.intel.com", model="Flex 170", sriov=True, pciAddress="0000:17:00.0"), INTEL, ""),
        (
            device("gpu.intel.com", model="Flex 170", sriov=False, resource__pciBusID="0000:17:00.2"),
            INTEL,
            "attribute resource/pciBusID=0000:17:00.2",
        ),
        (device("gpu.intel.com", pciAddress="0000:17:01.0"), INTEL, "attribute pciAddress=0000:17:01.0"),
        (device("gpu.intel.com", pciAddress="0000:00:05.0"), INTEL, ""),
        # Functions of PCI other than the first are whole devices of other vendors.
        (device("gpu.amd.com", pciAddr="0000:17:00.2", type="amdgpu"), AMD, ""),
        (
            device("gpu.amd.com", productName="AMD_Instinct_MI300X_VF", type="amdgpu"),
            AMD,
            "product AMD_Instinct_MI300X_VF",
        ),
        (device("gpu.amd.com", productName="AMD_Instinct_MI300X", type="amdgpu-partition"), AMD, ""),
        (device(virtual=True), "", "attribute virtual=true"),
        (device(virtual=False), "", ""),
        (device(type="vf"), "", "attribute type=vf"),
        (device(deviceType="SR-IOV-VF"), "", "attribute deviceType=SR-IOV-VF"),
        (device(a_domain__mdevType="nvidia-42"), "", "attribute a_domain/mdevType=nvidia-42"),
    ],
)
def test_devices_of_dra_say_that_they_are_virtual(found: Device, profile: str, said: str) -> None:
    assert of_device(found, profile) == said


@pytest.mark.parametrize(
    ("resource", "profile", "product", "labels", "said"),
    [
        ("nvidia.com/gpu", NVIDIA, "", {"nvidia.com/vgpu.present": "true"}, "label nvidia.com/vgpu.present=true"),
        ("nvidia.com/gpu", NVIDIA, "", {"nvidia.com/vgpu.present": "false"}, ""),
        ("nvidia.com/gpu", NVIDIA, "GRID-A100-1-5C", {}, "product GRID-A100-1-5C"),
        ("nvidia.com/gpu", NVIDIA, "NVIDIA-L40S-24C-SHARED", {}, "product NVIDIA-L40S-24C-SHARED"),
        ("nvidia.com/gpu", NVIDIA, "NVIDIA-A10", {}, ""),
        ("nvidia.com/gpu", NVIDIA, "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb", {}, ""),
        ("nvidia.com/gpu", NVIDIA, "GRID-K520", {}, ""),
        ("amd.com/gpu", AMD, "AMD_Instinct_MI300X_VF", {}, "product AMD_Instinct_MI300X_VF"),
        ("amd.com/gpu", AMD, "AMD_Radeon_Pro_V710_MxGPU", {}, "product AMD_Radeon_Pro_V710_MxGPU"),
        (
            "amd.com/gpu",
            AMD,
            "",
            {"feature.node.kubernetes.io/amd-vgpu": "true"},
            "label feature.node.kubernetes.io/amd-vgpu=true",
        ),
        ("amd.com/gpu", AMD, "AMD_Instinct_MI210", {}, ""),
        ("ibm.com/spyre_vf", "IBM Spyre", "", {}, "ibm.com/spyre_vf is a virtual device"),
        ("ibm.com/spyre_pf", "IBM Spyre", "", {}, ""),
        ("huawei.com/Ascend310P-4c", ASCEND, "", {}, "huawei.com/Ascend310P-4c is a virtual device"),
        ("huawei.com/Ascend310P", ASCEND, "", {}, ""),
        # A share that software makes.
        ("nvidia.com/vgpu", NVIDIA, "NVIDIA-A10", {}, ""),
        ("example.com/vf", "", "", {"example.com/vf.virtual": "true"}, "label example.com/vf.virtual=true"),
    ],
)
def test_resources_say_that_they_are_virtual(
    resource: str, profile: str, product: str, labels: dict[str, str], said: str
) -> None:
    assert of_resource(resource, profile, product, labels) == said


@pytest.mark.parametrize(
    ("machine", "profile", "gib"),
    [
        ("Standard_NV6ads_A10_v5", NVIDIA, 4),
        ("Standard_NV18ads_A10_v5", NVIDIA, 12),
        ("Standard_NV36ads_A10_v5", NVIDIA, None),
        ("Standard_NC24ads_A100_v4", NVIDIA, None),
        ("g6f.large", NVIDIA, 3),
        ("gr6f.4xlarge", NVIDIA, 12),
        ("g6.4xlarge", NVIDIA, None),
        ("g4-standard-24", NVIDIA, 48),
        ("g4-standard-48", NVIDIA, None),
        ("ecs.vgn7i-vws-m4.xlarge", NVIDIA, 0),
        ("ecs.sgn7i-vws-m2.xlarge", NVIDIA, 0),
        ("ecs.sgn8ia-m2.xlarge", NVIDIA, 0),
        ("ecs.gn7i-c8g1.2xlarge", NVIDIA, None),
        ("Standard_NV8as_v4", AMD, 0),
        ("Standard_NV8as_v4", NVIDIA, None),
        ("Standard_NV4ads_V710_v5", AMD, 0),
    ],
)
def test_machines_with_a_part_of_a_gpu_have_virtual_ones(machine: str, profile: str, gib: float | None) -> None:
    labels = {"node.kubernetes.io/instance-type": machine}
    resource = "nvidia.com/gpu" if profile == NVIDIA else "amd.com/gpu"
    assert bool(of_resource(resource, profile, "", labels)) is (gib is not None)
    assert memory_of_resource(resource, profile, "", labels) == (gib or 0) * GIB


def test_the_size_is_that_of_the_profile() -> None:
    assert memory_of_resource("nvidia.com/gpu", NVIDIA, "GRID-A100-40C", {}) == 40 * GIB
    assert memory_of_resource("nvidia.com/gpu", NVIDIA, "GRID-A100-1-5C", {"nvidia.com/gpu.memory": "5120"}) == 5 * GIB
    assert memory_of_device(device("gpu.nvidia.com", productName="NVIDIA A10-8Q"), NVIDIA) == 8 * GIB
    assert memory_of_device(replace(device(), memory=3.0), "") == 3.0
    assert memory_of_device(device("gpu.amd.com", productName="AMD_Instinct_MI300X_VF"), AMD) == 0


@given(
    st.integers(1, 999), st.sampled_from("ABCQ"), st.sampled_from(["", "1-", "7-"]), st.sampled_from(["", "-SHARED"])
)
def test_a_vgpus_type_name_tells_its_memory(size: int, series: str, instance: str, shared: str) -> None:
    product = f"GRID-A100-{instance}{size}{series}{shared}"
    assert of_resource("nvidia.com/gpu", NVIDIA, product, {})
    assert memory_of_resource("nvidia.com/gpu", NVIDIA, product, {}) == size * GIB


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text()))
def test_any_text_can_be_read(resource: str, product: str, labels: dict[str, str]) -> None:
    for profile in (NVIDIA, AMD, ""):
        assert memory_of_resource(resource, profile, product, labels) >= 0
        of_resource(resource, profile, product, labels)


def test_the_physical_device_is_told_where_it_can_be() -> None:
    assert parent_of(device(parentUUID="GPU-1", pciBusID="0000:17:00.1")) == "GPU-1"
    one, two = (device("gpu.intel.com", resource__pciBusID=f"0000:17:00.{number}") for number in (1, 2))
    eighth = device("gpu.intel.com", resource__pciBusID="0000:17:01.0")
    assert parent_of(one) == parent_of(two) == parent_of(eighth) == "0000:17"
    # A guest does not know the GPU of its host.
    assert parent_of(device("gpu.nvidia.com", brand="NvidiaVCS", pciBusID="0000:02:00.0")) == ""


def node(name: str, labels: dict[str, str] | None = None, **resources: int) -> Object:
    amounts = {key.replace("__", "/"): str(value) for key, value in resources.items()}
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": amounts, "capacity": amounts}
    return {"kind": "Node", "metadata": {"name": name, "labels": labels or {}}, "spec": {}, "status": ready}


async def offers(*objects: Object) -> Offers:
    return await virtual_offers(platform(FakeCluster(*objects)))


async def completed(*objects: Object) -> list[VirtualDevices]:
    known = await offers(*objects)
    return [*map(known.completed, known.found)]


def test_what_is_for_virtual_machines_is_told() -> None:
    there = node("v", {"nvidia.com/gpu.workload.config": "vm-vgpu"})
    there["status"]["allocatable"] = {"nvidia.com/NVIDIA_A10-12Q": "4"}
    whole = node("p", {"nvidia.com/gpu.workload.config": "vm-passthrough"})
    whole["status"]["allocatable"] = {"nvidia.com/GA102GL_A10": "2"}
    assert for_machines([there, whole, node("c")]) == [
        "nvidia.com/NVIDIA_A10-12Q of 1 node(s), such as v: for virtual machines, and not for Pods"
    ]


async def test_vgpus_are_compared_with_a_fraction_before_a_complete_device() -> None:
    guest = node("guest", {"nvidia.com/vgpu.present": "true", "nvidia.com/gpu.count": "1"})
    guest["status"] = {**guest["status"], "allocatable": {"nvidia.com/gpu": "1"}, "capacity": {"nvidia.com/gpu": "1"}}
    whole = node("whole", {"nvidia.com/gpu.count": "1"})
    whole["status"] |= {"allocatable": {"nvidia.com/gpu": "1"}, "capacity": {"nvidia.com/gpu": "1"}}
    cut = node("cut")
    amounts = {"nvidia.com/mig-1g.10gb": "7"}
    cut["status"] |= {"allocatable": amounts, "capacity": amounts}
    (found,) = await completed(guest, whole)
    assert (found.node, found.other and (found.other.what, found.other.entry.node)) == (
        "guest",
        ("complete device", "whole"),
    )
    (found,) = await completed(guest, whole, cut)
    assert found.other is not None
    assert (found.other.what, found.other.entry.name) == ("fraction", "nvidia.com/mig-1g.10gb")
    assert found.other_free == 7


async def test_devices_of_another_vendor_are_not_compared() -> None:
    guest = node("guest", {"nvidia.com/vgpu.present": "true"})
    guest["status"] |= {"allocatable": {"nvidia.com/gpu": "1"}, "capacity": {"nvidia.com/gpu": "1"}}
    other = node("amd")
    other["status"] |= {"allocatable": {"amd.com/gpu": "1"}, "capacity": {"amd.com/gpu": "1"}}
    known = await offers(guest, other)
    assert [(each.node, each.other) for each in map(known.completed, known.found)] == [("guest", None)]
    assert [each.node for each in known.unmarked] == ["amd"]


def slice_(driver: str, node: str, *devices: Object, counters: tuple[str, ...] = ()) -> Object:
    pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
    shared = [{"name": each, "counters": {"parts": {"value": "2"}}} for each in counters]
    spec = {"driver": driver, "nodeName": node, "pool": pool, "devices": [*devices], "sharedCounters": shared}
    return {"kind": "ResourceSlice", "metadata": {"name": f"{node}-{driver}"}, "spec": spec}


def published(name: str, counters: str = "", parts: int = 1, **attributes: Any) -> Object:
    kinds = {bool: "bool", str: "string", int: "int"}
    consumed = [{"counterSet": counters, "counters": {"parts": {"value": str(parts)}}}] if counters else []
    told = {key.replace("__", "/"): {kinds[type(value)]: value} for key, value in attributes.items()}
    return {"name": name, "attributes": told, "consumesCounters": consumed}


def with_(there: Object, **amounts: int) -> Object:
    told = {key.replace("__", "/").replace("_", "."): str(value) for key, value in amounts.items()}
    there["status"] |= {"allocatable": told, "capacity": told}
    return there


async def test_the_same_hardware_in_its_other_way_is_no_physical_device_to_compare_with() -> None:
    # By DRA the product says so, by the plugin nothing does.
    guest = with_(node("guest"), nvidia_com__gpu=1)
    vgpu = slice_("gpu.nvidia.com", "guest", published("gpu-0", type="gpu", productName="NVIDIA A10-8Q", uuid="1"))
    (found,) = await completed(guest, vgpu)
    assert (found.entry.way, found.other) == ("dra", None)
    # By the plugin the product says so, by DRA nothing does.
    guest = with_(node("guest", {"nvidia.com/gpu.product": "NVIDIA-A10-8Q"}), nvidia_com__gpu=1)
    plain = slice_("gpu.nvidia.com", "guest", published("gpu-0", type="gpu", productName="NVIDIA A10", uuid="1"))
    (found,) = await completed(guest, plain)
    assert (found.entry.way, found.other) == ("device-plugin", None)
    # The whole GPU of another node is one.
    whole = with_(node("whole", {"nvidia.com/gpu.product": "NVIDIA-L4"}), nvidia_com__gpu=1)
    (found,) = await completed(guest, plain, whole)
    assert found.other is not None
    assert (found.other.entry.node, found.other.entry.way) == ("whole", "device-plugin")


async def test_what_a_node_says_of_its_devices_counts_by_dra_too() -> None:
    there = node("vm", {"node.kubernetes.io/instance-type": "g4-standard-12"})
    plain = slice_("gpu.nvidia.com", "vm", published("gpu-0", type="gpu", productName="NVIDIA RTX PRO 6000", uuid="1"))
    (found,) = (await offers(there, plain)).found
    assert found.said == "label node.kubernetes.io/instance-type=g4-standard-12"


async def test_of_what_a_user_names_only_names_of_one_vendor_are_compared() -> None:
    said = AcceleratorOptions(accelerators=("foo.com/*", "bar.com/*"))
    for other, compared in (("bar_com__chip", None), ("foo_com__chip", "foo.com/chip")):
        there = FakeCluster(with_(node("n"), foo_com__vf=2, **{other: 1}))
        known = await virtual_offers(Platform(there, Images(), said=said), named=("foo.com/vf",))  # type: ignore[arg-type]
        (found,) = map(known.completed, known.found)
        assert (found.other.entry.name if found.other else None) == compared


async def test_a_physical_device_that_its_virtual_ones_use_up_is_not_free_beside_them() -> None:
    def functions(physical: str) -> list[Object]:
        whole = published(f"{physical}-pf", physical, 2, model="A1", uuid=physical, virtual=False)
        told = {"model": "A1", "profile": "vf", "virtual": True, "parentUUID": physical}
        return [
            whole,
            *(published(f"{physical}-vf{each}", physical, uuid=f"{physical}-{each}", **told) for each in "ab"),
        ]

    driver = "simulated-accelerator.aiconform.dev"
    known = await offers(node("n"), slice_(driver, "n", *functions("z"), counters=("z",)))
    (found,) = map(known.completed, known.found)
    # The platform counts the physical device, so that nobody else may ask for it meanwhile.
    assert (found.free, found.kind[2], found.counted and found.counted.product) == (2, "A1 (vf)", "A1")
    assert (found.other and found.other.what, found.other_free) == ("complete device", 0)
    known = await offers(node("n"), slice_(driver, "n", *functions("a"), *functions("z"), counters=("a", "z")))
    for found in map(known.completed, known.found):
        assert found.other is not None
        assert (found.other.shares.devices[0].name, found.other_free) == ("z-pf" if found.parent == "a" else "a-pf", 1)


async def test_shares_of_virtual_devices_are_shared_on_purpose() -> None:
    # https://github.com/intel/intel-device-plugins-for-kubernetes/blob/main/cmd/gpu_plugin/labels.md
    labels = {"gpu.intel.com/device-id.0380-56c0.count": "1"}
    known = await offers(with_(node("flex", labels), gpu_intel_com__i915=10))
    assert [each.shared for each in known.unmarked] == ["10 gpu.intel.com/i915 are on 1 device(s)"]
    hami = with_(node("guest", {"nvidia.com/vgpu.present": "true"}), nvidia_com__gpu=10)
    hami["metadata"]["annotations"] = {"hami.io/node-nvidia-register": '[{"id":"GPU-1","count":10}]'}
    assert [each.shared for each in (await offers(hami)).found] == ["10 nvidia.com/gpu are on 1 device(s)"]
    # A plugin that does not share has no reason to offer more than there are.
    more = with_(node("guest", {"nvidia.com/vgpu.present": "true", "nvidia.com/gpu.count": "2"}), nvidia_com__gpu=3)
    assert [each.shared for each in (await offers(more)).found] == [""]


async def test_vnpus_stand_beside_their_chips() -> None:
    there = node("atlas")
    amounts = {"huawei.com/Ascend310P": "2", "huawei.com/Ascend310P-4c": "2"}
    there["status"] |= {"allocatable": amounts, "capacity": amounts}
    (found,) = await completed(there)
    assert (found.entry.name, found.total, found.other and found.other.what) == (
        "huawei.com/Ascend310P-4c",
        2,
        "complete device",
    )


async def test_of_a_host_that_is_given_whole_all_is_asked_for() -> None:
    there = node("tpu")
    amounts = {"google.com/tpu": "4"}
    there["status"] |= {"allocatable": amounts, "capacity": amounts}
    chips = [{"name": f"chip-{number}", "attributes": {"tpuGen": {"string": "v6e"}}} for number in range(4)]
    pool = {"name": "tpu", "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": "tpu.google.com", "nodeName": "tpu", "pool": pool, "devices": chips}
    published = {"kind": "ResourceSlice", "metadata": {"name": "s"}, "spec": spec}
    for objects in ([there], [node("tpu"), published]):
        known = await offers(*objects)
        (found,) = map(known.completed, known.unmarked)
        (asked,) = found.asked
        assert (asked.entry.unit, asked.shares.selector) == (4, "")


async def test_where_a_virtual_device_would_show_is_named() -> None:
    there = node("n")
    there["status"] |= {"allocatable": {"nvidia.com/gpu": "1"}, "capacity": {"nvidia.com/gpu": "1"}}
    known = await offers(there)
    assert not known.found
    assert "labels nvidia.com/vgpu.present, node.kubernetes.io/instance-type" in known.looked
    assert known.looked.startswith("attributes virtual, ")


def test_what_no_pod_can_have_is_found_anywhere() -> None:
    profiles = load_profiles()
    lost = with_(node("lost", {"nvidia.com/vgpu.present": "true"}), nvidia_com__gpu=0)
    assert anywhere([lost], [], [], profiles) == ["label nvidia.com/vgpu.present=true of lost"]
    vnpus = node("atlas")
    vnpus["status"] |= {"capacity": {"huawei.com/Ascend310P-4c": "2"}, "allocatable": {"huawei.com/Ascend310P-4c": "0"}}
    assert anywhere([vnpus], [], [], profiles) == ["huawei.com/Ascend310P-4c is a virtual device of atlas"]
    there = device("gpu.nvidia.com", productName="NVIDIA A10-8Q", type="gpu")
    assert anywhere([], [there, replace(there, tainted="sick=:NoSchedule")], [], profiles) == [
        "product NVIDIA A10-8Q of n1"
    ]
    pool = IncompletePool("gpu.nvidia.com", "n1", "1 of 2 ResourceSlices of generation 1")
    assert anywhere([], [], [pool], profiles) == [f"pool n1 of gpu.nvidia.com: {pool.problem}"]
    (asked,) = anywhere([with_(node("n"), example_com__vgpu=1)], [], [], profiles)
    assert "(--accelerator example.com/vgpu) of n" in asked
    # For virtual machines, interfaces, storage, memory of devices, and whole ones.
    others = with_(node("n"), nvidia_com__gpu=1, openshift_io__mlxnics=4, nvidia_com__gpumem=3)
    others["status"]["allocatable"]["nvidia.com/GRID_A10-8Q"] = "2"
    passed = replace(there, attributes={"type": "vfio", "productName": "NVIDIA A10-8Q"})
    assert anywhere([others], [passed, device("dra.net", virtual=True)], [], profiles) == []
