"""The files beside a finished run's evidence: the page for people and the programme's artifacts."""

from __future__ import annotations

from aiconform.engine.rundir import RunDirectory
from aiconform.reports.artifacts import write_artifacts
from aiconform.reports.html import render_html


def write_reports(directory: RunDirectory) -> None:
    """`report.html` and `cncf/` of a finished run."""
    report = directory.read_report()
    evidence = {check: directory.read_evidence(check)[0] for check in directory.evidence_ids()}
    write_artifacts(report, evidence, directory.path / "cncf")
    (directory.path / "report.html").write_text(render_html(report, evidence), encoding="utf-8")
