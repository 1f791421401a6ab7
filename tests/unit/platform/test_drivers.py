"""Where each vendor's driver is advertised: nodes and devices of the shapes that their public descriptions have."""

from __future__ import annotations

import re
from typing import Any

import pytest

from aiconform.cluster import Object
from aiconform.platform.accelerators.devices import Device, Version
from aiconform.platform.accelerators.drivers import KERNEL_VERSION, Family, Told, families, family_of
from aiconform.platform.accelerators.profiles import load_profiles


def node(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **info: str) -> Object:
    return {
        "metadata": {"name": "n1", "labels": labels or {}, "annotations": annotations or {}},
        "status": {"nodeInfo": info},
    }


def device(driver: str, /, **attributes: Any) -> Device:
    return Device(driver, "n1", "d0", "n1", attributes)


def told(profile: str, *devices: Device, **about: Any) -> dict[str, str]:
    return {each.name: each.value for each in family_of(profile).driver(devices, node(**about))}


def test_nvidia_by_attributes_and_by_labels_of_either_form() -> None:
    gpu = device("gpu.nvidia.com", driverVersion=Version("580.95.5"), cudaDriverVersion=Version("13.0.0"))
    assert told("NVIDIA GPU", gpu) == {"driverVersion": "580.95.5"}
    assert told("NVIDIA GPU", labels={"nvidia.com/cuda.driver-version.full": "550.54.15"}) == {
        "nvidia.com/cuda.driver-version.full": "550.54.15"
    }
    parts = {"major": "550", "minor": "54", "rev": "15"}
    older = {f"nvidia.com/cuda.driver.{part}": value for part, value in parts.items()}
    assert told("NVIDIA GPU", labels=older) == {"nvidia.com/cuda.driver.major": "550.54.15"}
    runtimes = family_of("NVIDIA GPU").runtimes([gpu], node(containerRuntimeVersion="containerd://2.1.4"))
    assert [each.value for each in runtimes] == ["13.0.0", "containerd://2.1.4"]


@pytest.mark.parametrize(
    ("parts", "version"),
    [
        ({"major": "470", "minor": "141", "rev": ""}, "470.141"),
        ({"major": "550", "rev": "15"}, "550"),
        ({"major": ""}, ""),
    ],
)
def test_a_version_in_several_labels_ends_where_one_is_missing(parts: dict[str, str], version: str) -> None:
    labels = {f"nvidia.com/cuda.driver.{part}": value for part, value in parts.items()}
    assert list(told("NVIDIA GPU", labels=labels).values()) == [version]


def test_gkes_device_plugin_annotates_nodes_with_the_version() -> None:
    annotations = {"cloud.google.com/cuda.driver-version.full": "550.107.02"}
    labels = {"cloud.google.com/gke-gpu-driver-version": "latest"}
    assert told("NVIDIA GPU", annotations=annotations, labels=labels) == annotations | labels


def test_the_version_of_a_runtime_library_is_no_drivers_of_any_family() -> None:
    gpu = device(
        "hami-core-gpu.project-hami.io", driverVersion=Version("580.95.5"), cudaDriverVersion=Version("13.0.0")
    )
    assert Family().driver([gpu], node()) == (Told("attribute", "driverVersion", "580.95.5"),)


def test_gke_says_which_driver_it_installs_in_words_that_are_no_version() -> None:
    label = {"cloud.google.com/gke-gpu-driver-version": "default"}
    assert told("NVIDIA GPU", labels=label) == label


def test_amd_by_both_attributes_and_by_the_labels_of_the_node_labeller() -> None:
    gpu = device("gpu.amd.com", driverVersion=Version("6.12.12"), driverVersionFull="6.12.12-2164967.24.04")
    assert told("AMD GPU", gpu) == {"driverVersion": "6.12.12", "driverVersionFull": "6.12.12-2164967.24.04"}
    labels = {"amd.com/gpu.driver-version": "6.12.12", "kmm.node.kubernetes.io/version-module.amd.config": "6.4"}
    assert told("AMD GPU", labels=labels) == {"amd.com/gpu.driver-version": "6.12.12"}


