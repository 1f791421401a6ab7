"""The formats of a report. Everything that offers or writes reports reads this list.

A renderer is imported when it is called, so that `aiconform report --help` stays quick.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aiconform.engine.evidence import Evidence, Report
    from aiconform.engine.rundir import RunDirectory
    from aiconform.engine.times import Times


@dataclass(frozen=True)
class Medium:
    """What a report is shown on: `width` in columns; a terminal gets no character that could control it."""

    width: int = 110
    terminal: bool = False


class Render(Protocol):
    """evidence: by check id. times: of the run, for formats that show when things were."""

    def __call__(
        self, report: Report, evidence: Mapping[str, Evidence], medium: Medium, times: Times | None = None, /
    ) -> bytes: ...


@dataclass(frozen=True)
class Format:
    """`file`: where a run writes it in its directory, or "". `artifact`: whether the programme reads that file."""

    name: str
    about: str
    media_type: str
    render: Render
    file: str = ""
    artifact: bool = False


def _text(report: Report, evidence: Mapping[str, Evidence], medium: Medium, _: Times | None = None, /) -> bytes:
    from aiconform.reports.text import render_text

    return render_text(report, evidence, medium.width).encode()


def _markdown(report: Report, evidence: Mapping[str, Evidence], *_: object) -> bytes:
    from aiconform.reports.markdown import render_markdown

    return render_markdown(report, evidence).encode()


def _html(report: Report, evidence: Mapping[str, Evidence], _: Medium, times: Times | None = None, /) -> bytes:
    from aiconform.engine.times import Times
    from aiconform.reports.html import render_html

    return render_html(report, evidence, times or Times()).encode()


def _junit(report: Report, evidence: Mapping[str, Evidence], *_: object) -> bytes:
    from aiconform.reports.junit import render_junit

    return render_junit(report, evidence)


def _go_test_events(report: Report, evidence: Mapping[str, Evidence], *_: object) -> bytes:
    from aiconform.reports.gotest import render_results

    return render_results(report, evidence).encode()


def _go_test_log(report: Report, evidence: Mapping[str, Evidence], *_: object) -> bytes:
    from aiconform.reports.gotest import render_log

    return render_log(report, evidence).encode()


def _json(report: Report, evidence: Mapping[str, Evidence], medium: Medium, _: Times | None = None, /) -> bytes:
    # JSON may hold control characters of the C1 block unescaped.
    text = json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=medium.terminal)
    return f"{text}\n".encode()


FORMATS: tuple[Format, ...] = (
    Format("text", "a table and the reasons", "text/plain", _text),
    Format("markdown", "for an issue or a pull request", "text/markdown", _markdown),
    Format("html", "one page for a browser", "text/html", _html, "report.html"),
    Format("junit", "JUnit XML", "application/xml", _junit, "cncf/junit.xml", artifact=True),
    Format(
        "go-test-json",
        "events of `go test -json`",
        "application/x-ndjson",
        _go_test_events,
        "cncf/results.json",
        artifact=True,
    ),
    Format("go-test", "the log of `go test -v`", "text/plain", _go_test_log, "cncf/e2e.log", artifact=True),
    Format("json", "the report's data", "application/json", _json),
)
BY_NAME: Mapping[str, Format] = {each.name: each for each in FORMATS}
ARTIFACTS: Mapping[str, Format] = {Path(each.file).name: each for each in FORMATS if each.artifact}
"""The files that the programme reads, by their names."""


def write_reports(directory: RunDirectory) -> None:
    """Write each format that belongs into the directory of a finished run."""
    for file, data in pages_of(directory):
        _write(directory.path / file, data)


def pages_of(directory: RunDirectory) -> Iterator[tuple[str, bytes]]:
    """(path in the run's folder, content) of each format that belongs there. Raises BadRunDirectory."""
    from aiconform.engine.times import read_times

    report, evidence, times = directory.read_report(), read_evidence(directory), read_times(directory)
    yield from ((each.file, each.render(report, evidence, Medium(), times)) for each in FORMATS if each.file)


def write_artifacts(report: Report, evidence: Mapping[str, Evidence], folder: Path) -> None:
    """Write the files that the programme reads into `folder`. `evidence` is by check id."""
    for name, each in ARTIFACTS.items():
        _write(folder / name, each.render(report, evidence, Medium()))


def read_evidence(directory: RunDirectory) -> Mapping[str, Evidence]:
    """All evidence of a run, by check id. Raises BadRunDirectory."""
    return {check: directory.read_evidence(check)[0] for check in directory.evidence_ids()}


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
