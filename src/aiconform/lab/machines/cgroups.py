"""The lab's cgroups, in every hierarchy of version 1 and in that of version 2."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aiconform.lab.config import LabError

ROOT = Path("/sys/fs/cgroup")
# What the kubelet needs in version 2; hugetlb only if the kernel has it.
_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
_EMPTY_SECONDS = 10


@dataclass(frozen=True)
class Hierarchy:
    """A mounted cgroup file system."""

    mount: Path
    version: int


def hierarchies() -> tuple[Hierarchy, ...]:
    """Every cgroup file system that is mounted here."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind = after.split()[0]
        if kind in ("cgroup", "cgroup2"):
            found.append(Hierarchy(Path(before.split()[4]), 2 if kind == "cgroup2" else 1))
    return tuple(found)


def unified() -> bool:
    """Whether this machine's controllers are in version 2's hierarchy."""
    return (ROOT / "cgroup.controllers").exists()


def below_root(path: str) -> Path:
    """The cgroup's folder relative to ROOT; of version 1 that of the memory controller, in which all processes are."""
    return Path(path) if unified() else Path("memory", path)


def create(path: str) -> None:
    """Make a cgroup in every hierarchy, with all controllers.

    Raises LabError if version 2's controllers cannot be enabled for it.
    """
    for hierarchy in hierarchies():
        parent = hierarchy.mount
        for part in Path(path).parts:
            if hierarchy.version == 2:
                _hand_down(parent)
            child = parent / part
            child.mkdir(exist_ok=True)
            # A new cpuset has no CPUs and no memory, and accepts no process until it has.
            for name in ("cpuset.cpus", "cpuset.mems"):
                file = child / name
                if hierarchy.version == 1 and file.exists() and not file.read_text().strip():
                    file.write_text((parent / name).read_text())
            parent = child


def weigh(path: str, factor: int) -> None:
    """Give a cgroup this many times the CPU of a single process where CPU is short."""
    for hierarchy in hierarchies():
        for name, usual in (("cpu.shares", 1024), ("cpu.weight", 100)):
            file = hierarchy.mount / path / name
            if file.exists():
                file.write_text(str(usual * factor))


def _hand_down(parent: Path) -> None:
    available = set((parent / "cgroup.controllers").read_text().split()) & set(_CONTROLLERS)
    control = parent / "cgroup.subtree_control"
    missing = available - set(control.read_text().split())
    if not missing:
        return
    try:
        control.write_text(" ".join(f"+{controller}" for controller in sorted(missing)))
    except OSError as error:
        raise LabError(
            f"cannot enable the cgroup controllers {', '.join(sorted(missing))} in {parent}: {error.strerror}. In a "
            "container the lab needs the host's cgroup namespace (docker run --privileged --cgroupns=host)"
        ) from error


def enter(path: str) -> None:
    """Move this process to the cgroup in every hierarchy."""
    create(path)
    for hierarchy in hierarchies():
        (hierarchy.mount / path / "cgroup.procs").write_text(str(os.getpid()))


def remove(path: str) -> None:
    """Remove a cgroup and all cgroups below it when their processes are gone.

    Raises LabError if a process stays in one of them.
    """
    deadline = time.monotonic() + _EMPTY_SECONDS
    for hierarchy in hierarchies():
        for folder in _deepest_first(hierarchy.mount / path):
            while True:
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    pass
                except OSError as error:
                    if time.monotonic() > deadline:
                        raise LabError(f"cannot remove the cgroup {folder}: {error.strerror}") from error
                    time.sleep(0.02)
                    continue
                break


def processes(path: str) -> frozenset[int]:
    """Pids of all processes in the cgroup and below it."""
    pids: set[int] = set()
    for hierarchy in hierarchies():
        for folder in _deepest_first(hierarchy.mount / path):
            try:
                pids.update(int(pid) for pid in (folder / "cgroup.procs").read_text().split())
            except OSError:
                continue
    return frozenset(pids)


def _deepest_first(folder: Path) -> Iterator[Path]:
    for parent, _, _ in os.walk(folder, topdown=False):
        yield Path(parent)
