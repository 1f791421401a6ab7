"""What a container with a device prints, and what is read from it: real shells, and answers of vendors' drivers."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from aiconform.kit.container_view import LOOKED, DeviceNode, View, look_script, parse_view
from aiconform.kit.inside import Answer, Sources, holder_script, own, read, sources
from aiconform.platform.accelerators.drivers import Family, Reading, families, family_of, simulated_kernel

SHELLS = [[path] for path in (shutil.which("dash"), shutil.which("bash")) if path]
SHELLS += [[path, "sh"] for path in [shutil.which("busybox")] if path]
CONTROL = View(nodes=[], environment={}, mounts=["/"])
RENDER = DeviceNode(path="/dev/dri/renderD128", number="c:226:128")


def holder(*mounts: str, nodes: tuple[DeviceNode, ...] = ()) -> View:
    return View(nodes=list(nodes), environment={}, mounts=["/", *mounts])


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def answer(found: Sources, *lines: str, view: View | None = None) -> Answer:
    return read(found, lines, view or holder(), CONTROL)


def sizes(found: Answer) -> list[float]:
    return [size.bytes for size in found.sizes]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)
def test_a_shell_reads_files_of_any_pattern_and_runs_programs(shell: list[str], tmp_path: Path) -> None:
    for uuid, size in (("SIM-1", "4294967296"), ("SIM 2", "8589934592")):
        folder = tmp_path / "sys/devices" / uuid
        folder.mkdir(parents=True)
        (folder / "memory").write_text(f"{size}\n")
        (folder / "parent").write_text("SIM-9\n")
    by_number = tmp_path / "sys/dev/char/1:3"
    by_number.mkdir(parents=True)
    (by_number / "size").write_text("1024\n")
    (tmp_path / "smi").write_text("#!/bin/sh\necho total 24576 MiB $1\n")
    (tmp_path / "smi").chmod(0o755)
    found = Sources(
        memory=(
            Reading(file="/sys/devices/*/memory", value=r"(\d+)"),
            Reading(file="/sys/dev/char/{number}/size", value=r"(\d+)", unit="KiB"),
            Reading(program=f"{tmp_path}/smi -q", value=r"total (\d+) MiB -q", unit="MiB"),
            Reading(program="no-such-program", value=r"(\d+)"),
        ),
        parent=(Reading(file="/sys/devices/*/parent", value=r"(\S+)"),),
        root=str(tmp_path),
    )
    script = holder_script(found).partition(f"echo {LOOKED}")[0]
    done = subprocess.run([*shell, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    lines = done.stdout.splitlines()
    view = parse_view(lines)
    given = View(nodes=view.nodes, environment={}, mounts=[str(tmp_path)])
    # Every container has /dev/null: only what a container without a share lacks is the share's own.
    assert sizes(read(found, lines, given, CONTROL)) == [4294967296.0, 24576 * 2.0**20]
    holding = given.model_copy(update={"nodes": [RENDER.model_copy(update={"number": "c:1:3"})]})
    seen = read(found, lines, holding, CONTROL)
    assert sizes(seen) == [4294967296.0, 2.0**20, 24576 * 2.0**20]
    assert [each.value for each in seen.parents] == ["SIM-9"]


def test_a_container_without_a_share_only_looks() -> None:
    assert "mountinfo" in look_script()
    assert "program" not in look_script()


def test_only_simulated_devices_have_the_kernels_files_in_a_folder_that_says_so() -> None:
    for each in families():
        assert simulated_kernel() not in holder_script(sources(each, simulated=False))
        # Whatever vendor they act out: no tool of the image answers for them.
        assert "nvidia-smi" not in holder_script(sources(each, simulated=True))
    found = sources(family_of("NVIDIA GPU"), simulated=True)
    folder = f"{simulated_kernel()}/sys/module/simulated_accelerator/devices/SIM-1"
    seen = answer(found, f"file {folder}/memory {coded('10737418240')}", f"file {folder}/parent {coded('SIM-0')}")
    assert sizes(seen) == [10737418240.0]
    assert [each.value for each in seen.parents] == ["SIM-0"]


XML = """<gpu id="00000000:55:00.0"><uuid>GPU-aaaa-1111</uuid>
<fb_memory_usage><total>81559 MiB</total></fb_memory_usage>
<mig_devices><mig_device><index>0</index><fb_memory_usage>
<total>9856 MiB</total></fb_memory_usage></mig_device></mig_devices></gpu>"""


def test_an_instances_memory_is_not_that_of_its_gpu() -> None:
    found = sources(family_of("NVIDIA GPU"), simulated=False)
    line = f"program /usr/bin/nvidia-smi {coded(XML)}"
    seen = answer(found, line, view=holder("/usr/bin/nvidia-smi"))
    assert sizes(seen) == [9856 * 2.0**20]
    assert [(each.value, each.of_part) for each in seen.parents] == [("GPU-aaaa-1111", False)]
    assert answer(found, line) == Answer((), (), ()), "a tool of the image says what the image says"


def test_amds_kernel_driver_shows_the_memory_of_a_partition_and_the_number_of_its_device() -> None:
    node = "/sys/class/kfd/kfd/topology/nodes"
    lines = [
        f"file {node}/0/mem_banks/0/properties {coded('heap_type 0' + chr(10) + 'size_in_bytes 540000000000')}",
        f"file {node}/2/mem_banks/0/properties {coded('heap_type 1' + chr(10) + 'size_in_bytes 25769803776')}",
        f"file {node}/0/properties {coded('unique_id 0')}",
        f"file {node}/2/properties {coded('simd_count 160' + chr(10) + 'unique_id 1234567890123')}",
    ]
    seen = answer(sources(family_of("AMD GPU"), simulated=False), *lines)
    assert sizes(seen) == [25769803776.0], "memory of the CPUs is none"
    assert [(each.value, each.of_part) for each in seen.parents] == [("1234567890123", True)], "newer kernels'"


def test_the_address_of_the_hardware_is_read_for_nodes_that_only_the_holder_has() -> None:
    lines = [
        "bus c:226:128 /sys/devices/pci0000:10/0000:10:01.0/0000:11:00.0",
        "bus c:226:129 /sys/devices/platform/amdgpu_xcp_0",
        "bus c:10:1 /sys/devices/pci0000:20/0000:21:00.0",
    ]
    view = holder(nodes=(RENDER, DeviceNode(path="/dev/dri/renderD129", number="c:226:129")))
    assert answer(Sources((), ()), *lines, view=view).buses == (("c:226:128", "0000:11:00.0"),)


@pytest.mark.parametrize(("text", "size"), [
    ("Total: 16384 MiB\nUsed: 0 MiB\n", 2.0**34),
    ("17179869184\n", 2.0**34),
    ("16 GiB", 2.0**34),
    ("12.5GB", 12.5e9),
    ("none", 0),
])  # fmt: skip
def test_the_user_can_name_what_shows_memory(text: str, size: float) -> None:
    inside = sources(Family(), simulated=False, memory="acme-smi --memory")
    line = f"program /usr/bin/acme-smi {coded(text)}"
    assert sizes(answer(inside, line, view=holder("/usr/bin/acme-smi"))) == [size] * bool(size)
    file = sources(Family(), simulated=False, memory="/proc/acme/*/memory")
    assert sizes(answer(file, f"file /proc/acme/0/memory {coded(text)}")) == [size] * bool(size)


def test_the_user_can_name_what_shows_the_device() -> None:
    found = sources(family_of("NVIDIA GPU"), simulated=False, device="acme-smi --board")
    line = f"program /usr/bin/acme-smi {coded(chr(10) + 'board 7' + chr(10) + 'slot 2' + chr(10))}"
    (shown,) = answer(found, line, view=holder("/usr/bin/acme-smi")).parents
    assert (shown.source, shown.value.split()) == ("acme-smi --board", ["board", "7", "slot", "2"])
    assert "acme-smi --board" in holder_script(found)


def test_what_every_container_has_is_recorded_once() -> None:
    control = View(nodes=[], environment={"PATH": "/bin", "HOSTNAME": "a"}, mounts=["/", "/etc/hosts"])
    view = View(nodes=[RENDER], environment={"PATH": "/bin", "HOSTNAME": "b", "GPU": "0"}, mounts=["/", "/opt/gpu"])
    kept = own(view, control)
    assert (kept.nodes, kept.mounts) == ([RENDER], ["/opt/gpu"])
    assert kept.environment == {"HOSTNAME": "b", "GPU": "0"}


def test_lines_that_are_no_answer_are_ignored() -> None:
    found = sources(family_of("NVIDIA GPU"), simulated=True)
    assert answer(found, "file", "program x", "bus", "file /proc/x not-base64!", "") == Answer((), (), ())


MODE = "<gpu id='1'>\n<virtualization_mode>{}</virtualization_mode></gpu>"
SMI, PROC = "program /usr/bin/nvidia-smi", "file /proc/driver/nvidia/gpus/0/information"


@pytest.mark.parametrize(
    ("start", "text", "virtual", "physical"),
    [
        (SMI, MODE.format("VGPU"), "VGPU in nvidia-smi -q -x", ""),
        (SMI, MODE.format("Host VGPU"), "", "Host VGPU in nvidia-smi -q -x"),
        (SMI, "Failed to initialize NVML", "", ""),
        (PROC, "Model: \t NVIDIA A10-8Q\nIRQ: 1", "NVIDIA A10-8Q in /proc/driver/nvidia/gpus/0/information", ""),
        (PROC, "Model: NVIDIA A100\n", "", "NVIDIA A100 in /proc/driver/nvidia/gpus/0/information"),
    ],
)
def test_a_driver_says_whether_its_device_is_virtual(start: str, text: str, virtual: str, physical: str) -> None:
    found = sources(family_of("NVIDIA GPU"), simulated=False, virtual=True)
    seen = answer(found, f"{start} {coded(text)}", view=holder("/usr/bin/nvidia-smi"))
    assert (seen.virtual, seen.physical) == (tuple(filter(None, [virtual])), tuple(filter(None, [physical])))


def test_a_device_of_a_virtual_function_is_told_by_the_kernel() -> None:
    found = sources(family_of("Intel GPU"), simulated=False, virtual=True)
    seen = answer(found, "physfn c:226:128", "physfn c:226:129", view=holder(nodes=(RENDER,)))
    assert seen.virtual == ("device node c:226:128 is of a virtual function",)


def test_a_virtual_device_shows_its_memory_as_a_complete_one_does() -> None:
    text = "<gpu><fb_memory_usage>\n<total>8192 MiB</total></fb_memory_usage></gpu>"
    lines = [f"program /usr/bin/nvidia-smi {coded(text)}"]
    for virtual, right in ((True, [8192 * 2.0**20]), (False, [])):
        found = sources(family_of("NVIDIA GPU"), simulated=False, virtual=virtual)
        assert sizes(answer(found, *lines, view=holder("/usr/bin/nvidia-smi"))) == right


def test_a_network_interface_beside_a_device_says_nothing_of_it() -> None:
    verbs = DeviceNode(path="/dev/infiniband/uverbs0", number="c:231:192")
    view = holder(nodes=(RENDER, verbs))
    none = Sources((), ())
    assert answer(none, "physfn c:231:192", view=view).virtual == ()
    assert answer(none, "physfn c:226:128", view=view).virtual == ("device node c:226:128 is of a virtual function",)
    assert answer(none, "hypervisor", view=view).machine
    assert not answer(none, view=view).machine


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)
def test_a_shell_lists_the_functions_of_accelerators_that_are_for_pods(shell: list[str], tmp_path: Path) -> None:
    known = {
        "0000:17:00.0": ("0x030000", "xe", False),
        "0000:17:00.1": ("0x038000", "xe", True),
        "0000:18:00.1": ("0x120000", "accel", True),
        # A network interface, one for virtual machines, and one without a driver.
        "0000:19:00.1": ("0x020000", "mlx5_core", True),
        "0000:1a:00.1": ("0x030200", "vfio-pci", True),
        "0000:1b:00.1": ("0x030200", "", True),
    }
    for address, (kind, driver, virtual) in known.items():
        folder = tmp_path / "sys/bus/pci/devices" / address
        folder.mkdir(parents=True)
        (folder / "class").write_text(f"{kind}\n")
        if driver:
            (folder / "driver").symlink_to(f"../drivers/{driver}")
        if virtual:
            (folder / "physfn").mkdir()
    script = holder_script(Sources((), ())).partition(f"echo {LOOKED}")[0].replace("/sys/bus", f"{tmp_path}/sys/bus")
    done = subprocess.run([*shell, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert answer(Sources((), ()), *done.stdout.splitlines()).functions == ("0000:17:00.1", "0000:18:00.1")
