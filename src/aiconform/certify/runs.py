"""Run directories inside a submission: found by their run.json, judged again from their observations."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from aiconform.certify.evidence import Reference
from aiconform.certify.submission import Submission

FOLDER = "runs"


@dataclass(frozen=True)
class JudgedRun:
    """A run as recomputed. `verdicts` by requirement, of the observations; `problems`: where the run differs."""

    folder: Path
    run: str
    standard: str
    kubernetes: str
    verdicts: dict[str, str]
    levels: dict[str, str]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    simulated: bool
    cluster: dict[str, str] = field(default_factory=dict)


class NoRun(Exception):
    """The folder is no finished run."""


def judge_run(folder: Path) -> JudgedRun:
    """Raises NoRun."""
    from aiconform.engine.judge import judge
    from aiconform.engine.rundir import BadRunDirectory
    from aiconform.spec import load_standard

    try:
        judgement = judge(folder, load_standard())
    except (BadRunDirectory, OSError, ValueError, RecursionError) as error:
        raise NoRun(str(error).replace(str(folder), folder.name)) from error
    report = judgement.report
    return JudgedRun(
        folder,
        report.run,
        report.standard,
        report.kubernetes,
        {check.id: check.verdict for check in report.checks},
        {check.id: check.level for check in report.checks},
        judgement.differences,
        judgement.notes,
        report.simulated,
        dict(report.cluster),
    )


def run_folders(folder: Path) -> list[Path]:
    """The run directories of a submission, by name; links are not followed."""
    runs = folder / FOLDER
    if runs.is_symlink() or not runs.is_dir():
        return []
    return sorted(
        path
        for path in runs.iterdir()
        if re.fullmatch(r"[A-Za-z0-9._-]{1,80}", path.name)
        and not path.is_symlink()
        and path.is_dir()
        and (path / "run.json").is_file()
        and not has_links(path)
    )


def has_links(folder: Path) -> bool:
    """A run holds plain files; one with links could make the judge read elsewhere."""
    return any(path.is_symlink() or not (path.is_file() or path.is_dir()) for path in folder.rglob("*"))


class Runs:
    """The judged runs of one submission, each judged at most once."""

    def __init__(self, submission: Submission) -> None:
        self._folder = submission.folder
        self._version = submission.version
        self._judged: dict[Path, JudgedRun | None] = {}

    def executed(self, requirement: str, reference: Reference) -> bool:
        """Whether the reference lies in a run of this version that agrees with itself and passes the requirement."""
        path = reference.path
        if path is None or not path.is_relative_to(self._folder / FOLDER):
            return False
        folder = self._folder / FOLDER / path.relative_to(self._folder / FOLDER).parts[0]
        if folder not in self._judged:
            self._judged[folder] = self._judge(folder)
        run = self._judged[folder]
        if run is None or run.problems or run.standard != self._version:
            return False
        return run.verdicts.get(requirement) in ("pass", "not-applicable")

    def _judge(self, folder: Path) -> JudgedRun | None:
        try:
            return judge_run(folder) if folder in run_folders(self._folder) else None
        except NoRun:
            return None
