"""A node's containerd: its default runtime, and runtime handlers that add-ons bring."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiconform.lab.addons.model import AddOn, RuntimeHandler
from aiconform.lab.addons.registry import ADD_ONS
from aiconform.lab.build.assets import Assets
from aiconform.lab.build.components import Component
from aiconform.lab.config import LabConfig, LabError, Network, Paths
from aiconform.lab.faults.state import AUTOSCALED, record
from aiconform.lab.kubernetes import containerd, controlplane, installation, nodes
from aiconform.lab.planning import make

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

ASSETS = Assets({"ptp": Path("/bin/ptp")}, {"sandboxes": Path("/built/sandboxes")})
SANDBOXES = Component("sandboxes", "1.0.0", "", (), ("shim",))
RUNC = "io.containerd.runc.v2"


def runtimes(text: str) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(text)["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]
    assert found["default_runtime_name"] == "runc"
    return found["runtimes"]  # type: ignore[no-any-return]


def test_without_add_ons_the_only_runtime_is_runc_by_the_wrapper_of_faults(tmp_path: Path) -> None:
    options = {"BinaryName": str(tmp_path / "runc"), "SystemdCgroup": False}
    assert runtimes(containerd.configuration(tmp_path, ASSETS)) == {"runc": {"runtime_type": RUNC, "options": options}}


def test_two_handlers_of_one_name_are_refused(tmp_path: Path) -> None:
    for handlers in ([RuntimeHandler("runc")], [RuntimeHandler("twice"), RuntimeHandler("twice")]):
        with pytest.raises(LabError, match=f"two runtime handlers have the name {handlers[0].name}"):
            containerd.configuration(tmp_path, ASSETS, handlers)


def test_an_add_on_configures_the_runtime_of_every_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_on = AddOn(
        "sandboxes",
        "Pods in sandboxes.",
        runtime_handlers=lambda assets, folder: (
            RuntimeHandler("sandboxed", "com.example.sandbox.v1", shim=assets.of(SANDBOXES, "shim")),
            RuntimeHandler("own-runc", options={"BinaryName": "/usr/bin/crun", "NoPivotRoot": True}),
        ),
    )
    monkeypatch.setitem(ADD_ONS, add_on.name, add_on)
    monkeypatch.setattr(nodes.host, "command", lambda name: f"/usr/bin/{name}")
    paths, network = Paths("lab", tmp_path), Network(0)
    plan = make(LabConfig(add_ons=("sandboxes",)), None, tmp_path)
    # What whoever adds a node later reads has to be enough as well.
    installation.Installation(ASSETS, ()).save(paths)
    assets = installation.read(paths).assets
    authority = controlplane.certificates(paths, network)
    for node in plan.nodes:
        nodes.furnish(plan, node, paths, network, assets, authority)
        found = runtimes((paths.machine(node.name) / "containerd.toml").read_text())
        assert set(found) == {"runc", "sandboxed", "own-runc"}
        assert found["sandboxed"] == {
            "runtime_type": "com.example.sandbox.v1",
            "runtime_path": "/built/sandboxes/shim",
        }
        assert found["own-runc"] == {
            "runtime_type": RUNC,
            "options": {"BinaryName": "/usr/bin/crun", "NoPivotRoot": True},
        }
    before = nodes._of(paths.machine("node-1") / "containerd.toml")
    nodes.furnish(replace(plan, add_ons=()), plan.nodes[0], paths, network, assets, authority)
    after = nodes._of(paths.machine("node-1") / "containerd.toml")
    assert before != after, "containerd would not be restarted"


def test_a_node_that_is_ordered_while_faults_are_on_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes.host, "command", lambda name: f"/usr/bin/{name}")
    paths, network = Paths("lab", tmp_path), Network(0)
    plan = make(LabConfig(), None, tmp_path)
    authority = controlplane.certificates(paths, network)
    own, ordered = plan.nodes[0], replace(plan.nodes[1], autoscaled=True)

    def leaks(on: bool) -> list[bool]:
        record(paths.state, {"runtime-leaks-devices": [AUTOSCALED]}, on, [own.name])
        for node in (own, ordered):
            nodes.furnish(plan, node, paths, network, ASSETS, authority)
        return [nodes.runtime_switch(paths, node.name).exists() for node in (own, ordered)]

    assert leaks(True) == [False, True]
    assert leaks(False) == [False, False]
