"""The run as plain text: a table with every reason, then what each check asserted."""

from __future__ import annotations

import io
from collections.abc import Mapping

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from aiconform.engine.evidence import AssertionResult, CheckResult, Evidence, Report
from aiconform.reports.plain import plain, shortened
from aiconform.reports.summary import (
    SIMULATED,
    by_target,
    counted,
    duration,
    findings,
    headline,
    statements,
    targets_of,
)

REASON_LIMIT = 4_000
HOLDS = {True: "yes", False: "NO", None: "undecided"}


def render_text(report: Report, evidence: Mapping[str, Evidence], width: int = 110) -> str:
    """No colours, no control characters but line breaks; `width` in columns."""
    file = io.StringIO()
    screen = Console(file=file, width=width, color_system=None, highlight=False, legacy_windows=False)
    _say(screen, f"Kubernetes AI Conformance {report.standard}, run {report.run}, Kubernetes {report.kubernetes}")
    screen.print()
    screen.print(_overview(report))
    for check in report.checks:
        if check.assertions or check.id in evidence:
            screen.print()
            _check(screen, check, evidence.get(check.id))
    screen.print()
    _say(screen, headline(report))
    for line in statements(report):
        _say(screen, line)
    if report.simulated:
        _say(screen, SIMULATED)
    for each in report.passed_over:
        _say(screen, f"Passed over: {each}")
    for leak in report.leaks:
        _say(screen, f"Left behind: {leak}; try: aiconform cleanup --run {report.run}")
    _say(screen, f"{duration(report.seconds)}, {counted(report.requests, 'API request')}")
    # Folding pads lines to the width; nobody wants to copy that.
    return "\n".join(line.rstrip() for line in file.getvalue().split("\n"))


def _overview(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in ("REQUIREMENT", "LEVEL", "VERDICT"):
        table.add_column(column, overflow="fold")
    table.add_column("TIME", justify="right", no_wrap=True)
    table.add_column("REASON", overflow="fold", ratio=1)
    for check in report.checks:
        time = duration(check.seconds) if check.verdict != "not-run" else ""
        # What broke is said assertion by assertion below.
        reason = findings(check) if check.verdict == "fail" and check.assertions else check.reason
        table.add_row(*(Text(plain(each)) for each in (check.id, check.level, check.verdict, time)), _text(reason))
    return table


def _check(screen: Console, check: CheckResult, evidence: Evidence | None) -> None:
    said = f"{check.title} ({check.id}, {check.level}): {check.verdict}"
    _say(screen, f"{said}, {duration(check.seconds)}, {counted(check.requests, 'request')}")
    for result in check.assertions:
        _say(screen, f"{HOLDS[result.holds]:<9}  {_title(result)}", 2)
        for target, found in by_target(result.reason, targets_of(evidence)):
            _say(screen, f"{target}: {found}" if target else found, 13)
    for record in evidence.records if evidence else ():
        cost = f"{duration(record.seconds)}, {counted(record.requests, 'request')}"
        _say(screen, f"probe {record.probe} on {record.target}: {record.outcome}, {cost}", 2)
        if record.message:
            _say(screen, record.message, 13)


def _title(result: AssertionResult) -> str:
    return f"{plain(result.title)} ({counted(result.subjects, 'subject')})"


def _say(screen: Console, text: str, indent: int = 0) -> None:
    screen.print(Padding(_text(text), (0, 0, 0, indent)))


def _text(text: str) -> Text:
    return Text(shortened(text, REASON_LIMIT), overflow="fold")
