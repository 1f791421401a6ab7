"""The process that keeps a lab's machines alive, as commands see it: started, and found again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from aiconform.lab.config import LabError, Paths
from aiconform.lab.machines import host
from aiconform.lab.machines.process_identity import ProcessIdentity, boot

_START_SECONDS = 15.0
_LOOK_SECONDS = 0.02


def start_supervisor(paths: Paths) -> None:
    """Start the lab's supervisor, which outlives this process; returns when it runs. Raises LabError."""
    log_file = paths.state / "supervisor.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "aiconform.lab.machines.supervisor", str(paths.state)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=host.environment(),
            cwd="/",
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise LabError(f"the lab's supervisor exited immediately: {_last_line(log_file)}")
        supervisor = recorded_supervisor(paths)
        if supervisor is not None and supervisor.pid == process.pid and supervisor.alive:
            # It outlives this process: nothing may wait for it.
            process.returncode = 0
            return
        time.sleep(_LOOK_SECONDS)
    raise LabError(f"the lab's supervisor did not start in {_START_SECONDS:.0f} s; see {log_file}")


def recorded_supervisor(paths: Paths) -> ProcessIdentity | None:
    """Who the lab's supervisor was when it started; it may have ended since."""
    try:
        record = json.loads(paths.supervisor_record.read_text())
        # The start time counts from the machine's own.
        return ProcessIdentity(record["pid"], record["start"]) if record["boot"] == boot() else None
    except (OSError, ValueError, KeyError):
        return None


def _last_line(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip().splitlines()[-1]
    except (OSError, IndexError):
        return "its log is empty"
