"""Events of a run, for its listeners. The engine does not know who listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiconform.engine.evidence import CheckResult, Report, RunInfo


@dataclass(frozen=True)
class RunStarted:
    info: RunInfo
    checks: tuple[str, ...]


@dataclass(frozen=True)
class TargetsFound:
    """Where a probe looks: the nodes of each target. `done` are those at which it looked before an interruption."""

    check: str
    probe: str
    targets: Mapping[str, tuple[str, ...]]
    done: frozenset[str]


@dataclass(frozen=True)
class ProbeStarted:
    check: str
    probe: str
    target: str


@dataclass(frozen=True)
class ProbeProgressed:
    """What a slow probe is waiting for."""

    check: str
    probe: str
    target: str
    message: str


@dataclass(frozen=True)
class ProbeFinished:
    """`outcome` as in a Record; `message` is empty if the probe returned an observation."""

    check: str
    probe: str
    target: str
    outcome: str
    message: str
    seconds: float


@dataclass(frozen=True)
class CheckFinished:
    result: CheckResult


@dataclass(frozen=True)
class Noted:
    """Information for the user that does not affect a verdict."""

    message: str


@dataclass(frozen=True)
class RunFinished:
    report: Report


Event = RunStarted | TargetsFound | ProbeStarted | ProbeProgressed | ProbeFinished | CheckFinished | Noted | RunFinished
Listener = Callable[[Event], None]
