"""The share of the CPU that the tests get beside their labs.

Kernels with autogroups (sched(7)) share the CPU between sessions, whatever runs in each. A lab weighs ten times as much
as a session. So beside three busy labs all that asks them, each `aiconform run` and each test, got a thirtieth of the
machine: probes came too late, labs stayed up, and a run of the tests came to a halt.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_AUTOGROUP = Path("/proc/self/autogroup")
# A step of nice is a quarter more: about as much as fifteen usual sessions.
_NICE = -12
_before = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ or not _AUTOGROUP.exists() or os.geteuid():
        return
    # As `/autogroup-25 nice 0`.
    config.stash[_before] = int(_AUTOGROUP.read_text().split()[-1])
    _renice(_NICE)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _before in config.stash:
        _renice(config.stash[_before])


def _renice(nice: int) -> None:
    try:
        _AUTOGROUP.write_text(str(nice))
    except OSError:
        return  # a container may not be allowed to, and kernels limit how often it is changed
