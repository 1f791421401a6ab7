"""driver_runtime_management on platforms of each vendor: what nodes and devices say, and what containers print, raw.

Which verdict each of them has is given; the shapes are those of the sources in drivers.yaml.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import pytest

from aiconform.check import Settings
from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.driver_runtime_management.advertising import advertisements
from aiconform.checks.driver_runtime_management.container import find
from aiconform.checks.driver_runtime_management.observations import Advertisements, Installed
from aiconform.checks.driver_runtime_management.options import DriverRuntimeManagement
from aiconform.kit.container_view import parse_view
from aiconform.platform import AcceleratorOptions, NodeAccelerators
from aiconform.platform.accelerators.devices import Device, Version
from aiconform.platform.accelerators.drivers import family_of

CHECK = load_check("driver_runtime_management")
KERNEL = "6.8.0-41-generic"
NOBODY = ["node /dev/null 1 3 character special file", "mount /", "mount /proc", "mount /sys"]
FULL = "nvidia.com/cuda.driver-version.full"
NVRM = "/proc/driver/nvidia/version"
LIB = "/usr/lib/x86_64-linux-gnu"


def printed(path: str, content: str) -> str:
    return f"file {path} {base64.b64encode(content.encode()).decode()}"


def module(name: str, version: str = "", taint: str = "") -> list[str]:
    folder = f"/sys/module/{name}"
    own = [printed(f"{folder}/version", f"{version}\n")] if version else []
    return [f"folder {folder}", *own, printed(f"{folder}/taint", f"{taint}\n")]


def library(path: str, *, links_to: str = "") -> list[str]:
    return [f"mount {path}", f"library {path} {links_to or path}"]


def nvidia(version: str) -> list[str]:
    said = f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {version}  Release Build  (dvs-builder)\n"
    return [*module("nvidia", version, "OE"), printed(NVRM, said)]


@dataclass(frozen=True)
class Case:
    """A node, a container with a device, and what is to be found: whether a version is advertised, and matches."""

    profile: str
    name: str
    finds: list[str]
    advertised: bool | None
    matches: bool | None
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    options: DriverRuntimeManagement = field(default_factory=DriverRuntimeManagement)


class FakePlatform:
    said = AcceleratorOptions()

    def __init__(self, case: Case) -> None:
        self._case = case

    async def devices(self) -> tuple[list[Device], list[str]]:
        case = self._case
        return [Device(case.name, "n1", "d0", "n1", case.attributes)] if case.attributes else [], []

    async def node(self, name: str) -> dict[str, Any]:
        return {
            "metadata": {"name": name, "labels": self._case.labels, "annotations": self._case.annotations},
            "status": {"nodeInfo": {"kernelVersion": KERNEL}},
        }


GFD = {
    "nvidia.com/cuda.driver.major": "580",
    "nvidia.com/cuda.driver.minor": "65",
    "nvidia.com/cuda.driver.rev": "06",
    "nvidia.com/cuda.driver-version.major": "580",
    FULL: "580.65.06",
    "nvidia.com/cuda.runtime-version.full": "13.0",
}
CUDA = library(f"{LIB}/libcuda.so.580.65.06")

CASES = {
    "nvidia gpu operator": Case("NVIDIA GPU", "nvidia.com/gpu", nvidia("580.65.06") + CUDA, True, True, labels=GFD),
    "nvidia gpu operator after an upgrade without a new label": Case(
        "NVIDIA GPU", "nvidia.com/gpu", nvidia("580.82.07"), True, False, labels=GFD
    ),
    "nvidia with a precompiled driver of a branch": Case(
        "NVIDIA GPU", "nvidia.com/gpu", nvidia("580.65.06"), True, True, labels={FULL: "580"}
    ),
    "nvidia vgpu guest": Case(
        "NVIDIA GPU",
        "nvidia.com/gpu",
        nvidia("550.54.15"),
        True,
        True,
        labels={FULL: "550.54.15-grid", "nvidia.com/vgpu.host-driver-version": "550.90.05"},
    ),
    "nvidia by dra": Case(
        "NVIDIA GPU",
        "gpu.nvidia.com",
        nvidia("580.95.05"),
        True,
        True,
        attributes={"driverVersion": Version("580.95.5"), "cudaDriverVersion": Version("13.0.0")},
    ),
    "nvidia device plugin alone": Case("NVIDIA GPU", "nvidia.com/gpu", nvidia("580.65.06"), None, None),
    "gke": Case(
        "NVIDIA GPU",
        "nvidia.com/gpu",
        ["mount /usr/local/nvidia", *library("/usr/local/nvidia/lib64/libcuda.so.1"), *nvidia("550.90.07")],
        True,
        True,
        labels={"cloud.google.com/gke-gpu-driver-version": "latest"},
        annotations={"cloud.google.com/cuda.driver-version.full": "550.90.07"},
    ),
    "gke of an older version": Case(
        "NVIDIA GPU",
        "nvidia.com/gpu",
        nvidia("550.90.07"),
        None,
        None,
        labels={"cloud.google.com/gke-gpu-driver-version": "default"},
    ),
    "jetson": Case(
        "NVIDIA GPU",
        "nvidia.com/gpu",
        [*nvidia("540.3.0"), *library("/usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1.1")],
        True,
        True,
        labels={FULL: "540.3.0"},
    ),
    "wsl": Case(
        "NVIDIA GPU",
        "nvidia.com/gpu",
        library("/usr/lib/wsl/drivers/nv_dispi.inf_amd64_1/libcuda.so.1.1"),
        True,
        None,
        labels={FULL: "560.94"},
    ),
    "amd with the kernel's driver by device plugin": Case("AMD GPU", "amd.com/gpu", module("amdgpu"), True, True),
    "amd with the kernel's driver by dra": Case(
        "AMD GPU", "gpu.amd.com", module("amdgpu"), True, True, attributes={"productName": "MI300X"}
    ),
    "amd with dkms": Case(
        "AMD GPU",
        "amd.com/gpu",
        module("amdgpu", "6.12.12", "OE"),
        True,
        True,
        labels={"amd.com/gpu.driver-version": "6.12.12"},
    ),
    "amd with dkms and no label": Case("AMD GPU", "amd.com/gpu", module("amdgpu", "6.12.12", "OE"), True, False),
    "amd with the kernel's driver and a label of dkms": Case(
        "AMD GPU", "amd.com/gpu", module("amdgpu"), True, None, labels={"amd.com/gpu.driver-version": "6.12.12"}
    ),
    "intel xe": Case("Intel GPU", "gpu.intel.com/xe", module("xe"), True, True),
    "intel i915 with the label of a kernel that is gone": Case(
        "Intel GPU",
        "gpu.intel.com/i915",
        module("i915"),
        True,
        False,
        labels={"feature.node.kubernetes.io/kernel-version.full": "6.8.0-31-generic"},
    ),
    "intel backport": Case("Intel GPU", "gpu.intel.com/i915", module("i915", "1.23.10.54", "OE"), True, False),
    "gaudi": Case(
        "Intel Gaudi",
        "habana.ai/gaudi",
        module("habanalabs", "1.23.0-695", "OE"),
        True,
        True,
        labels={"habana.ai/driver.version": "1.23.0-695"},
    ),
    "tpu": Case("Google TPU", "google.com/tpu", module("vfio_pci"), True, True),
    "tpu without a module that is known": Case("Google TPU", "google.com/tpu", [], True, None),
    "tpu whose user says that its driver is the kernel's": Case(
        "Google TPU",
        "google.com/tpu",
        [printed("/proc/sys/kernel/osrelease", KERNEL)],
        True,
        True,
        options=DriverRuntimeManagement(file="/proc/sys/kernel/osrelease"),
    ),
    "neuron by device plugin": Case(
        "AWS Neuron device", "aws.amazon.com/neuron", module("neuron", "2.22.2.0", "OE"), None, None
    ),
    "neuron by dra": Case(
        "AWS Neuron device",
        "neuron.aws.com",
        module("neuron", "2.22.2.0", "OE"),
        True,
        True,
        attributes={"neuronDriverVersion": "2.22.2.0"},
    ),
    "ascend": Case(
        "Huawei Ascend",
        "huawei.com/Ascend910",
        [
            "mount /usr/local/Ascend/driver/version.info",
            printed("/usr/local/Ascend/driver/version.info", "Version=24.1.rc3\nascendhal_version=7.35.23\n"),
        ],
        None,
        None,
    ),
    "ascend whose user names the label": Case(
        "Huawei Ascend",
        "huawei.com/Ascend910",
        [
            "mount /usr/local/Ascend/driver/version.info",
            printed("/usr/local/Ascend/driver/version.info", "Version=24.1.rc3\n"),
        ],
        True,
        True,
        labels={"acme.example/npu-driver": "24.1.rc3"},
        options=DriverRuntimeManagement(version="acme.example/npu-driver"),
    ),
    "nvidia beside a vendor whose label and file are named": Case(
        "NVIDIA GPU",
        "nvidia.com/gpu",
        [*nvidia("580.65.06"), printed("/proc/acme/version", "3.1")],
        True,
        True,
        labels=GFD | {"acme.example/npu-driver": "3.1"},
        options=DriverRuntimeManagement(version="acme.example/npu-driver", file="/proc/acme/version"),
    ),
    "a vendor that nobody knows": Case("", "acme.example/npu", [], None, None),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
async def test_the_verdict_over_each_platform(case: Case) -> None:
    way: Any = "device-plugin" if "/" in case.name else "dra"
    target = NodeAccelerators(way, "n1", case.name, "a product", total=8, free=8, profile=case.profile)
    about: Any = FakePlatform(case)
    (told,) = await advertisements(about, [target], Settings(options=(case.options,)).of(DriverRuntimeManagement))
    lines = [*NOBODY, *case.finds]
    holder, control = (parse_view([*each, f"kernel {KERNEL} boot-1"]) for each in (lines, NOBODY))
    found = find(family_of(case.profile), "", lines, holder, control, case.options.file)
    seen = Installed(
        advertised=told, served_by=way, holder=holder, control=control, found=found, release=KERNEL, boot="boot-1"
    )
    every = findings(CHECK, Advertisements(nodes=[told]))
    compared = findings(CHECK, seen)
    assert every["driver_version_is_advertised"].holds is case.advertised, every
    assert compared["driver_version_matches"].holds is case.matches, compared["driver_version_matches"].reason
    assert every["versions_come_from_dra"].holds is not False
    assert compared["libraries_match_module"].holds is not False
    asked = (every["driver_version_is_advertised"], compared["driver_version_matches"])
    assert all("--set driver_runtime_management." in each.reason for each in asked if each.holds is None)
