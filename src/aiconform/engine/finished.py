"""A run that is over, read and judged again: what shows or compares runs begins here, with the same refusals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aiconform.engine.evidence import Report, RunInfo
from aiconform.engine.judge import judge
from aiconform.engine.rundir import BadRunDirectory, RunDirectory
from aiconform.spec import Standard
from aiconform.untrusted import CAUSED_BY_CONTENT


@dataclass(frozen=True)
class Finished:
    """claimed: the report as the run wrote it. report: as this release computes it from the observations.

    unread: by requirement, why this release cannot recompute it; there `report` has `not-run`.
    """

    path: Path
    info: RunInfo
    claimed: Report
    report: Report
    unread: dict[str, str]


def read_finished(path: Path, standard: Standard) -> Finished:
    """Raises BadRunDirectory, with the way out: no run, an unfinished one, or one that differs from itself."""
    try:
        return _read(path, standard)
    except OSError as error:
        raise BadRunDirectory(f"{path} cannot be read: {error.strerror or type(error).__name__}") from error


def _read(path: Path, standard: Standard) -> Finished:
    run = RunDirectory(path)
    if not (path / "run.json").is_file():
        raise BadRunDirectory(
            f"{path} is not a run directory (it has no run.json): name a directory that `aiconform run` wrote"
        )
    info = run.read_info()
    if not info.ended or not (path / "report.json").is_file():
        raise BadRunDirectory(f"the run in {path} is unfinished: continue it with `aiconform run --resume {path}`")
    claimed = run.read_report()
    ids = [check.id for check in claimed.checks]
    if twice := sorted({each for each in ids if ids.count(each) > 1}):
        raise BadRunDirectory(f"{path / 'report.json'}: more than one verdict on {', '.join(twice)}")
    # A file that cannot be read is named as such, and is not one difference of several.
    for check in run.evidence_ids():
        run.read_evidence(check)
    try:
        judgement = judge(path, standard)
    except CAUSED_BY_CONTENT as error:
        raise BadRunDirectory(f"{path} cannot be judged: {str(error) or type(error).__name__}") from error
    if number := len(judgement.differences):
        count = f"{number} difference{'s' if number > 1 else ''}"
        raise BadRunDirectory(
            f"{path}: the run differs from what its own files say ({count}): see `aiconform judge {path}`"
        )
    unread = {id_: why.strip() for id_, _, why in (text.partition(":") for text in judgement.unread)}
    return Finished(path, info, claimed, judgement.report, unread)
