"""Deleting a lab, whatever state it is in."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from aiconform.lab import plan
from aiconform.lab.config import ROOT, LabError, Paths
from aiconform.lab.machines import cgroups, control, host, network
from aiconform.lab.machines.host import Progress, quiet
from aiconform.lab.machines.process_identity import ProcessIdentity
from aiconform.lab.machines.supervisor_process import recorded_supervisor

_SUPERVISOR_SECONDS = 10.0
_KERNEL_SECONDS = 3.0
_KILL_SECONDS = 30.0
_LOOK_SECONDS = 0.02


def end_lab(name: str = "lab", progress: Progress = quiet, root: Path = ROOT) -> bool:
    """Delete the lab of this name; False if there was none.

    None of its processes, mounts, namespaces, network devices, cgroups, device nodes or files is left. Raises LabError
    naming what could not be removed.
    """
    host.require()
    paths = Paths(name, root)
    if not paths.state.is_dir():
        return False
    with host.locked(paths.state):
        progress(f"deleting lab {name}")
        try:
            found = plan.read(paths)
        except LabError:
            found = None  # the rest is deleted all the same
        _end_processes(paths)
        cgroups.remove(paths.cgroup)
        if found is not None:
            network.disconnect(found.network)
        with host.locked(root):
            shutil.rmtree(paths.state)
            host.forget_last(root)
    return True


def _end_processes(paths: Paths) -> None:
    """End the supervisor, which ends the machines, and every other process in the lab's cgroups."""
    supervisor = recorded_supervisor(paths)
    if supervisor is not None and supervisor.alive:
        # If it refuses or does not answer, it is killed, and the kernel ends the machines with it.
        with contextlib.suppress(OSError, LabError):
            control.ask(paths.supervisor_socket, do="stop")
        _await(lambda: not supervisor.alive, _SUPERVISOR_SECONDS)
        supervisor.kill()
    ended = _await(lambda: not cgroups.processes(paths.cgroup), _KERNEL_SECONDS)
    deadline = time.monotonic() + _KILL_SECONDS
    while not ended:
        pids = cgroups.processes(paths.cgroup) - {os.getpid()}
        left = [process for pid in pids if (process := ProcessIdentity.of(pid))]
        for process in left:
            process.kill()
        ended = _await(lambda: not cgroups.processes(paths.cgroup), 0.5)
        if not ended and time.monotonic() > deadline:
            raise LabError(
                f"processes of lab {paths.name} do not exit: {', '.join(str(process.pid) for process in left)}"
            )


def _await(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True
