"""How slow this machine is now, so that limits inside the lab are multiples of what it can do."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

from aiconform.lab.config import Paths
from aiconform.lab.machines.files import write_json

# CPU seconds that `_work` takes on a core of the machine on which the limits were set.
_REFERENCE_SECONDS = 0.00025
_WORK_SECONDS = 0.1
_LONGEST_SECONDS = 2.0
_CONTENT = bytes(64 * 1024)
# More would make a lab that hangs look like one that is slow.
_MOST = 10.0


def measure(paths: Paths) -> float:
    """How many times as long work takes here, now, as on a quiet machine; at least 1. Kept in the lab's state."""
    slowness = round(min(max(_measured(), 1.0), _MOST), 1)
    write_json(_file(paths), {"slowness": slowness})
    return slowness


def slowness(paths: Paths) -> float:
    """What was measured at the last `lab up`; 1 without one."""
    try:
        return float(json.loads(_file(paths).read_bytes())["slowness"])
    except (OSError, ValueError, KeyError, TypeError):
        return 1.0


def limit(paths: Paths, seconds: float) -> float:
    """A limit that is `seconds` on a quiet machine."""
    return seconds * slowness(paths)


def _measured() -> float:
    began, begun_work, rounds = time.perf_counter(), time.process_time(), 0
    while True:
        _work()
        rounds += 1
        took = time.perf_counter() - began
        if time.process_time() - begun_work > _WORK_SECONDS or took > _LONGEST_SECONDS:
            return took / rounds / _REFERENCE_SECONDS


def _work() -> None:
    for _ in range(4):
        hashlib.sha256(_CONTENT).digest()


def _file(paths: Paths) -> Path:
    return paths.state / "pace.json"
