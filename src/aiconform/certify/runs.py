"""Run directories inside a submission, judged again from their observations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiconform.certify.findings import listed
from aiconform.untrusted import CAUSED_BY_CONTENT

if TYPE_CHECKING:
    from aiconform.engine.journal import JournalEntry

FOLDER = "runs"


@dataclass(frozen=True)
class JudgedRun:
    """A run as recomputed. `verdicts`, `levels`, `reasons`, `assertions`: by requirement, from the observations.

    verdicts: by the programme's own words. assertions: by `check/assertion` whether it holds. reported_verdict,
    reported: what the run itself reports, over all assertions if it was made before there were two verdicts. problems:
    where the run disagrees with its observations or with itself. unread: what this release cannot recompute, and which
    one can. simulated: it, or an observation, says that accelerators had no hardware. redacted: what was replaced, in
    words, or "". challenge: what a reviewer gave it to carry, or ""; echoed: what a container of the cluster printed.
    marks: what tells the run and its cluster from all others.
    """

    folder: Path
    run: str
    standard: str
    standard_digest: str
    kubernetes: str
    suite: str
    tool: str
    verdict: str
    verdicts: dict[str, str]
    reported_verdict: str
    reported: dict[str, str]
    assertions: dict[str, dict[str, bool | None]]
    levels: dict[str, str]
    reasons: dict[str, str]
    figures: dict[str, str]
    problems: tuple[str, ...]
    unread: tuple[str, ...]
    notes: tuple[str, ...]
    simulated: bool
    cluster: dict[str, str]
    started: str
    ended: str
    journal: str
    redacted: str
    challenge: str
    echoed: tuple[str, ...]
    marks: tuple[str, ...]


class NoRun(Exception):
    """The folder is not a finished run."""


class OtherRelease(NoRun):
    """A run that only a newer release of this tool can read; the text names it."""


def judge_run(folder: Path) -> JudgedRun:
    """Raises NoRun."""
    from aiconform.check.registry import extended_standard
    from aiconform.engine import journal
    from aiconform.engine.judge import judge
    from aiconform.engine.rundir import BadRunDirectory, OfAnotherRelease, RunDirectory

    try:
        judgement = judge(folder, extended_standard())
        directory = RunDirectory(folder)
        info, claimed = directory.read_info(), directory.read_report()
        lines = list(journal.read(folder / "journal.ndjson")) if not judgement.differences else []
        observed = [directory.read_evidence(check)[0].model_dump() for check in directory.evidence_ids()]
        identity = directory.read_identity()
    except OfAnotherRelease as error:
        raise OtherRelease(str(error).replace(str(folder), folder.name)[:500]) from error
    except (BadRunDirectory, journal.BrokenChain, OSError, *CAUSED_BY_CONTENT) as error:
        raise NoRun((str(error) or type(error).__name__).replace(str(folder), folder.name)[:500]) from error
    report = judgement.report
    return JudgedRun(
        folder,
        report.run,
        report.standard,
        report.standard_digest,
        report.kubernetes,
        report.suite,
        f"{report.tool.name} {report.tool.version}",
        report.verdict,
        {check.id: check.verdict for check in report.checks},
        claimed.verdict,
        {check.id: check.verdict for check in claimed.checks},
        {check.id: {f"{check.id}/{each.id}": each.holds for each in check.assertions} for check in report.checks},
        {check.id: check.level for check in report.checks},
        {check.id: check.reason for check in report.checks},
        {check.id: f"{check.seconds:.1f} s, {check.requests} API requests" for check in report.checks},
        judgement.differences,
        judgement.unread,
        judgement.notes,
        report.simulated or any(map(simulated, observed)),
        dict(report.cluster),
        report.started,
        report.ended,
        info.journal,
        redactions(lines),
        info.challenge,
        identity.echo.said if identity and identity.echo else (),
        marks(info.journal, info.cluster.get("uid", ""), *(node.uid for node in (identity.nodes if identity else ()))),
    )


def redactions(lines: Iterable[JournalEntry]) -> str:
    """What was replaced in a run, in words; "" if it was not redacted."""
    found = [line.data.get("placeholders", {}) for line in lines if line.event == "redacted"]
    taken = [f"{count} {kind}" for each in found for kind, count in sorted(each.items())]
    return (listed(taken, 9, str) or "nothing was found") if found else ""


def marks(journal: str, *uids: str) -> tuple[str, ...]:
    """An empty mark is none; the certificate authority is none either, because clusters may share one."""
    return tuple(dict.fromkeys(mark for mark in (journal, *uids) if mark))


def simulated(data: Any) -> bool:
    """Whether an observation names accelerators without hardware, such as those of an autoscaler's pool."""
    if isinstance(data, dict):
        return data.get("simulated") is True or any(map(simulated, data.values()))
    return isinstance(data, list | tuple) and any(map(simulated, data))


def run_folders(folder: Path) -> list[Path]:
    """The run directories of a submission, by name; links are not followed."""
    runs = folder / FOLDER
    if runs.is_symlink() or not runs.is_dir():
        return []
    return sorted(
        path
        for path in runs.iterdir()
        if re.fullmatch(r"[A-Za-z0-9._-]{1,80}", path.name) and not path.is_symlink() and path.is_dir()
    )


def entries(folder: Path) -> set[str]:
    """The names of all that lies where the runs of a submission are."""
    return {path.name for path in (folder / FOLDER).iterdir()} if (folder / FOLDER).is_dir() else set()


class Runs:
    """The runs of one submission, judged once, when they are first needed."""

    def __init__(self, folder: Path, judge: Callable[[Path], JudgedRun] = judge_run) -> None:
        """judge: of one run; it raises NoRun."""
        self._folder, self._judge = folder, judge
        self.of_other_releases: set[str] = set()
        """The names of those that only a newer release of this tool can judge."""
        self._judged: tuple[list[JudgedRun], dict[str, str]] | None = None

    def every(self) -> tuple[list[JudgedRun], dict[str, str]]:
        """(the judged runs, by folder name why the others could not be judged)."""
        if self._judged is None:
            judged, broken = [], {}
            for folder in run_folders(self._folder):
                try:
                    judged.append(self._judge(folder))
                except NoRun as error:
                    broken[folder.name] = str(error)
                    if isinstance(error, OtherRelease):
                        self.of_other_releases.add(folder.name)
            self._judged = judged, broken
        return self._judged

    def showing(self, requirement: str, path: Path, version: str) -> JudgedRun | None:
        """The run of this version with the file, if it agrees with its observations and passes the requirement."""
        if not path.is_relative_to(self._folder / FOLDER):
            return None
        for run in self.every()[0]:
            if path.is_relative_to(run.folder) and run.standard == version and not run.problems:
                return run if run.verdicts.get(requirement) in ("pass", "not-applicable") else None
        return None
