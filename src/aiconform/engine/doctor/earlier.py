"""How long an earlier run took on the same cluster, by what it recorded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiconform.engine.evidence import Evidence
from aiconform.engine.finished import read_finished
from aiconform.engine.rundir import BadRunDirectory, RunDirectory
from aiconform.spec import Standard


@dataclass(frozen=True)
class Earlier:
    """seconds: how long the run took, or, of one that looked at other checks as well, the longest of these.

    checks: those of them that it looked at. probes: (check, probe) -> the longest time that one took.
    """

    path: Path
    started: str
    seconds: float
    checks: tuple[str, ...]
    probes: Mapping[tuple[str, str], float]


def earlier_run(
    folder: Path, cluster: Mapping[str, str], checks: Collection[str], standard: Standard
) -> tuple[Earlier | None, tuple[str, ...]]:
    """(the newest run on this cluster that looked at one of the checks, why others were passed over).

    folder: a run directory, or one that holds some. cluster: as in `run.json`, with its UID.
    """
    passed: list[str] = []
    runs = []
    for path in _directories(folder):
        try:
            info = RunDirectory(path).read_info()
        except BadRunDirectory as error:
            passed.append(str(error))
            continue
        if cluster.get("uid") and info.cluster.get("uid") == cluster["uid"]:
            runs.append((info.started, path))
    for started, path in sorted(runs, reverse=True):
        try:
            report = read_finished(path, standard).report
            results = [result for result in report.checks if result.id in checks and result.verdict != "not-run"]
            evidence = [RunDirectory(path).read_evidence(result.id)[0] for result in results]
        except BadRunDirectory as error:
            passed.append(str(error))
            continue
        if results:
            same = {result.id for result in report.checks if result.verdict != "not-run"} == {
                each.id for each in results
            }
            seconds = report.seconds if same else max(each.seconds + each.waited for each in results)
            looked = tuple(each.id for each in results)
            return Earlier(path, started, seconds, looked, _longest(evidence)), tuple(passed)
    return None, tuple(passed)


def _directories(folder: Path) -> list[Path]:
    if (folder / "run.json").is_file():
        return [folder]
    try:
        return sorted(path.parent for path in folder.glob("*/run.json"))
    except OSError:
        return []


def _longest(found: Iterable[Evidence]) -> dict[tuple[str, str], float]:
    longest: dict[tuple[str, str], float] = {}
    for evidence in found:
        for record in evidence.records:
            key = (evidence.check, record.probe)
            longest[key] = max(longest.get(key, 0.0), record.seconds)
    return longest
