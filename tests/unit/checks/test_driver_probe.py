"""What the probes of driver_runtime_management make and record: real shells, and a cluster that prints."""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiconform.check import NothingToLookAt, Settings
from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.driver_runtime_management.advertising import observed
from aiconform.checks.driver_runtime_management.container import find, find_script, kernel_root
from aiconform.checks.driver_runtime_management.observations import LONGEST, Found
from aiconform.checks.driver_runtime_management.options import DriverRuntimeManagement
from aiconform.checks.driver_runtime_management.probes import advertised_versions, advertising, installed, looked_at
from aiconform.cluster import Object, WatchEvent
from aiconform.kit.container_view import LOOKED, View, look_script, parse_view
from aiconform.platform import AcceleratorOptions, NodeAccelerators
from aiconform.platform.accelerators.drivers import Family, Told, families, family_of, simulated_kernel
from aiconform.platform.accelerators.offered import Accelerators
from aiconform.platform.accelerators.versions import parse

CHECK = load_check("driver_runtime_management")
SHELLS = [[path] for path in (shutil.which("dash"), shutil.which("bash")) if path]
SHELLS += [[path, "sh"] for path in [shutil.which("busybox")] if path]


def view(*mounts: str, release: str = "6.8.0") -> View:
    return View(nodes=[], environment={}, mounts=["/", *mounts], release=release)


def file(path: str, content: str) -> str:
    return f"file {path} {base64.b64encode(content.encode()).decode()}"


def found(family: Family, *lines: str, mounts: tuple[str, ...] = (), root: str = "", named: str = "") -> list[str]:
    seen = find(family, root, lines, view(*mounts), view(), named)
    return [f"{each.kind} {each.path} {each.version}" for each in seen]


