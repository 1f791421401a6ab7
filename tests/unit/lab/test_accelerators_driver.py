"""The driver of simulated accelerators: what a node says of it and what a holder gets, on real sockets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.fake_kubelet import configuration
from support.fake_node import Node, plugin, wants

from aiconform.lab.accelerators import DriverFault, devices_of, identities
from aiconform.lab.accelerators.devices import RealDevice
from aiconform.lab.accelerators.driver import Driver, driver, driver_files, driver_labels
from aiconform.lab.accelerators.objects import node_labels
from aiconform.platform.accelerators.drivers import simulated_kernel

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="device nodes need root")
LABEL = "aiconform.dev/simulated-accelerator.driver-version"
INTEGRATION = "aiconform.dev/simulated-accelerator.runtime-integration"


def of(tmp_path: Path, *faults: DriverFault, **changes: Any) -> Driver:
    return driver(configuration(tmp_path, faults=faults, **changes))


def test_a_sound_driver_is_what_is_said_of_it(tmp_path: Path) -> None:
    assert of(tmp_path) == Driver("1.4.2", {"version": "1.4.2"}, "1.4.2", "1.4.2", "cdi")
    by_plugin = of(tmp_path, offer="device-plugin", identity=identities()["nvidia"])
    assert by_plugin == Driver("580.65.06", {"version": "580.65.6"}, "580.65.06", "580.65.06", "device-plugin")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (DriverFault.DRIVER_DIFFERS, Driver("1.4.2", {"version": "1.4.2"}, "1.5.2", "1.5.2", "cdi")),
        (DriverFault.VERSION_UNADVERTISED, Driver("", None, "1.4.2", "1.4.2", "cdi")),
        (DriverFault.VERSION_BY_LABEL, Driver("1.4.2", None, "1.4.2", "1.4.2", "cdi")),
        (DriverFault.VERSION_IMPRECISE, Driver("1", {"string": "1"}, "1.6.2", "1.6.2", "cdi")),
        (DriverFault.LIBRARIES_DIFFER, Driver("1.4.2", {"version": "1.4.2"}, "1.4.2", "1.7.2", "cdi")),
        (DriverFault.INTEGRATION_MISSTATED, Driver("1.4.2", {"version": "1.4.2"}, "1.4.2", "1.4.2", "hook")),
    ],
)
def test_each_fault_changes_one_thing(tmp_path: Path, fault: DriverFault, expected: Driver) -> None:
    assert of(tmp_path, fault) == expected


def test_what_a_module_shows_is_in_a_folder_that_says_that_it_is_simulated(tmp_path: Path) -> None:
    for name, identity in identities().items():
        for file in driver_files(configuration(tmp_path, identity=identity)):
            assert not file.container_path.startswith(("/proc", "/sys")), name
            of_kernel = "/proc/" in file.container_path or "/sys/" in file.container_path
            assert file.container_path.startswith(f"{simulated_kernel()}/") is of_kernel, name
    nvidia = driver_files(configuration(tmp_path, identity=identities()["nvidia-mig-mixed"]))
    assert [file.container_path for file in nvidia] == [
        "/run/simulated-kernel/sys/module/nvidia/version",
        "/run/simulated-kernel/proc/driver/nvidia/version",
        "/usr/lib/x86_64-linux-gnu/libcuda.so.580.65.06",
        "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.580.65.06",
    ]


def test_of_real_devices_nothing_is_said(tmp_path: Path) -> None:
    real = configuration(tmp_path, count=1, real=(RealDevice(path="/dev/x0", product="X", nodes=()),))
    assert driver_files(real) == []


def test_labels_are_those_of_the_vendor(tmp_path: Path) -> None:
    assert driver_labels(configuration(tmp_path, offer="device-plugin")) == {
        LABEL: "1.4.2",
        "aiconform.dev/simulated-accelerator.runtime-version": "12.8.0",
        INTEGRATION: "device-plugin",
    }
    gaudi = node_labels(configuration(tmp_path, identity=identities()["gaudi"]))
    assert gaudi["habana.ai/driver.version"] == "1.23.0-695"
    assert not [name for name in gaudi if name.startswith("aiconform.dev/simulated-accelerator.")], gaudi


def mounts_of(node: Node) -> list[dict[str, Any]]:
    (file,) = node.config.cdi_dir.glob("*claim_*.json")
    found: list[dict[str, Any]] = json.loads(file.read_text())["containerEdits"]["mounts"]
    return found


@ROOT
async def test_a_claims_container_gets_the_drivers_files_by_cdi_once(make: Any) -> None:
    node = await make(count=2)
    await node.kubelet.dra("NodePrepareResources", node.claim("one", "accel-0", "accel-1"))
    mounts = mounts_of(node)
    assert [mount["containerPath"] for mount in mounts] == [
        "/run/simulated-kernel/sys/module/simulated_accelerator/version",
        "/usr/lib/simulated-accelerator/libsimulated-accelerator.so.1.4.2",
    ]
    assert Path(mounts[0]["hostPath"]).read_text() == "1.4.2\n"
    assert {option for mount in mounts for option in mount["options"]} >= {"ro", "bind"}
    for edits in node.specs().values():
        assert "SIMULATED_ACCELERATOR_INJECTED_BY=cdi" in edits["env"]


@ROOT
async def test_the_device_plugin_gives_the_same_files(make: Any) -> None:
    node = await make(offer="device-plugin", count=2)
    one = devices_of(node.config)[0].uuid
    (answer,) = (await plugin(node, "Allocate", wants([one]))).container_responses
    assert [mount.container_path for mount in answer.mounts] == [
        "/run/simulated-kernel/sys/module/simulated_accelerator/version",
        "/usr/lib/simulated-accelerator/libsimulated-accelerator.so.1.4.2",
        f"/run/simulated-kernel/sys/module/simulated_accelerator/devices/{one}",
    ]
    assert all(mount.read_only for mount in answer.mounts)
    assert Path(answer.mounts[0].host_path).read_text() == "1.4.2\n"
    assert answer.envs["SIMULATED_ACCELERATOR_INJECTED_BY"] == "device-plugin"


@ROOT
async def test_a_fault_changes_what_is_given_and_what_is_said_and_leaves_both(make: Any) -> None:
    node = await make(count=1)
    (labelled,) = node.cluster.of("Node")
    assert labelled["metadata"]["labels"][LABEL] == "1.4.2"
    await node.change(faults=(DriverFault.VERSION_UNADVERTISED, DriverFault.LIBRARIES_DIFFER))
    await node.kubelet.dra("NodePrepareResources", node.claim("one", "accel-0"))
    assert mounts_of(node)[1]["containerPath"].endswith(".so.1.7.2")
    (silent,) = node.cluster.of("Node")
    assert LABEL not in {name for name, value in silent["metadata"]["labels"].items() if value}
    (slice_,) = node.cluster.of("ResourceSlice")
    assert "driverVersion" not in slice_["spec"]["devices"][0]["attributes"]
    await node.change(faults=())
    (again,) = node.cluster.of("Node")
    assert again["metadata"]["labels"][LABEL] == "1.4.2"
    (slice_,) = node.cluster.of("ResourceSlice")
    assert slice_["spec"]["devices"][0]["attributes"]["driverVersion"] == {"version": "1.4.2"}
