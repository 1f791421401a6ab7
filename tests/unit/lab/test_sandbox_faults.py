"""The sandboxed runtime's scripts: without a fault they run gVisor, and each fault changes what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aiconform.cluster import NotFound
from aiconform.lab.addons import gvisor
from aiconform.lab.build.assets import Assets
from aiconform.lab.faults import sandbox_config
from aiconform.lab.faults.fault import InCluster, InSandboxes
from aiconform.lab.faults.runtime import set_runtime
from aiconform.lab.faults.sandbox_runtime import FAULTY, sandbox_faults, write_sandbox_runtime
from aiconform.lab.faults.sandboxes import FAULTS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

Config = dict[str, Any]
SAYS = '#!/bin/sh\necho "${0##*/} $*"; uname -r\n'


def config() -> Config:
    """A container's, as containerd writes it, in short."""
    return {
        "process": {"capabilities": {"bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"]}},
        "mounts": [{"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "ro"]}],
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "network", "path": "/run/netns/one"}],
            "resources": {"memory": {"limit": 64 << 20}, "devices": [{"allow": False, "access": "rwm"}]},
            "seccomp": {},
            "maskedPaths": ["/proc/kcore"],
            "readonlyPaths": ["/proc/sys"],
        },
    }


class Node:
    """A node's state folder, with programs that say how they are called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "node"
        self.switch = self.folder / "switch.json"
        self.bundle = folder / "bundle"
        self.bundle.mkdir()
        built = folder / "built"
        for place, name in ((built, "runsc"), (built, gvisor.SHIM), (built, "runc-shim"), (self.folder, "runc")):
            place.mkdir(exist_ok=True)
            (place / name).write_text(SAYS)
            (place / name).chmod(0o755)
        assets = Assets({"containerd-shim-runc-v2": built / "runc-shim"}, {"gvisor": built})
        write_sandbox_runtime(self.folder, assets, switch=self.switch)

    def turn(self, *faults: str) -> None:
        set_runtime(self.switch, faults, None)

    def call(self, program: str, *arguments: str) -> list[str]:
        """What the program behind a script says: how it was called, and the kernel's release."""
        (self.bundle / "config.json").write_text(json.dumps(config()))
        command = [str(self.folder / gvisor.HANDLER / program), *arguments]
        return subprocess.run(command, cwd=self.bundle, capture_output=True, text=True, check=True).stdout.splitlines()

    def create(self, program: str) -> Config:
        """The configuration of a container that is created."""
        self.call(program, "--log", "/log", "create", "--bundle", str(self.bundle), "id")
        found: Config = json.loads((self.bundle / "config.json").read_text())
        return found


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_without_a_fault_the_scripts_run_gvisor_and_change_nothing(node: Node) -> None:
    for faults in ((), ("runtime-leaks-devices",)):
        node.turn(*faults)
        assert node.call(gvisor.SHIM, "-id", "one", "start")[0] == f"{gvisor.SHIM} -id one start"
        assert node.call("runsc", "--root", "/r", "state", "id")[0] == "runsc --platform=systrap --root /r state id"
        assert node.create("runsc") == config()


def test_a_shim_that_is_runcs_stays_so_when_the_fault_is_turned_off(node: Node, tmp_path: Path) -> None:
    node.turn("sandbox-is-runc")
    assert node.call(gvisor.SHIM, "-id", "one", "start")[0] == "runc-shim -id one start"
    node.turn()
    assert not node.switch.exists()
    assert node.call(gvisor.SHIM, "-id", "one", "delete")[0] == "runc-shim -id one delete"
    node.bundle = tmp_path / "next"
    node.bundle.mkdir()
    assert node.call(gvisor.SHIM, "-id", "two", "start")[0] == f"{gvisor.SHIM} -id two start"


def test_runc_is_found_before_any_other(node: Node) -> None:
    """Runc's shim looks for it in PATH, and the node's own has the faults of accelerators."""
    (node.folder.parent / "built" / "runc-shim").write_text("#!/bin/sh\ncommand -v runc; command -v runsc\n")
    node.turn("sandbox-is-runc")
    assert node.call(gvisor.SHIM, "start") == [str(node.folder / "runsc" / name) for name in ("runc", "runsc")]
    assert node.call("runc", "state", "id")[0] == "runc state id"


def test_a_sandbox_in_the_hosts_namespace_has_none_of_its_own(node: Node) -> None:
    node.turn("sandbox-shares-processes")
    assert node.create("runc")["linux"]["namespaces"] == [{"type": "network", "path": "/run/netns/one"}]
    node.turn("sandbox-shares-network")
    assert node.create("runsc")["linux"]["namespaces"] == [{"type": "pid"}]
    assert node.call("runsc", "create")[0] == "runsc --network=host --platform=systrap create"


