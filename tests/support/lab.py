"""A lab for the tests, used as a user does: by the command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aiconform.lab.faults.fault import Fault
from aiconform.lab.machines import pace
from support.record import timed

# Two checkouts can be tested on one machine, each with labs of its own.
LAB = os.environ.get("AICONFORM_TEST_LAB", "test")
CHECKS_LAB = f"{LAB}-checks"
KEPT_LAB = f"{LAB}-kept"
"""For the tests of one check; it stays up."""


def keeps_lab(config: pytest.Config) -> bool:
    """Whether labs of the checks stay up, for the next call."""
    return bool(config.getoption("check") or config.getoption("keep_lab"))


# From the locked packages: the machine may have an old kubectl or none.
KUBECTL = Path(sys.executable).with_name("kubectl")
_NODE_AND_NAME = "NODE:.spec.nodeName,NAME:.metadata.name"


def aiconform(*arguments: str | Path, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command as a user calls it."""
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig or "/nonexistent")}
    with timed("commands", command=[str(word) for word in arguments]):
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


# Options that are no limits but how long a check looks on, or a period of the platform.
FIXED = ("observe_seconds", "interval_seconds", "window_seconds", "load_seconds", "requests")


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

    def passes(self, name: str) -> bool:
        """Whether the check passes by all its assertions, each of which looked at something."""
        found = self.check(name)
        assert found["strict"] == "pass", found["reason"]
        return all(entry["holds"] and entry["subjects"] for entry in found["assertions"])

    def broken(self, name: str, node: str = "", pods: Sequence[str] = ()) -> set[str]:
        """Ids of the assertions that did not hold, on one node (with these Pods of the platform) or at all."""
        return self._ids(False, name, node, pods)

    def undecided(self, name: str, node: str = "") -> set[str]:
        """Ids of the assertions that could not be decided, on one node or at all."""
        return self._ids(None, name, node)

    def _ids(self, held: bool | None, name: str, node: str, pods: Sequence[str] = ()) -> set[str]:
        entries = self.check(name)["assertions"]
        return {entry["id"] for entry in entries if (_at(node, pods, entry) if node else entry["holds"]) is held}

    def targets(self, name: str) -> Counter[str]:
        """How many targets the check looked at, by the way in which they give accelerators."""
        records = json.loads((self.folder / f"observations/{name}.json").read_text())["records"]
        ways = {(entry["node"], entry["name"]): entry["way"] for entry in self.report["accelerators"]}
        looked = {record["target"] for record in records}
        return Counter(way for (node, kind), way in ways.items() if any(_is(node, kind, target) for target in looked))


def _is(node: str, kind: str, target: str) -> bool:
    return target.startswith(f"{node}, {kind} ")


def at_node(entry: Mapping[str, Any], node: str) -> list[bool | None]:
    """Whether an assertion holds at each target of a node."""
    return [holds for target, holds in entry["targets"].items() if target.startswith(f"{node}, ")]


def _at(node: str, pods: Sequence[str], entry: Mapping[str, Any]) -> bool | None:
    """Whether the assertion holds at this node.

    If it looked at the whole cluster, its reason names the nodes that break it or are undecided, or their Pods.
    """
    found = at_node(entry, node)
    if not (held := entry["targets"].get("cluster", True)):
        named = any(re.search(rf"\b{name}\b", entry["reason"]) for name in (node, *pods))
        found.append(held if named else True)
    return False if False in found else None if None in found else True