# What a container prints


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)
def test_a_shell_reads_the_modules_files_and_nothing_stops_it(shell: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "sys/module/nvidia"
    folder.mkdir(parents=True)
    (folder / "version").write_text("580.65.06\n")
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    said = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\nGCC version: 13.2.0\n"
    (tmp_path / "proc/driver/nvidia/version").write_text(said)
    family = family_of("NVIDIA GPU")
    script = find_script(family, str(tmp_path)).partition(f"echo {LOOKED}")[0]
    done = subprocess.run([*shell, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    lines = done.stdout.splitlines()
    holder = parse_view(lines)
    assert holder.nodes
    assert holder.release
    assert find(family, str(tmp_path), lines, holder, holder) == (
        Found(kind="module", path=f"{folder}/version", version="580.65.06"),
        Found(kind="module", path=f"{tmp_path}/proc/driver/nvidia/version", version="580.65.06"),
    )


def test_a_container_without_a_device_only_looks() -> None:
    assert "mountinfo" in look_script()
    assert "FILES" not in look_script()


def test_only_a_simulated_device_has_its_kernels_files_in_a_folder_that_says_so() -> None:
    assert kernel_root(simulated=False) == ""
    assert kernel_root(simulated=True) == simulated_kernel() == "/run/simulated-kernel"
    for each in families():
        assert simulated_kernel() not in find_script(each, kernel_root(simulated=False))


# What is read from it


def test_libraries_count_where_they_were_injected_by_the_name_that_they_link_to() -> None:
    libraries = "/usr/lib/x86_64-linux-gnu"
    lines = [
        f"library {libraries}/libcuda.so.580.65.06 {libraries}/libcuda.so.580.65.06",
        f"library {libraries}/libnvidia-egl-wayland.so.1.1.13 {libraries}/libnvidia-egl-wayland.so.1.1.13",
        "library /usr/local/nvidia/lib64/libnvidia-ml.so.1 /usr/local/nvidia/lib64/libnvidia-ml.so.580.82.07",
        "library /opt/image/libcuda.so.1.0.0 /opt/image/libcuda.so.1.0.0",
    ]
    mounts = (f"{libraries}/libcuda.so.580.65.06", "/usr/local/nvidia")
    assert found(family_of("NVIDIA GPU"), *lines, mounts=mounts) == [
        f"injected {libraries}/libcuda.so.580.65.06 580.65.06",
        "injected /usr/local/nvidia/lib64/libnvidia-ml.so.1 580.82.07",
    ]


@pytest.mark.parametrize("folder", ["/usr/lib/aarch64-linux-gnu/tegra", "/usr/lib/wsl/drivers/nv_dispi.inf_amd64_1"])
def test_a_library_on_jetson_or_under_wsl_does_not_name_the_driver(folder: str) -> None:
    line = f"library {folder}/libcuda.so.1.1 {folder}/libcuda.so.1.1"
    assert found(family_of("NVIDIA GPU"), line, mounts=(folder,)) == []


def test_ascends_version_file_counts_if_it_was_injected() -> None:
    path = "/usr/local/Ascend/driver/version.info"
    line = file(path, "Version=24.1.rc3\nascendhal_version=7.35.23\n")
    assert found(family_of("Huawei Ascend"), line, mounts=("/usr/local/Ascend/driver",)) == [
        f"injected {path} 24.1.rc3"
    ]
    assert found(family_of("Huawei Ascend"), line) == []


def test_gaudi_by_the_module_and_by_its_device() -> None:
    lines = [
        file("/sys/module/habanalabs/version", "1.23.0-695\n"),
        file("/sys/class/accel/accel0/device/driver_ver", "1.23.0-695\n"),
    ]
    assert [line.rpartition(" ")[2] for line in found(family_of("Intel Gaudi"), *lines)] == ["1.23.0-695"] * 2


def test_a_module_without_a_version_of_its_own_has_the_kernels_if_it_can_be_part_of_it() -> None:
    assert found(family_of("Intel GPU"), "folder /sys/module/xe") == ["kernel /sys/module/xe 6.8.0"]
    own = [file("/sys/module/xe/version", "1.25.2\n"), file("/sys/module/xe/taint", "OE\n")]
    assert found(family_of("Intel GPU"), "folder /sys/module/xe", *own) == ["module /sys/module/xe/version 1.25.2"]
    assert found(family_of("Intel GPU"), "folder /sys/module/xe", own[1]) == [], "it is no part of the kernel"
    assert found(family_of("AMD GPU"), "folder /sys/module/amdgpu") == ["kernel /sys/module/amdgpu 6.8.0"]
    assert found(family_of("NVIDIA GPU"), "folder /sys/module/nvidia") == []


def test_a_module_that_is_part_of_the_kernel_can_have_a_version_too() -> None:
    version = file("/sys/module/vfio_pci/version", "0.2\n")
    assert found(family_of("Google TPU"), "folder /sys/module/vfio_pci", version) == [
        "module /sys/module/vfio_pci/version 0.2",
        "kernel /sys/module/vfio_pci 6.8.0",
    ]


def test_the_user_can_name_the_file() -> None:
    line = file("/proc/acme/version", "acme driver release 3.1.4 (built today)\n")
    assert found(Family(), line, named="/proc/acme/version") == ["module /proc/acme/version 3.1.4"]
    inside = file("/opt/acme/VERSION", "3.1.4\n")
    assert found(Family(), inside, mounts=("/opt/acme",), named="/opt/acme/VERSION") == [
        "injected /opt/acme/VERSION 3.1.4"
    ]
    assert found(Family(), inside, named="/opt/acme/VERSION") == [], "it is the image's own"
    release = file("/proc/sys/kernel/osrelease", "6.1.58+\n")
    assert found(family_of("Google TPU"), release, named="/proc/sys/kernel/osrelease") == [
        "kernel /proc/sys/kernel/osrelease 6.1.58+"
    ]


def test_the_file_of_one_vendor_is_not_read_for_another_on_the_same_node() -> None:
    lines = [file("/proc/acme/version", "3.1.4\n"), file("/sys/module/nvidia/version", "580.65.06\n")]
    assert found(family_of("NVIDIA GPU"), *lines, named="/proc/acme/version") == [
        "module /sys/module/nvidia/version 580.65.06"
    ]


def test_what_is_no_version_is_recorded_at_a_bounded_length() -> None:
    (each,) = find(family_of("NVIDIA GPU"), "", [file("/sys/module/nvidia/version", "5" * 4096)], view(), view())
    assert len(each.version) == LONGEST
    assert parse(each.version) is None
    (told,) = observed([Told("annotation", "acme.example/driver", "1." * 100_000)])
    assert len(told.says) == LONGEST
    assert parse(told.says) is None


def test_a_file_that_cannot_be_read_hides_no_other() -> None:
    lines = ["file /proc/driver/nvidia/version ", file("/sys/module/nvidia/version", "580.65.06\n")]
    assert found(family_of("NVIDIA GPU"), *lines) == ["module /sys/module/nvidia/version 580.65.06"]


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024", "550.54.15"),
        ("NVIDIA UNIX Open Kernel Module for aarch64  540.3.0  Release Build  (buildbrain@mobile)", "540.3.0"),
        ("NVIDIA UNIX x86_64 Kernel Module  470.141  Wed Aug 31", "470.141"),
    ],
)
def test_nvidias_kernel_modules_of_every_kind_say_their_version(said: str, version: str) -> None:
    line = file("/proc/driver/nvidia/version", f"NVRM version: {said}\nGCC version:  gcc version 12.3.0\n")
    assert found(family_of("NVIDIA GPU"), line) == [f"module /proc/driver/nvidia/version {version}"]


def test_the_name_of_a_library_does_not_change_what_a_file_has() -> None:
    lines = [file("/sys/module/nvidia/version", "580.65.06\n"), file("/sys/module/nvidia/version", "1.2.3\n")]
    assert found(family_of("NVIDIA GPU"), *lines) == ["module /sys/module/nvidia/version 580.65.06"]


@pytest.mark.parametrize("line", ["file", "file /a", "file /a !!", "library", "folder", "nonsense", ""])
def test_no_output_of_a_container_breaks_the_reading(line: str) -> None:
    for family in families():
        assert found(family, line) == []


# What the probes do

READY = {"type": "Ready", "status": "True"}
FULL = "nvidia.com/cuda.driver-version.full"
NOBODY = ["kernel 6.8.0 boot-1", "node /dev/null 1 3 character special file", "mount /"]
HOLDER = [
    *NOBODY,
    "node /dev/nvidia0 c3 0 character special file",
    "mount /usr/lib/libcuda.so.580.65.06",
    "library /usr/lib/libcuda.so.580.65.06 /usr/lib/libcuda.so.580.65.06",
    file("/sys/module/nvidia/version", "580.65.06\n"),
]


def node(name: str, labels: dict[str, str] | None = None) -> Object:
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {},
        "status": {"conditions": [READY], "nodeInfo": {"containerRuntimeVersion": "containerd://2.1.4"}},
    }


