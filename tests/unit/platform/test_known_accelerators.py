"""What counts as an accelerator: known names, what the user says, and never anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.served import device, device_class, found, node, platform, resource_slice

from aiconform.check import NothingToLookAt, Settings
from aiconform.checks.dra_support import CHECK
from aiconform.platform import AcceleratorOptions
from aiconform.platform.accelerators.nodes import Toleration
from aiconform.platform.accelerators.profiles import NAMED, BadProfile, Profile, load_profiles, read_profiles
from aiconform.platform.accelerators.sharing import shared

OTHERS = [
    "qat.intel.com",
    "sriovnetwork.k8snetworkplumbingwg.io",
    "dra.nvme",
    "dra.net",
    "eth.dra.networking",
    "cni.dra.networking.x-k8s.io",
    "dra.cpu",
    "dra.memory",
    "compute-domain.nvidia.com",
    "efa.networking.k8s.aws",
]


@pytest.mark.parametrize("driver", OTHERS)
async def test_other_drivers_are_no_accelerators_and_nobody_is_asked(driver: str) -> None:
    seen = await found(node(), resource_slice(driver, device("a", type="channel")))
    assert seen.offered == ()
    assert seen.passed_over == (f"driver {driver}: its devices are not accelerators",)


@pytest.mark.parametrize("driver", [*OTHERS, "net.example.com"])
async def test_dra_support_says_nothing_about_devices_that_are_no_accelerators(driver: str) -> None:
    about = platform(node(), resource_slice(driver, device("a")), device_class(driver, f'device.driver == "{driver}"'))
    for name in ("publishing", "allocation", "excess"):
        probe = next(each for each in CHECK.probes if each.name == name)
        with pytest.raises(NothingToLookAt, match=driver):
            await (probe.targets or probe.function)(
                about, *([Settings()] if probe.targets else [None, Settings(), None])
            )


async def test_a_class_of_an_accelerator_without_devices_is_seen_beside_other_drivers() -> None:
    about = platform(
        node(),
        resource_slice("dra.net", device("eth1")),
        device_class("gpu.nvidia.com", "device.driver == 'gpu.nvidia.com'"),
        device_class("rdma", "device.driver == 'dra.net'"),
    )
    seen = await CHECK.probes[1].function(about, None, Settings(), None)
    assert (seen.devices, seen.classes, seen.others) == ({}, ["gpu.nvidia.com"], ("dra.net",))
    assert next(each for each in CHECK.assertions if each.id == "devices_are_published").function(seen).holds is False


async def test_an_unlisted_driver_or_resource_is_asked_about_and_not_tried() -> None:
    objects = (
        node("n1", **{"example.com/npu": "4", "rdma/hca_shared": "63", "hugepages-2Mi": "0"}),
        node("n2", **{"example.com/npu": "4"}),
        resource_slice("npu.example.com", device("a"), device("b")),
    )
    seen = await found(*objects)
    assert seen.offered == ()
    driver, resource = seen.passed_over
    assert driver.startswith("driver npu.example.com publishes 2 device(s): is it an accelerator?")
    assert "--not-accelerator npu.example.com" in driver
    assert "example.com/npu is on 2 node(s), such as n1" in resource

    named = await found(*objects, accelerators=("*example.com*",))
    assert {(entry.node, entry.name, entry.profile) for entry in named.offered} >= {("n2", "example.com/npu", NAMED)}
    assert named.passed_over == ()
    silent = await found(*objects, not_accelerators=("*example.com*",))
    assert silent.offered == ()
    assert "is it an accelerator?" not in str(silent.passed_over)


async def test_the_user_is_right_about_known_names_too() -> None:
    objects = (node(**{"nvidia.com/gpu": "1", "gpu.intel.com/tiles": "2"}),)
    assert (await found(*objects, not_accelerators=("nvidia.com/*",))).offered == ()
    assert [entry.name for entry in (await found(*objects, accelerators=("gpu.intel.com/tiles",))).offered] == [
        "gpu.intel.com/tiles",
        "nvidia.com/gpu",
    ]
    kept = (await found(*objects, accelerators=("nvidia.com/*",))).offered[0]
    assert kept.profile == "NVIDIA GPU"


@pytest.mark.parametrize(
    "resource", ["openshift.io/mlxnics", "nvidia.com/hostdev", "amd.com/vnic", "aliyun/member-eni", "aliyun/erdma",
                 "tke.cloud.tencent.com/direct-eni", "ovs-cni.network.kubevirt.io/br1", "github.com/fuse",
                 "kata.peerpods.io/vm", "smarter-devices/i2c-1", "openshift.io/input_output",
                 "cmk.intel.com/exclusive-cores", "intel.com/intel_fec_acc100"],
)  # fmt: skip
async def test_interfaces_and_other_devices_of_hosts_are_no_accelerators(resource: str) -> None:
    seen = await found(node(**{resource: "8"}))
    assert (seen.offered, seen.passed_over) == ((), ())


@pytest.mark.parametrize(
    "resource", ["openshift.io/gpu_vf", "openshift.io/MIG-1g", "aliyun/gpu", "aliyun/npu-310",
                 "x.network.kubevirt.io/vgpu", "smarter-devices/accel0", "openshift.io/intel_tpu"],
)  # fmt: skip
async def test_an_accelerator_under_a_prefix_of_anybodys_names_is_asked_about(resource: str) -> None:
    (told,) = (await found(node(**{resource: "4"}))).passed_over
    assert f"extended resource {resource} is on 1 node(s)" in told
    assert (await found(node(**{resource: "4"}), not_accelerators=(resource,))).passed_over == ()
    (named,) = (await found(node(**{resource: "4"}), accelerators=(resource,))).offered
    assert named.name == resource


@pytest.mark.parametrize(
    "part", ["nvidia.com/gpumem", "nvidia.com/gpucores", "aliyun.com/gpu-mem", "gpu.intel.com/memory.max",
             "huawei.com/Ascend910-memory", "huawei.com/npu-core", "cambricon.com/mlu.smlu.vcore",
             "cambricon.com/mlu370.smlu.vcore", "cambricon.com/mlu370.smlu.vmemory", "volcano.sh/vgpu-number",
             "enflame.com/vgcu-percentage", "koordinator.sh/gpu-memory-ratio"],
)  # fmt: skip
async def test_memory_and_compute_of_a_device_are_no_devices(part: str) -> None:
    beside = await found(node(**{part: "80", "amd.com/gpu": "1"}))
    assert [entry.name for entry in beside.offered] == ["amd.com/gpu"]
    assert beside.passed_over == ()
    # Of accelerators that nothing else stands for, nobody can tell how many there are.
    alone = await found(node("n1", **{part: "80"}), node("n2", **{part: "80"}))
    assert alone.offered == ()
    assert [text for text in alone.passed_over if f"2 node(s), such as n1, offer {part}: " in text]
    assert len(alone.passed_over) == 1
    named = await found(node(**{part: "80"}), accelerators=(part,))
    assert ([entry.name for entry in named.offered], named.passed_over) == ([part], ())
    assert (await found(node(**{part: "80"}), not_accelerators=(part,))).passed_over == ()


@pytest.mark.parametrize(
    ("resource", "profile", "is_share"),
    [
        ("enflame.com/vgcu", "Enflame GCU", True),
        ("iluvatar.ai/vgpu", "Iluvatar GPU", True),
        ("cambricon.com/mlu370.share", "Cambricon MLU", True),
        ("cambricon.com/mlu370.mim-2m.8gb", "Cambricon MLU", False),
        ("huawei.com/npu", "Huawei Ascend", False),
        ("tenstorrent.com/n150", "Tenstorrent", False),
    ],
)
async def test_devices_and_shares_of_vendors_are_known(resource: str, profile: str, is_share: bool) -> None:
    (entry,) = (await found(node(**{resource: "4"}))).offered
    assert (entry.profile, entry.total) == (profile, 4)
    assert bool(shared(resource, {})) is is_share


def test_a_profile_file_names_further_accelerators(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "accelerators:\n  - name: Example NPU\n    resources: [example.com/npu]\n    drivers: ['*.example.com']\n"
    )
    (profile,) = read_profiles(path)
    assert profile == Profile(name="Example NPU", resources=("example.com/npu",), drivers=("*.example.com",))
    assert AcceleratorOptions(own=(profile,)).profiles.by_driver("npu.example.com") == profile


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("accelerators: [{name: A, resource: [x/y]}]", "accelerators.0.resource"),
        ("accelerators: [{resources: [x/y]}]", "accelerators.0.name"),
        ("- name: A", "accelerators"),
        ("accelerators: [", "well-formed YAML"),
        (None, "cannot be read"),
    ],
)
def test_a_profile_file_that_cannot_be_used_is_told_with_the_place(text: str | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadProfile, match=told):
        read_profiles(path)


def test_what_the_user_said_is_recorded_and_read_again() -> None:
    said = AcceleratorOptions(
        ("a/*",), ("b",), (Profile(name="N", drivers=("d",)),), (Toleration("k", "v", "NoExecute"), Toleration("only"))
    )
    assert AcceleratorOptions.of(said.recorded()) == said
    assert AcceleratorOptions.of({}) == AcceleratorOptions()


def test_a_name_has_one_profile() -> None:
    for profile in load_profiles().accelerators:
        for driver in profile.drivers:
            assert load_profiles().by_driver(driver) == profile
