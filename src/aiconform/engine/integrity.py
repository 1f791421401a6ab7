"""Whether the files of a run are those that its journal recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from aiconform.engine import journal
from aiconform.engine.evidence import Report, RunInfo
from aiconform.engine.rundir import IDENTITY, BadRunDirectory, RunDirectory


def unlike_the_journal(
    directory: RunDirectory, info: RunInfo, report: Report, lines: Sequence[journal.JournalEntry]
) -> list[str]:
    """Where run.json, the report, the observations or another file differ from what the lines say. Raises OSError."""
    found = []
    raw = journal.content(directory.journal.path)
    last = raw.rstrip(b"\n").rpartition(b"\n")[2]
    if not raw.endswith(b"\n") or journal.hash_line(last) != info.journal:
        found.append("the last line of the journal is not the one whose hash is in run.json")
    begun = next((line.data for line in lines if line.event == "started"), None)
    if not _is(begun, info.model_copy(update={"ended": "", "journal": ""})):
        found.append("run.json differs from the start that the journal recorded")
    found += _observations(directory, report, lines)
    identified = next((line.data for line in lines if line.event == "identified"), None)
    if identified and identified.get("digest") != directory.digests().get(IDENTITY):
        found.append(f"{IDENTITY} differs from what the journal recorded")
    judged = {line.data["check"]: line.data for line in lines if line.event == "judged"}
    for result in report.checks:
        said = judged.get(result.id, {})
        if (said.get("verdict"), said.get("strict", result.strict)) != (result.verdict, result.strict):
            found.append(f"{result.id}: the journal says {said.get('verdict')}, the report {result.verdict}")
    ended = next((line.data for line in reversed(lines) if line.event == "ended"), {})
    for name in ("verdict", "strict", "leaks"):
        if name in ended and ended[name] != report.model_dump(mode="json")[name]:
            found.append(f"the {name} of the report is not that of the journal")
    return found + _files(directory, info, lines)


def _is(data: object, info: RunInfo) -> bool:
    """Whether the journal's data equals this; fields that were added later have their defaults."""
    try:
        return RunInfo.model_validate(data) == info
    except ValidationError:
        return False


def _observations(directory: RunDirectory, report: Report, lines: Sequence[journal.JournalEntry]) -> list[str]:
    found = []
    recorded = {line.data["check"]: line.data["digest"] for line in lines if line.event == "observed"}
    for check in sorted({*recorded, *directory.evidence_ids()}):
        try:
            _, digest = directory.read_evidence(check)
        except BadRunDirectory as error:
            found.append(str(error))
            continue
        if digest != recorded.get(check):
            found.append(f"observations/{check}.json differs from what the journal recorded")
    for missing in sorted({*recorded} - {result.id for result in report.checks}):
        found.append(f"{missing}: observed, but not in the report")
    return found


def _files(directory: RunDirectory, info: RunInfo, lines: Sequence[journal.JournalEntry]) -> list[str]:
    """What people and the programme read: the pages, the artifacts, the objects, the report."""
    recorded: Mapping[str, Any] | None = next(
        (line.data["files"] for line in reversed(lines) if "files" in line.data), None
    )
    if recorded is None:
        return ["the journal does not record the files of the run"] if info.format >= 2 else []
    there = directory.digests()
    return [
        *(f"{name} is missing" for name in sorted(recorded.keys() - there.keys())),
        *(f"{name} was not part of the run: remove it" for name in sorted(there.keys() - recorded.keys())),
        *(
            f"{name} differs from what the journal recorded"
            for name in sorted(recorded.keys() & there.keys())
            if recorded[name] != there[name]
        ),
    ]
