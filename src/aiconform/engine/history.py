"""Many runs by time, and what became of each requirement from one run to the next of its cluster.

Versions of the standard are no bound here: a cluster is upgraded, and that is where things break.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiconform.engine.between import OPEN, RequirementStep, Step, most_important, not_looked_at, requirement_step
from aiconform.engine.evidence import CheckResult, RunInfo
from aiconform.engine.finished import Finished, read_finished
from aiconform.engine.rundir import BadRunDirectory, RunDirectory
from aiconform.spec import Standard

DEEPEST = 3
"""Folders between the one that is given and a run, at most."""
MOST = 1_000


class NoHistory(Exception):
    """There is no run that can be shown; the text says what was found instead."""


@dataclass(frozen=True)
class Since:
    """What became of a requirement since the run `before`: the last whose verdict on it was decided, if any was.

    step: from the last result that decided something, of the verdict and of each assertion.
    """

    before: Finished
    step: RequirementStep


@dataclass(frozen=True)
class Moment:
    """A run. since: by requirement, unless it is the first that looked at it on this cluster."""

    run: Finished
    since: Mapping[str, Since]

    @property
    def step(self) -> Step:
        return most_important([each.step.step for each in self.since.values()])


@dataclass(frozen=True)
class LeftOut:
    """A folder whose run cannot be shown. info: None if not even that can be read."""

    path: Path
    reason: str
    info: RunInfo | None = None


@dataclass(frozen=True)
class History:
    """moments: by time."""

    moments: tuple[Moment, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def newest(self) -> tuple[Moment, ...]:
        """The last run of each cluster, without clusters whose last one is left out."""
        last = {cluster_of(each.run.info): each for each in self.moments}
        hidden = {cluster_of(each.info) for each in self._hidden if each.info}
        return tuple(each for cluster, each in last.items() if cluster not in hidden)

    @property
    def unknown(self) -> tuple[tuple[Path, str], ...]:
        """What is, or may be, the newest run of its cluster and is not held against those before, with the reason."""
        undated = "it is left out, and when it began cannot be read"
        found = [(each.path, "it is left out" if each.info else undated) for each in self._hidden]
        for run in (each.run for each in self.newest):
            if run.unread:
                found.append((run.path, f"this release cannot recompute {', '.join(run.unread)}"))
        return tuple(found)

    @property
    def step(self) -> Step:
        """The most important one of the newest runs; what is unknown is undecided."""
        unknown: list[Step] = ["undecided"] if self.unknown else []
        return most_important([*(each.step for each in self.newest), *unknown])

    @property
    def _hidden(self) -> tuple[LeftOut, ...]:
        """What is left out and began last on its cluster; without a time, it may have."""
        last = {cluster_of(each.run.info): each.run.info.started for each in self.moments}
        return tuple(
            each
            for each in self.left_out
            if each.info is None or each.info.started >= last.get(cluster_of(each.info), "")
        )


def read_history(folder: Path, standard: Standard) -> History:
    """Every run in the folder and in folders of it. Raises NoHistory."""
    runs: list[Finished] = []
    left_out: list[LeftOut] = []
    for path, unreadable in _runs_in(folder):
        if unreadable:
            left_out.append(LeftOut(path, f"{path} cannot be read: {unreadable}"))
            continue
        try:
            runs.append(read_finished(path, standard))
        except BadRunDirectory as error:
            left_out.append(LeftOut(path, str(error), _info(path)))
    if not runs:
        why = f"{len(left_out)} cannot be shown; the first: {left_out[0].reason}" if left_out else "it holds no run"
        raise NoHistory(f"{folder}: {why}: name a folder with directories that `aiconform run` wrote")
    runs.sort(key=lambda run: run.info.started)
    return History(tuple(_moments(runs)), tuple(left_out))


def _info(path: Path) -> RunInfo | None:
    with suppress(BadRunDirectory):
        return RunDirectory(path).read_info()
    return None


def _moments(runs: Iterable[Finished]) -> Iterator[Moment]:
    seen: dict[tuple[str, str], tuple[Finished, CheckResult]] = {}
    for run in runs:
        since = {}
        for check in run.report.checks:
            if check.id in run.unread or not_looked_at(check, run):
                continue
            key = cluster_of(run.info), check.id
            if key not in seen:
                seen[key] = run, check
                continue
            before, result = seen[key]
            since[check.id] = Since(before, requirement_step(result, check))
            kept = decided(result, check)
            seen[key] = before if kept.verdict != check.verdict else run, kept
        yield Moment(run, since)


def decided(before: CheckResult, after: CheckResult) -> CheckResult:
    """What the next result is held against: `after`, with what `before` has where that decides nothing.

    So a trouble of the moment hides neither what got worse meanwhile nor that something was broken all along.
    """
    old = {each.id: each for each in before.assertions}
    assertions = [old.pop(each.id, each) if each.holds is None else each for each in after.assertions]
    known = {each.id for each in after.assertions} | after.left_out.keys()
    assertions += [each for id_, each in old.items() if id_ not in known]
    return after.model_copy(
        update={
            "verdict": before.verdict if after.verdict in OPEN else after.verdict,
            "strict": before.strict if after.strict in OPEN else after.strict,
            "assertions": tuple(assertions),
        }
    )


def cluster_of(info: RunInfo) -> str:
    return info.cluster.get("uid") or info.cluster.get("server", "")


def _runs_in(folder: Path) -> Iterator[tuple[Path, str]]:
    """As _walk. Raises NoHistory if there are too many, or the folder itself cannot be read."""
    for number, (path, unreadable) in enumerate(_walk(folder, 0), 1):
        if number > MOST:
            raise NoHistory(f"{folder} holds more than {MOST} runs: name a folder with fewer of them")
        if unreadable and path == folder:
            raise NoHistory(f"{folder} cannot be read: {unreadable}")
        yield path, unreadable


def _walk(folder: Path, depth: int) -> Iterator[tuple[Path, str]]:
    """By name, folders with a run.json, and those that may hold one but cannot be read, with the reason.

    Nothing below a run, and no link is followed.
    """
    try:
        if _holds_run(folder):
            yield folder, ""
            return
        if depth == DEEPEST:
            return
        with os.scandir(folder) as entries:
            inside = sorted(folder / entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError as error:
        yield folder, error.strerror or type(error).__name__
        return
    for path in inside:
        yield from _walk(path, depth + 1)


def _holds_run(folder: Path) -> bool:
    """Raises OSError if that cannot be seen, which Path.is_file does not do with every Python."""
    try:
        return stat.S_ISREG((folder / "run.json").stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