def target(name: str, free: int = 2) -> NodeAccelerators:
    return NodeAccelerators("device-plugin", name, "nvidia.com/gpu", "H100", total=2, free=free, profile="NVIDIA GPU")


class FakeCluster:
    """Pods run at once, and print what the test says."""

    def __init__(self, printed: dict[str, list[str]]) -> None:
        self.printed = printed
        self.created: list[Object] = []

    async def watch(self, *kind: Any, fields: str, **_: Any) -> AsyncIterator[WatchEvent]:
        (pod,) = [each for each in self.created if fields == f"metadata.name={each['metadata']['name']}"]
        running = [{"name": each["name"], "state": {"running": {}}} for each in pod["spec"]["containers"]]
        yield WatchEvent("ADDED", {**pod, "status": {"phase": "Running", "containerStatuses": running}})
        await asyncio.sleep(60)

    async def follow(self, namespace: str, name: str, container: str, *, seconds: float) -> AsyncIterator[str]:
        for line in (*self.printed[container], LOOKED):
            yield line


class FakePlatform:
    said = AcceleratorOptions()

    def __init__(self, cluster: FakeCluster | None, targets: list[NodeAccelerators], *nodes: Object) -> None:
        self.cluster, self._targets = cluster, targets
        self._nodes = {each["metadata"]["name"]: each for each in nodes}
        self.images = {"shell": "shell:1"}

    async def accelerators(self) -> Accelerators:
        return Accelerators(tuple(self._targets), ("nothing is here",))

    async def node(self, name: str) -> Object:
        return self._nodes[name]

    async def devices(self) -> tuple[list[Any], list[Any]]:
        return [], []