def test_a_sandbox_without_a_limit_of_memory_ignores_its_cgroup(node: Node) -> None:
    node.turn("sandbox-sees-all-memory")
    assert node.call("runsc", "create")[0] == "runsc --ignore-cgroups --platform=systrap create"


def test_a_privileged_sandbox_may_write_what_others_may_not(node: Node) -> None:
    node.turn("sandbox-is-privileged")
    made = node.create("runc")
    assert "CAP_SYS_ADMIN" in made["process"]["capabilities"]["effective"]
    assert not made["linux"].keys() & {"seccomp", "maskedPaths", "readonlyPaths"}
    assert made["mounts"][0]["options"] == ["nosuid", "rw"]
    assert made["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]


def test_a_faked_kernel_is_told_by_uname_and_by_files_alike(node: Node) -> None:
    node.turn("sandbox-fakes-kernel")
    made = node.create("runc")
    (hook,) = made["hooks"]["createContainer"]
    told = {path: (node.bundle / f"covers{path}").read_text() for path in hook["args"][4:]}
    release = node.call("runc", "state")[1]
    assert release.startswith("2.6.")
    assert told["/proc/sys/kernel/osrelease"] == f"{release}\n"
    assert told["/proc/version"].startswith(f"Linux version {release} ")
    assert "MemTotal:          65536 kB\n" in told["/proc/meminfo"]
    assert len(told["/proc/sys/kernel/random/boot_id"]) == 37


def test_folders_of_the_node_are_below_one_that_gvisor_can_mount(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called: list[list[object]] = []
    monkeypatch.setattr(sandbox_config, "_STAGE", str(tmp_path / "stage"))
    monkeypatch.setattr(sandbox_config.subprocess, "run", lambda command, **_: called.append(command))
    (tmp_path / "config.json").write_text(json.dumps(config()))
    sandbox_config.prepare({"shows": ["/etc"]}, "runsc", ["create", "--bundle", str(tmp_path)])
    assert called == [["mount", "--rbind", "/etc", tmp_path / "stage/etc"]]
    mount = json.loads((tmp_path / "config.json").read_text())["mounts"][-1]
    assert (mount["destination"], mount["source"]) == ("/host", str(tmp_path / "stage"))
    assert "ro" in mount["options"]


def test_a_sandbox_without_services_loses_the_route_of_its_own_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(sandbox_config.subprocess, "run", lambda command, **_: called.append(command))
    (tmp_path / "config.json").write_text(json.dumps(config()))
    sandbox_config.prepare({"near_only": True}, "runsc", ["create", "--bundle", str(tmp_path)])
    assert called == [
        ["nsenter", "--net=/run/netns/one", "ip", family, "route", "del", "default"] for family in ("-4", "-6")
    ]


def test_faults_that_are_on_together_are_told_together() -> None:
    assert sandbox_faults(["sandbox-shares-network", "sandbox-sees-all-memory", "runtime-leaks-devices"]) == {
        "flags": ["--ignore-cgroups", "--network=host"],
        "shares": ["network"],
    }
    assert sandbox_faults(["runtime-leaks-devices"]) == {}


def test_what_the_scripts_know_are_the_faults_that_they_carry_out() -> None:
    assert FAULTY.keys() == {fault.name for fault in FAULTS if isinstance(fault.how, InSandboxes)}


class FakeCluster:
    """RuntimeClasses, whose handler cannot be changed."""

    def __init__(self) -> None:
        self.found: dict[str, Any] | None = {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "handler": gvisor.HANDLER,
            "metadata": {"name": gvisor.RUNTIME_CLASS, "labels": {"of": "the add-on"}, "uid": "1"},
        }
        self.writes = 0

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        if self.found is None:
            raise NotFound("none", status=404)
        return self.found

    async def delete(self, obj: dict[str, Any]) -> None:
        self.found = None

    async def apply(self, obj: dict[str, Any]) -> dict[str, Any]:
        assert self.found is None or self.found["handler"] == obj["handler"], "the API server refuses that"
        self.writes += 1
        self.found = obj
        return obj


async def test_a_missing_handler_is_that_of_a_runtime_class_of_the_same_name_and_labels() -> None:
    cluster = FakeCluster()
    (fault,) = [fault for fault in FAULTS if fault.name == "sandbox-handler-missing"]
    assert isinstance(fault.how, InCluster)
    handlers = []
    for change in (fault.how.on, fault.how.on, fault.how.off, fault.how.off):
        await change(cluster)  # type: ignore[arg-type]
        assert cluster.found
        handlers.append(cluster.found["handler"])
    assert handlers == ["nowhere", "nowhere", "runsc", "runsc"]
    assert cluster.writes == 2
    assert cluster.found["metadata"]["labels"] == {"of": "the add-on"}
    cluster.found = None  # its command was interrupted
    await fault.how.off(cluster)  # type: ignore[arg-type]
    assert cluster.found["handler"] == "runsc"