class Lab:
    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.kubeconfig = Path(succeed("lab", "kubeconfig", "--name", name).strip())
        self._folder = folder
        self._runs = 0

    @property
    def nodes(self) -> list[str]:
        """Names of its own nodes."""
        return [name for name, node in self._status()["nodes"].items() if not node["autoscaled"]]

    @property
    def slowness(self) -> float:
        """How many times as long work takes on this machine now as on a quiet one.

        It is measured here: on a busy machine the command takes seconds to say it.
        """
        return pace.slowness()

    def _status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(succeed("lab", "status", "--name", self.name, "-o", "json"))
        return found

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [KUBECTL, "--kubeconfig", self.kubeconfig, *arguments], capture_output=True, text=True, check=check
        )
        return done.stdout

    def pods_by_node(self, *where: str) -> dict[str, list[str]]:
        """Node -> the names of the Pods that are there; `where` are words of kubectl for the Namespaces."""
        shown = self.kubectl("get", "pods", *where, "--no-headers", "-o", f"custom-columns={_NODE_AND_NAME}")
        found: dict[str, list[str]] = {}
        for node, pod in map(str.split, shown.splitlines()):
            found.setdefault(node, []).append(pod)
        return found

    def run(self, *arguments: str, kubeconfig: Path | None = None) -> Outcome:
        self._runs += 1
        folder = self._folder / f"run-{self._runs}"
        # Faults of what goes beyond the programme's words show in the exit code, too.
        done = aiconform(
            "run", "--strict", *arguments, "-o", "json", "--out", folder, kubeconfig=kubeconfig or self.kubeconfig
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.stdout or done.returncode == 2, done.stderr
        return Outcome(done.returncode, json.loads(done.stdout or "{}"), folder, done.stderr)

    def look(self, *checks: str, brief: Mapping[str, object], words: Sequence[str] = (), times: float = 1.0) -> Outcome:
        """A run of these checks that is as patient as the machine is slow, and is judged to the same verdict.

        brief: options by `check.option`, as they are for a quick machine; words: further ones of the command; times:
        how many times as patient as usual.
        """
        slowness = times * self.slowness
        done = self.run(*checks, *words, "--patience", str(30 * slowness), *options(brief, slowness))
        succeed("judge", done.folder)
        return done

    def install(self, *add_ons: str) -> None:
        """Install add-ons, beside those that are installed."""
        succeed("lab", "up", "--name", self.name, "--with", ",".join(add_ons))

    @contextmanager
    def fault(self, *names: str, where: Sequence[str] = ()) -> Iterator[None]:
        """These faults are on; `where` are words of the command that say at which nodes."""
        where = ("--name", self.name, *where)
        try:
            succeed("lab", "fault", *names, *where)
            yield
        finally:
            succeed("lab", "fault", *names, "--off", *where)

    def faults_at(self, where: Mapping[str, Iterable[str]]) -> AbstractContextManager[None]:
        """Each node has its faults meanwhile: node -> their names."""
        return self.fault(*(f"{name}@{node}" for node, names in where.items() for name in names))

    @contextmanager
    def traits(self, *names: str) -> Iterator[None]:
        """The lab has these traits of clusters."""
        try:
            succeed("lab", "trait", *names, "--name", self.name)
            yield
        finally:
            succeed("lab", "trait", *names, "--off", "--name", self.name)

    @property
    def registry(self) -> str:
        """Where the lab's registry is, while a trait needs it."""
        return str(self._status()["registry"])


@contextmanager
def lab_of_its_own(name: str, folder: Path, *up: str, keep: bool = False) -> Iterator[Lab]:
    """A lab that comes up with these options and ends with the body; evidence of its runs is in the folder.

    keep: take it as an earlier call left it, without its faults, and leave it up.
    """
    if not keep:
        # A lab that is still up from an earlier test run has that run's code.
        succeed("lab", "down", "--name", name)
    succeed("lab", "up", "--name", name, *up)
    if keep:
        succeed("lab", "fault", "--off", "--all", "--name", name)
    yield Lab(name, folder)
    if not keep:
        succeed("lab", "down", "--name", name)


def options(settings: Mapping[str, object], slowness: float = 1.0) -> list[str]:
    """Words of the command for options of checks, by `check.option`; limits are that many times as long."""
    values = {
        name: value * slowness if isinstance(value, int) and not name.endswith(FIXED) else value
        for name, value in settings.items()
    }
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


def assert_breaks(done: Outcome, fault: Fault, check: str) -> None:
    """A run with this fault on shows what it breaks in this check, and nothing else."""
    broken = done.broken(check)
    may_break = {each.rpartition("/")[2] for each in fault.may_break if each.startswith(f"{check}/")}
    assert broken - may_break == fault.broken(check), f"{fault.name}: {done.check(check)['reason']}"
    assert all(entry["reason"] for entry in done.check(check)["assertions"])
    # Each of them counts in the strict verdict.
    assert not broken or (done.code, done.check(check)["strict"]) == (1, "fail"), done.stderr