class FakeScratch:
    def __init__(self, cluster: FakeCluster | None) -> None:
        self.cluster = cluster

    def name(self, part: str) -> str:
        return f"probe-{part}"

    async def create(self, obj: Object) -> Object:
        made = {**obj, "metadata": {**obj["metadata"], "namespace": "ns", "uid": "u"}}
        assert self.cluster is not None
        self.cluster.created.append(made)
        return made


def platform(*labels: dict[str, str], frees: tuple[int, ...] = ()) -> Any:
    names = [f"n{index}" for index in range(1, len(labels) + 1)]
    sizes = frees or (2,) * len(names)
    targets = [target(name, free) for name, free in zip(names, sizes, strict=True)]
    return FakePlatform(None, targets, *(node(name, told) for name, told in zip(names, labels, strict=True)))


async def test_a_healthy_node_is_recorded_and_holds() -> None:
    cluster = FakeCluster({"holder": HOLDER, "control": NOBODY})
    about: Any = FakePlatform(cluster, [target("n1")], node("n1", {FULL: "580.65.06"}))
    scratch: Any = FakeScratch(cluster)
    seen = await installed(about, scratch, Settings(patience=5.0), target("n1"))
    assert {finding.holds for finding in findings(CHECK, seen).values() if finding.applies} == {True}
    (made,) = cluster.created
    holder, control = made["spec"]["containers"]
    assert holder["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in control["resources"]["limits"]
    assert [each.kind for each in seen.found] == ["module", "injected"]
    assert [each.says for each in seen.advertised.runtime] == ["containerd://2.1.4"]


async def test_a_node_without_a_free_device_is_nothing_to_look_at() -> None:
    with pytest.raises(NothingToLookAt, match="in use"):
        await installed(platform({}), FakeScratch(None), Settings(), target("n1", free=0))  # type: ignore[arg-type]


async def test_every_node_is_read_whether_it_is_looked_at_or_not() -> None:
    seen = await advertising(platform({FULL: "1.2"}, {}, {}), None, Settings(), None)  # type: ignore[arg-type]
    assert [each.node for each in seen.nodes] == ["n1", "n2", "n3"]
    with pytest.raises(NothingToLookAt, match="nothing is here"):
        await advertising(platform(), None, Settings(), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("versions", "frees", "chosen"),
    [
        (["1.2"], (2,), ["n1"]),
        (["1.2", "1.2", "1.2"], (1, 2, 2), ["n2", "n3"]),
        (["1.2", "1.2"], (2, 0), ["n1"]),
        (["1.2", "1.3", "1.2", "1.3"], (1, 1, 2, 2), ["n3", "n4"]),
    ],
)
async def test_of_each_kind_one_node_for_each_version_and_two_at_least(
    versions: list[str], frees: tuple[int, ...], chosen: list[str]
) -> None:
    about = platform(*({FULL: version} for version in versions), frees=frees)
    assert [each.node for each in await looked_at(about, Settings())] == chosen  # type: ignore[union-attr]
    every = await looked_at(about, replace(Settings(), every_node=True))
    assert len(every) == len(versions)


async def test_inspect_tells_what_is_advertised_and_what_is_silent() -> None:
    told = await advertised_versions(platform({FULL: "580.65.06"}, {}), Settings())
    assert told.found == (f"nvidia.com/gpu on n1: label {FULL}=580.65.06",)
    assert "on n2: no version" in told.problems[0]


async def test_what_the_user_names_is_read_too() -> None:
    options = DriverRuntimeManagement(version="acme.example/driver, other", integration="hook")
    seen = await advertising(
        platform({"acme.example/driver": "3.1"}),
        None,
        Settings(options=(options,)),
        None,  # type: ignore[arg-type]
    )
    assert [str(each) for each in seen.nodes[0].driver] == ["label acme.example/driver=3.1"]
    assert [str(each) for each in seen.nodes[0].integration] == ["option integration=hook"]
    by_dra = NodeAccelerators("dra", "n1", "gpu.nvidia.com", "H100", total=2, free=2, profile="NVIDIA GPU")
    about: Any = FakePlatform(None, [by_dra], node("n1"))
    (told,) = (await advertising(about, None, Settings(options=(options,)), None)).nodes  # type: ignore[arg-type]
    assert told.integration == (), "by DRA it is CDI"
