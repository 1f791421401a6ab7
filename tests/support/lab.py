"""A lab for the tests, used as a user does: by the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiconform.lab.faults.registry import find

# Two checkouts can be tested on one machine, each with labs of its own; and so can two workers of one test run.
LAB = "-".join(filter(None, (os.environ.get("AICONFORM_TEST_LAB", "test"), os.environ.get("PYTEST_XDIST_WORKER"))))
# From the locked packages: the machine may have an old kubectl or none.
KUBECTL = Path(sys.executable).with_name("kubectl")


def aiconform(*arguments: str | Path, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command as a user calls it."""
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig or "/nonexistent")}
    return subprocess.run(
        [sys.executable, "-m", "aiconform", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        # The slowest is a first build of the lab's binaries while another worker tests or builds.
        timeout=3600,
    )


def succeed(*arguments: str | Path, **options: Any) -> str:
    done = aiconform(*arguments, **options)
    assert done.returncode == 0, f"aiconform {' '.join(map(str, arguments))}: {done.stderr[-3000:]}"
    return done.stdout


@dataclass(frozen=True)
class Outcome:
    """The result of a run."""

    code: int
    report: dict[str, Any]
    folder: Path
    stderr: str

    def check(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(entry for entry in self.report["checks"] if entry["id"] == name)
        return found

    def broken(self, name: str) -> set[str]:
        """Ids of the assertions that did not hold."""
        return {entry["id"] for entry in self.check(name)["assertions"] if entry["holds"] is False}


class Lab:
    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.kubeconfig = Path(succeed("lab", "kubeconfig", "--name", name).strip())
        self._folder = folder
        self._runs = 0

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [KUBECTL, "--kubeconfig", self.kubeconfig, *arguments], capture_output=True, text=True, check=check
        )
        return done.stdout

    def run(self, *arguments: str, kubeconfig: Path | None = None) -> Outcome:
        self._runs += 1
        folder = self._folder / f"run-{self._runs}"
        # Faults of what goes beyond the programme's words show in the exit code, too.
        done = aiconform(
            "run", "--strict", *arguments, "-o", "json", "--out", folder, kubeconfig=kubeconfig or self.kubeconfig
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Outcome(done.returncode, json.loads(done.stdout or "{}"), folder, done.stderr)

    def install(self, *add_ons: str) -> None:
        """Install add-ons, beside those that are installed."""
        succeed("lab", "up", "--name", self.name, "--with", ",".join(add_ons))

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        succeed("lab", "fault", name, "--name", self.name)
        try:
            yield
        finally:
            succeed("lab", "fault", name, "--off", "--name", self.name)


def assert_broken(done: Outcome, name: str, *checks: str) -> None:
    """A run with this fault on shows what the fault breaks in each of these checks, and nothing else."""
    fault = find(name)
    assert done.code == 1, done.stderr
    assert done.report["strict"] == "not-conformant"
    for check in checks:
        broken = done.broken(check)
        may_break = {each.rpartition("/")[2] for each in fault.may_break if each.startswith(f"{check}/")}
        assert broken - may_break == fault.broken(check), done.check(check)["reason"]
        verdict = done.check(check)["strict"]
        assert verdict == "fail" if broken else verdict in ("pass", "error")
        for entry in done.check(check)["assertions"]:
            assert entry["reason"]
    succeed("judge", done.folder)


QUICK = ("--patience", "15")
"""For faults of accelerators: a Pod that cannot start need not be waited for long."""


def assert_breaks_exactly(lab: Lab, name: str, *checks: str) -> None:
    """Run these checks with the fault on: see `assert_broken`."""
    with lab.fault(name):
        done = lab.run(*checks, *QUICK)
    assert_broken(done, name, *checks)
