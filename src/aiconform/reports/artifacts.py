"""The programme's artifacts of a run: junit.xml, results.json and e2e.log, which name this tool as their source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aiconform.engine.evidence import Evidence, Report
from aiconform.reports.gotest import render_log, render_results
from aiconform.reports.junit import render_junit


def write_artifacts(report: Report, evidence: Mapping[str, Evidence], folder: Path) -> None:
    """Writes the three files into `folder`, made if need be. `evidence` is by check id."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "junit.xml").write_bytes(render_junit(report, evidence))
    (folder / "results.json").write_bytes(render_results(report, evidence).encode())
    (folder / "e2e.log").write_bytes(render_log(report, evidence).encode())
