"""The lab's cgroups, on stand-ins for both versions' file systems."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aiconform.lab.config import LabError
from aiconform.lab.machines import cgroups

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with one hierarchy of version 1 and that of version 2."""
    (tmp_path / "cpuset").mkdir()
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "unified").mkdir()
    (tmp_path / "unified" / "cgroup.controllers").write_text("cpuset cpu io memory pids rdma misc\n")
    (tmp_path / "unified" / "cgroup.subtree_control").write_text("memory pids\n")
    found = (cgroups.Hierarchy(tmp_path / "cpuset", 1), cgroups.Hierarchy(tmp_path / "unified", 2))
    monkeypatch.setattr(cgroups, "hierarchies", lambda: found)
    return tmp_path


def test_a_cgroup_is_made_in_every_hierarchy_with_the_controllers_a_kubelet_needs(machine: Path) -> None:
    cgroups.create("lab")
    assert (machine / "cpuset" / "lab").is_dir()
    assert (machine / "unified" / "lab").is_dir()
    # Only what was missing and what the kubelet asks for.
    assert (machine / "unified" / "cgroup.subtree_control").read_text() == "+cpu +cpuset +io"


def test_a_new_cpuset_gets_its_parents_processors(machine: Path) -> None:
    (machine / "cpuset" / "lab").mkdir()
    (machine / "cpuset" / "lab" / "cpuset.cpus").write_text("\n")
    cgroups.create("lab")
    assert (machine / "cpuset" / "lab" / "cpuset.cpus").read_text() == "0-1\n"


def test_where_controllers_cannot_be_handed_down_the_way_out_is_said(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(self: Path, _: str) -> int:
        raise OSError(16, "Device or resource busy", str(self))

    monkeypatch.setattr(Path, "write_text", busy)
    with pytest.raises(LabError, match=r"cpu, cpuset, io.*busy.*--cgroupns=host"):
        cgroups.create("lab")


def test_cgroups_are_removed_from_the_deepest_and_none_is_no_error(machine: Path) -> None:
    for hierarchy in ("cpuset", "unified"):
        (machine / hierarchy / "lab" / "node-1" / "kubepods" / "pod1").mkdir(parents=True)
    cgroups.remove("lab")
    assert not (machine / "cpuset" / "lab").exists()
    assert not (machine / "unified" / "lab").exists()
    cgroups.remove("lab")


def test_a_cgroup_that_stays_busy_is_named(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_EMPTY_SECONDS", 0)
    (machine / "cpuset" / "lab" / "node-1").mkdir(parents=True)
    (machine / "cpuset" / "lab" / "node-1" / "busy").touch()
    with pytest.raises(LabError, match="cpuset/lab/node-1"):
        cgroups.remove("lab")


def test_processes_below_a_cgroup_are_found_once(machine: Path) -> None:
    for hierarchy, pids in (("cpuset", "12\n13\n"), ("unified", "13\n")):
        (machine / hierarchy / "lab" / "system").mkdir(parents=True)
        (machine / hierarchy / "lab" / "system" / "cgroup.procs").write_text(pids)
    assert cgroups.processes("lab") == {12, 13}
    assert cgroups.processes("other") == frozenset()


def test_a_lab_weighs_more_than_one_process(machine: Path) -> None:
    cgroups.create("lab")
    (machine / "cpuset" / "lab" / "cpu.shares").write_text("1024")
    (machine / "unified" / "lab" / "cpu.weight").write_text("100")
    cgroups.weigh("lab", 10)
    assert (machine / "cpuset" / "lab" / "cpu.shares").read_text() == "10240"
    assert (machine / "unified" / "lab" / "cpu.weight").read_text() == "1000"


def test_a_hierarchy_is_mounted_again_by_what_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = """31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw,nosuid - cgroup  rw,xattr,release_agent=/lib/agent,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
"""
    monkeypatch.setattr(Path, "read_text", lambda _: lines)
    folder = Path("/sys/fs/cgroup")
    assert cgroups.hierarchies() == (
        cgroups.Hierarchy(folder / "cpu,cpuacct", 1, "cpu,cpuacct"),
        cgroups.Hierarchy(folder / "systemd", 1, "name=systemd"),
        cgroups.Hierarchy(folder / "unified", 2),
    )