@pytest.mark.parametrize("profile", ["Intel GPU", "Google TPU"])
def test_a_driver_that_is_part_of_the_kernel_has_its_version(profile: str) -> None:
    published = device("gpu.intel.com", driver="xe", model="Flex 170")
    assert told(profile, published, kernelVersion="6.8.0-41-generic") == {KERNEL_VERSION: "6.8.0-41-generic"}
    labels = {"feature.node.kubernetes.io/kernel-version.full": "6.8.0-41-generic"}
    assert list(told(profile, labels=labels, kernelVersion="6.8.0-41-generic")) == [*labels, KERNEL_VERSION]
    own = device("gpu.intel.com", driverVersion=Version("1.25.2"))
    assert told(profile, own, kernelVersion="6.8.0-41-generic") == {"driverVersion": "1.25.2"}


def test_gaudi_by_the_label_of_its_feature_discovery() -> None:
    assert told("Intel Gaudi", labels={"habana.ai/driver.version": "0.11.0-26305c5e"}) == {
        "habana.ai/driver.version": "0.11.0-26305c5e"
    }


@pytest.mark.parametrize("name", ["driverVersion", "neuronDriverVersion", "neuron.aws.com/driver_version"])
def test_neuron_by_any_attribute_that_is_a_drivers_version(name: str) -> None:
    assert told("AWS Neuron device", device("neuron.aws.com", **{name: "2.22.2.0"})) == {name: "2.22.2.0"}


def test_of_ascend_nothing_public_says_where_its_driver_is_advertised() -> None:
    assert not family_of("Huawei Ascend").labels
    told = family_of("Huawei Ascend").driver(
        [], node(annotations={"acme.example/npu-driver": "24.1.rc3"}), ["acme.example/npu-driver"]
    )
    assert told == (Told("annotation", "acme.example/npu-driver", "24.1.rc3"),)


def test_names_of_one_vendor_are_not_read_for_another_on_the_same_node() -> None:
    labels = {"nvidia.com/cuda.driver-version.full": "580.65.06", "acme.example/npu-driver": "3.1"}
    names = ["acme.example/npu-driver", "acmeDriver"]
    gpu = device("gpu.nvidia.com", acmeDriver="3.1")
    assert [each.value for each in family_of("NVIDIA GPU").driver([gpu], node(labels), names)] == ["580.65.06"]
    assert [each.value for each in Family().driver([gpu], node(labels), names)] == ["3.1", "3.1"]
    channel = {"cloud.google.com/gke-gpu-driver-version": "default", "acme.example/npu-driver": "580.65"}
    told = family_of("NVIDIA GPU").driver([], node(channel), names)
    assert [each.value for each in told] == ["default", "580.65"]


def test_an_unknown_familys_attributes_are_read_and_devices_that_say_the_same_say_it_once() -> None:
    pair = [device("npu.acme.example", driverVersion="3.1"), device("npu.acme.example", driverVersion="3.1")]
    assert Family().driver(pair, node()) == (Told("attribute", "driverVersion", "3.1"),)
    assert len(Family().driver([*pair, device("npu.acme.example", driverVersion="3.2")], node())) == 2


def test_integrations_of_devices_come_before_those_of_the_node() -> None:
    simulated = family_of("aiconform simulated accelerator")
    labels = {"aiconform.dev/simulated-accelerator.runtime-integration": "device-plugin"}
    published = device("simulated-accelerator.aiconform.dev", runtimeIntegration="cdi")
    assert [each.value for each in simulated.integrations([published], node(labels))] == ["cdi"]
    assert [each.value for each in simulated.integrations([], node(labels))] == ["device-plugin"]


def test_the_families_are_those_of_profiles_and_their_expressions_have_one_group() -> None:
    known = {profile.name for profile in load_profiles().accelerators}
    for each in families():
        assert each.profile in known
        for pattern in (*each.kernel_files.values(), *each.libraries, *each.files.values()):
            assert re.compile(pattern).groups == 1
        assert all(path.startswith(("/proc/", "/sys/")) for path in each.kernel_files)
