"""The machine's own devices in place of simulated ones: tried with those that every machine has."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.fake_kubelet import configuration
from support.fake_node import Node, plugin, wants

from aiconform.lab.accelerators import AcceleratorError, NodeRole, devices_of, hardware, identities
from aiconform.lab.accelerators.objects import node_labels
from aiconform.lab.accelerators.telemetry import write_telemetry

MACHINE = identities()["machine"]
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="sockets in folders of root")


def cdi(folder: Path) -> Path:
    """A folder with a specification as vendors' tools write it: a device, one under a name for all, what all need."""
    folder.mkdir()
    null, zero = {"path": "/dev/null"}, {"path": "/dev/inside", "hostPath": "/dev/zero"}
    library = {"hostPath": "/usr/lib/libx.so", "containerPath": "/usr/lib/libx.so", "options": ["ro", "bind"]}
    spec = {
        "cdiVersion": "0.6.0",
        "kind": "vendor.example/gpu",
        "devices": [
            {"name": "all", "containerEdits": {"deviceNodes": [null, zero, {"path": "/dev/full"}]}},
            {"name": "0", "containerEdits": {"deviceNodes": [zero, null], "env": ["NUMBER=0"]}},
        ],
        "containerEdits": {"deviceNodes": [{"path": "/dev/random"}], "mounts": [library], "env": ["VENDOR=x"]},
    }
    (folder / "vendor.json").write_text(json.dumps(spec))
    (folder / "README").write_text("not one")
    return folder


def test_devices_are_found_by_pattern_and_other_files_are_not() -> None:
    assert hardware.matching(["/dev/nul[l]", "/dev/zero", "/dev/null"]) == ("/dev/null", "/dev/zero")
    assert hardware.identity_of(["/dev/null"]) == "machine"


@pytest.mark.parametrize(
    ("patterns", "identity", "says"),
    [
        (["/dev/no-such-gpu[0-9]*"], "", "this machine has no device /dev/no-such-gpu.*simulates accelerators"),
        (["/dev/shm"], "", "/dev/shm is no character device"),
        (["/etc/passwd"], "", "give paths below /dev"),
        (["/dev/null"], "nvidia", "/dev/null is no device node of identity nvidia"),
    ],
)
def test_what_is_not_there_is_refused_with_the_way_out(patterns: list[str], identity: str, says: str) -> None:
    with pytest.raises(AcceleratorError, match=says):
        hardware.matching(patterns, identity)


@pytest.mark.parametrize(
    ("paths", "identity"),
    [
        (["/dev/nvidia0", "/dev/nvidia1"], "nvidia"),
        (["/dev/accel/accel3"], "gaudi"),
        (["/dev/neuron15"], "neuron"),
        (["/dev/davinci0"], "ascend"),
        (["/dev/other0"], "machine"),
    ],
)
def test_whose_a_device_is_its_path_says(paths: list[str], identity: str) -> None:
    assert hardware.identity_of(paths) == identity


def test_a_path_of_two_vendors_is_asked_about() -> None:
    with pytest.raises(AcceleratorError, match="may be of amd or intel-gpu: say which by --identity"):
        hardware.identity_of(["/dev/dri/renderD128"])


def test_companions_and_libraries_come_from_the_machine_s_cdi(tmp_path: Path) -> None:
    (found,) = hardware.look(["/dev/null"], MACHINE, [cdi(tmp_path / "cdi"), tmp_path / "none"])
    assert [(node.role, node.container_path, str(node.host_path)) for node in found.nodes] == [
        (NodeRole.MAIN, "/dev/null", "/dev/null"),
        (NodeRole.COMPANION, "/dev/inside", "/dev/zero"),
        (NodeRole.SHARED, "/dev/random", "/dev/random"),
    ]
    assert [(node.major, node.minor) for node in found.nodes] == [(1, 3), (1, 5), (1, 8)]
    assert found.edits["env"] == ["VENDOR=x", "NUMBER=0"]
    assert [mount["hostPath"] for mount in found.edits["mounts"]] == ["/usr/lib/libx.so"]
    assert found.cdi_version == "0.6.0"


