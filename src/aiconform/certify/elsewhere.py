"""A run as another release judged it: its files are read as plain data, since only that release knows their form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from aiconform.certify.releases import NoRelease, Releases
from aiconform.certify.runs import JudgedRun, OtherRelease, judge_run, marks, redactions, simulated
from aiconform.engine import journal
from aiconform.engine.rundir import IDENTITY
from aiconform.untrusted import CAUSED_BY_CONTENT, Refused, json_value, plain_files, read


def judged_anywhere(folder: Path, releases: Releases) -> JudgedRun:
    """As this release judges the run, or where it cannot, as the one that made it. Raises NoRun."""
    run, why = None, ""
    try:
        run = judge_run(folder)
        if not run.unread:
            return run
    except OtherRelease as error:
        why = str(error)
    try:
        return _judged_elsewhere(folder, releases)
    except NoRelease as error:
        if run is None:
            raise OtherRelease(f"{why}; {error}") from error
        return replace(run, unread=(*run.unread, str(error)))


def _judged_elsewhere(folder: Path, releases: Releases) -> JudgedRun:
    """Raises NoRelease."""
    version, answer = releases.judge(folder)
    try:
        return _run(folder, version, answer)
    except (Refused, OSError, journal.BrokenChain, *CAUSED_BY_CONTENT) as error:
        raise NoRelease(f"aiconform {version} judged it, but its files cannot be read: {error!r:.200}") from error


def _run(folder: Path, version: str, answer: dict[str, Any]) -> JudgedRun:
    report, info, claimed = answer["report"], _data(folder / "run.json"), _data(folder / "report.json")
    identity = _data(folder / IDENTITY) if (folder / IDENTITY).is_file() else {}
    observed = [_data(path) for path in plain_files(folder) if path.parent.name == "observations"]
    differences, unread = tuple(map(str, answer["differences"])), tuple(map(str, answer["unread"]))
    lines = [] if differences else list(journal.read(folder / "journal.ndjson"))
    checks = {str(check["id"]): check for check in report["checks"]}
    echo = identity.get("echo") or {}
    if not answer["agrees"] and not differences and not unread:
        differences = (f"aiconform {version} says that it does not agree with its observations",)
    return JudgedRun(
        folder=folder,
        run=str(report["run"]),
        standard=str(report["standard"]),
        standard_digest=str(report["standard_digest"]),
        kubernetes=str(report["kubernetes"]),
        suite=str(report["suite"]),
        tool=f"{report['tool']['name']} {report['tool']['version']}",
        verdict=str(report["verdict"]),
        verdicts={id_: str(check["verdict"]) for id_, check in checks.items()},
        reported_verdict=str(claimed["verdict"]),
        reported={str(check["id"]): str(check["verdict"]) for check in claimed["checks"]},
        assertions={
            id_: {f"{id_}/{each['id']}": each["holds"] for each in check["assertions"]} for id_, check in checks.items()
        },
        levels={id_: str(check["level"]) for id_, check in checks.items()},
        reasons={id_: str(check["reason"]) for id_, check in checks.items()},
        figures={id_: f"{check['seconds']:.1f} s, {check['requests']} API requests" for id_, check in checks.items()},
        problems=differences,
        unread=unread,
        notes=(f"it was recomputed by aiconform {version}, from the package index", *map(str, answer["notes"])),
        simulated=report["simulated"] is not False or any(map(simulated, observed)),
        cluster={str(name): str(value) for name, value in report["cluster"].items()},
        started=str(report["started"]),
        ended=str(report["ended"]),
        journal=str(info["journal"]),
        redacted=redactions(lines),
        challenge=str(info.get("challenge", "")),
        echoed=tuple(map(str, echo.get("said", ()))),
        marks=marks(
            str(info["journal"]),
            str(info["cluster"].get("uid", "")),
            *(str(node.get("uid", "")) for node in identity.get("nodes", ())),
        ),
    )


def _data(path: Path) -> Any:
    return json_value(read(path, inside=path.parent), path.name)
