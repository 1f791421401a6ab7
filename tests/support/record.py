"""A pytest plugin that records where the time of a test run goes, for benchmarks/test_run.py.

It is on if AICONFORM_TEST_RECORD names a folder. Each process appends to files of its own there: each test's phases and
each command that a test ran (from the workers), and the CPU time of the machine's processes (from the controller).
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "AICONFORM_TEST_RECORD"
_SAMPLE_SECONDS = 2.0
_TICKS = os.sysconf("SC_CLK_TCK")


def write(kind: str, **entry: Any) -> None:
    """Append an entry to this process's file of that kind; nothing without a folder."""
    if folder := os.environ.get(VARIABLE):
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        with (Path(folder) / f"{kind}-{worker}.jsonl").open("a") as file:
            file.write(json.dumps({"at": time.time(), "worker": worker, **entry}) + "\n")


@contextmanager
def timed(kind: str, **entry: Any) -> Iterator[None]:
    """Record how long the body takes."""
    begun = time.monotonic()
    try:
        yield
    finally:
        write(kind, seconds=time.monotonic() - begun, **entry)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if not os.environ.get("PYTEST_XDIST_WORKER"):
        write("tests", test=report.nodeid, phase=report.when, outcome=report.outcome, seconds=report.duration)


class Sampler(threading.Thread):
    """Adds up the CPU time of processes by what they are, until it is stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._ended = threading.Event()
        self._seconds: Counter[str] = Counter()
        self._system: Counter[str] = Counter()

    def run(self) -> None:
        before = _processes()
        machine = _machine()
        while not self._ended.wait(_SAMPLE_SECONDS):
            now = _processes()
            for key, (name, seconds, system) in now.items():
                _, seconds_before, system_before = before.get(key, (name, 0.0, 0.0))
                self._seconds[name] += seconds - seconds_before
                self._system[name] += system - system_before
            before = now
            current = _machine()
            total = {k: current[k] - machine[k] for k in current}
            write("machine", cpu=dict(self._seconds), system=dict(self._system), total=total)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _machine() -> dict[str, float]:
    user, nice, system, idle, iowait, irq, softirq, steal, *_ = (
        int(word) / _TICKS for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    return {"user": user + nice, "system": system + irq + softirq, "idle": idle, "iowait": iowait, "steal": steal}


def _processes() -> dict[tuple[int, str], tuple[str, float, float]]:
    """(pid, start) -> (what it is, CPU seconds, those of them in the kernel) of every process."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "stat").read_text().rpartition(")")[2].split()
                arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            user, system = int(words[11]) / _TICKS, int(words[12]) / _TICKS
            found[int(folder.name), words[19]] = (_name(arguments, folder), user + system, system)
    return found


def _name(arguments: list[str], folder: Path) -> str:
    # Chromium's processes write all their flags into the first one.
    name = Path(arguments[0].partition(" ")[0]).name
    if not name:
        return "kernel"
    if not name.startswith("python"):
        return name
    if "-m" not in arguments:
        return "python: tests" if any("pytest" in word or "execnet" in word for word in arguments) else "python"
    module = arguments.index("-m") + 1
    words = arguments[module : module + 3]
    if words[0] == "aiconform":
        return f"aiconform {' '.join(words[1:3] if words[1:2] == ['lab'] else words[1:2])}".rstrip()
    return words[0]


_sampler: Sampler | None = None


def pytest_configure(config: pytest.Config) -> None:
    global _sampler
    if os.environ.get(VARIABLE) and not os.environ.get("PYTEST_XDIST_WORKER"):
        _sampler = Sampler()
        _sampler.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _sampler:
        _sampler.stop()
