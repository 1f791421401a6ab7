"""The lab's cgroups, in every hierarchy of version 1 and in that of version 2."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aiconform.lab.config import LabError

ROOT = Path("/sys/fs/cgroup")
# What the kubelet needs in version 2; hugetlb only if the kernel has it.
_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
_EMPTY_SECONDS = 10
_CLONE_NEWCGROUP = 0x02000000  # os.unshare came with Python 3.12
# What a mount of version 1 says of itself and not of its hierarchy.
_OF_MOUNTS = ("rw", "ro", "xattr", "release_agent", "clone_children", "noprefix", "cpuset_v2_mode", "favordynmods")
# How much more than one process, or than another cgroup, these get where CPU is short. As many processes of a lab, and
# of its control plane, want to run at once. A node weighs less, but its Pods are also webhooks and controllers that the
# control plane waits for: with less for them, or with more for what else is on a node, all fall behind.
LAB_WEIGHT = CONTROL_PLANE_WEIGHT = 10
NODE_WEIGHT = 3
_NODE_SYSTEM_WEIGHT = 2
SYSTEM = "system"
"""The cgroup of processes that belong to no Pod: in a lab's of its control plane, in a node's of the node."""


@dataclass(frozen=True)
class Hierarchy:
    """A mounted cgroup file system."""

    mount: Path
    version: int
    controllers: str = ""
    """What of version 1 is in it, as an option of mount; with `name=` for one without controllers."""


def hierarchies() -> tuple[Hierarchy, ...]:
    """Every cgroup file system that is mounted here."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, *_, options = after.split()
        if kind in ("cgroup", "cgroup2"):
            said = [each for each in options.split(",") if each.partition("=")[0] not in _OF_MOUNTS]
            place = Path(before.split()[4])
            found.append(Hierarchy(place, 2) if kind == "cgroup2" else Hierarchy(place, 1, ",".join(said)))
    return tuple(found)


def unified() -> bool:
    """Whether this machine's controllers are in version 2's hierarchy."""
    return (ROOT / "cgroup.controllers").exists()


def below_root(path: str) -> Path:
    """The cgroup's folder relative to ROOT; of version 1 that of the memory controller, in which all processes are."""
    return Path(path) if unified() else Path("memory", path)


def create(path: str, *, controlled: bool = True) -> None:
    """Make a cgroup in every hierarchy; in that of version 2 with all controllers, unless it is not `controlled`.

    Raises LabError if version 2's controllers cannot be enabled for it.
    """
    for hierarchy in hierarchies():
        parent = hierarchy.mount
        for part in Path(path).parts:
            if hierarchy.version == 2 and controlled:
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
    """Give a cgroup this many times the CPU of a single process, or of another cgroup, where CPU is short."""
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
    """Move this process to the cgroup, which is made if missing, in every hierarchy. Raises LabError."""
    create(path)
    _move(path)


def _move(path: str) -> None:
    for hierarchy in hierarchies():
        (hierarchy.mount / path / "cgroup.procs").write_text(str(os.getpid()))


def become_root(path: str) -> None:
    """Make a cgroup the root of all that this process and its children see, and move this process below it.

    The mount namespace must be this process's own. Each hierarchy is mounted anew at its place. Who looks at all
    cgroups, as a kubelet does, sees those of one machine and not of all that the host has. Raises OSError,
    CalledProcessError.
    """
    enter(path)
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWCGROUP):
        raise OSError(ctypes.get_errno(), "cannot make a cgroup namespace")
    found, links = hierarchies(), {each.name: each.readlink() for each in ROOT.iterdir() if each.is_symlink()}
    subprocess.run(["umount", "--lazy", "--recursive", str(ROOT)], check=True)
    if any(each.mount != ROOT for each in found):
        _mount("tmpfs", "mode=755", ROOT)
    for hierarchy in found:
        hierarchy.mount.mkdir(exist_ok=True)
        if hierarchy.version == 2:
            _mount("cgroup2", "rw", hierarchy.mount)
        else:
            named = "none," if hierarchy.controllers.startswith("name=") else ""
            _mount("cgroup", named + hierarchy.controllers, hierarchy.mount)
    for name, target in links.items():
        (ROOT / name).symlink_to(target)
    # Version 2 hands controllers down only from a cgroup without processes.
    create(SYSTEM, controlled=False)
    _move(SYSTEM)
    create(SYSTEM)
    # Else a node would not get its Pods started beside those that are busy.
    weigh(SYSTEM, _NODE_SYSTEM_WEIGHT)


def _mount(kind: str, options: str, place: Path) -> None:
    subprocess.run(["mount", "-t", kind, "-o", options, kind, str(place)], check=True)


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