def test_without_cdi_the_identity_says_which_nodes_belong_together(tmp_path: Path) -> None:
    fields = {"nodes": ["/dev/null", "/dev/zero", "/dev/no-such"], "shared_nodes": ["/dev/random", "/dev/shm"]}
    identity = MACHINE.model_validate({**MACHINE.model_dump(), **fields})
    (found,) = hardware.look(["/dev/null"], identity, [tmp_path])
    assert [(node.role, node.container_path) for node in found.nodes] == [
        (NodeRole.MAIN, "/dev/null"),
        (NodeRole.COMPANION, "/dev/zero"),
        (NodeRole.SHARED, "/dev/random"),
    ]
    assert not found.edits


def test_a_device_that_has_gone_and_a_bad_specification_are_named(tmp_path: Path) -> None:
    with pytest.raises(AcceleratorError, match="/dev/no-such is not on this machine"):
        hardware.look(["/dev/no-such"], MACHINE, [tmp_path])
    (tmp_path / "bad.yaml").write_text("devices: [1]")
    with pytest.raises(AcceleratorError, match=r"bad\.yaml is no CDI specification"):
        hardware.look(["/dev/null"], MACHINE, [tmp_path])
    (tmp_path / "bad.yaml").write_text("{")
    with pytest.raises(AcceleratorError, match=r"bad\.yaml"):
        hardware.look(["/dev/null"], MACHINE, [tmp_path])
    assert hardware.look([], MACHINE, [tmp_path]) == ()


@ROOT
async def test_real_devices_are_published_and_given_as_what_they_are(make: Any, tmp_path: Path) -> None:
    real = hardware.look(["/dev/null", "/dev/zero"], MACHINE, [cdi(tmp_path / "cdi")])
    node: Node = await make(offer="both", count=2, identity=MACHINE, real=real)
    (slice_,) = node.cluster.of("ResourceSlice")
    (device,) = slice_["spec"]["devices"]
    assert device["attributes"]["simulated"] == {"bool": False}
    assert device["attributes"]["path"] == {"string": "/dev/null"}
    assert not {"driverVersion", "runtimeVersion"} & device["attributes"].keys(), "not known of real hardware"
    assert not device["capacity"]
    (labels,) = (each["metadata"]["labels"] for each in node.cluster.of("Node"))
    assert labels["aiconform.dev/device.simulated"] == "false"

    one = node.claim("one", device["name"])
    answer = (await node.kubelet.dra("NodePrepareResources", one))[one["metadata"]["uid"]]
    assert node.given(answer) == ["/dev/null", "/dev/inside", "/dev/random"]
    (name,) = answer.devices[0].cdi_device_ids
    assert node.specs()[name]["mounts"][0]["containerPath"] == "/usr/lib/libx.so"
    assert {"VENDOR=x", "NUMBER=0"} < set(node.specs()[name]["env"])

    plugged = devices_of(node.config)[1]
    allocated = await plugin(node, "Allocate", wants([plugged.uuid]))
    (given,) = allocated.container_responses
    assert not given.devices
    edits = node.specs()[given.cdi_devices[0].name]
    assert edits["deviceNodes"][0]["path"] == "/dev/zero"
    versions = {json.loads(file.read_text())["cdiVersion"] for file in node.config.cdi_dir.glob("*.json")}
    assert versions == {"0.6.0"}
    assert not node.config.device_dir.exists(), "no device nodes of its own"


def test_the_lab_measures_nothing_of_real_devices(tmp_path: Path) -> None:
    real = hardware.look(["/dev/null"], identities()["nvidia"], [tmp_path])
    file = tmp_path / "telemetry.json"
    config = configuration(tmp_path, count=1, identity=identities()["nvidia"], real=real, telemetry=file)
    write_telemetry(config)
    assert not file.exists()
    assert node_labels(config)["nvidia.com/gpu.simulated"] == "false"
    assert devices_of(config)[0].attributes == {"path": "/dev/null", "type": "gpu"}, "the type that its class selects"
    with pytest.raises(ValueError, match="count is 2, but there are 1 real devices"):
        configuration(tmp_path, count=2, real=real)
