"""The share of the CPU that the tests get beside their labs.

Kernels with autogroups (sched(7)) share the CPU between sessions, whatever runs in each. A lab weighs ten times as much
as a session. So beside three busy labs all that asks them, each `aiconform run` and each test, got a thirtieth of the
machine: probes came too late, labs stayed up, and a run of the tests came to a halt.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

_AUTOGROUP = Path("/proc/self/autogroup")
# A step of nice is a quarter more: about as much as fifteen usual sessions.
_NICE = -12
_before = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ or os.geteuid():
        return
    before = nice_of_session()
    if before is not None:
        config.stash[_before] = before
        _renice(_NICE)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _before in config.stash:
        _renice(config.stash[_before])


def nice_of_session(autogroup: Path = _AUTOGROUP) -> int | None:
    """The nice value that the session has as a whole; None where the kernel does not share by session.

    The kernel tells it as `/autogroup-25 nice 0`. The file is missing without autogroups, and empty for a process that
    is in the session that the machine began with, as it is in some containers.
    """
    try:
        told = re.fullmatch(r"/autogroup-\d+ nice (-?\d+)", autogroup.read_text().strip())
    except OSError:
        return None
    return int(told[1]) if told else None


def _renice(nice: int) -> None:
    try:
        _AUTOGROUP.write_text(str(nice))
    except OSError:
        return  # a container may not be allowed to, and kernels limit how often it is changed
