"""The run as plain text: a table with every reason, then the assertions of each check."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from aiconform.engine.evidence import AssertionResult, CheckResult, Evidence, Report
from aiconform.engine.verdicts import counting
from aiconform.reports.plain import plain, shortened
from aiconform.reports.summary import (
    BEYOND,
    EXTENSIONS,
    SIMULATED,
    assertion_counts,
    by_target,
    check_verdict,
    counted,
    duration,
    going_beyond,
    headline,
    remedy,
    spent,
    split,
    statements,
    targets_of,
    where,
)

REASON_LIMIT = 4_000
HOLDS = {True: "yes", False: "NO", None: "undecided"}


def render_text(report: Report, evidence: Mapping[str, Evidence], width: int = 110) -> str:
    """No colours, no control characters but line breaks; `width` in columns."""
    file = io.StringIO()
    screen = Console(file=file, width=width, color_system=None, highlight=False, legacy_windows=False)
    _say(screen, f"Kubernetes AI Conformance {report.standard}, run {report.run}, Kubernetes {report.kubernetes}")
    screen.print()
    requirements, extensions = split(report)
    if requirements or not extensions:
        screen.print(_overview(requirements, "REQUIREMENT"))
    if extensions:
        screen.print()
        _say(screen, f"{EXTENSIONS}.")
        screen.print(_overview(extensions, "EXTENSION"))
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
    # Folding pads lines to the width, which is useless in copies.
    return "\n".join(line.rstrip() for line in file.getvalue().split("\n"))


def _overview(checks: Sequence[CheckResult], head: str) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in (head, "LEVEL", "VERDICT"):
        table.add_column(column, overflow="fold")
    table.add_column("TIME", justify="right", no_wrap=True)
    table.add_column("REASON", overflow="fold", ratio=1)
    for check in checks:
        time = duration(check.seconds) if check.verdict != "not-run" else ""
        # The reasons follow below, assertion by assertion.
        reason = assertion_counts(check) if check.verdict == "fail" and check.assertions else check.reason
        table.add_row(
            *(Text(plain(each)) for each in (check.id, check.level, check_verdict(check), time)), _text(reason)
        )
    return table


def _check(screen: Console, check: CheckResult, evidence: Evidence | None) -> None:
    head = f"{check.title} ({check.id}, {check.level}): {check_verdict(check)}"
    _say(screen, f"{head}, {spent(check)}, {counted(check.requests, 'request')}")
    if advice := remedy(check):
        _say(screen, f"To fix it: {advice}", 2)
    _assertions(screen, counting(check.assertions), evidence)
    if added := going_beyond(check):
        _say(screen, f"{BEYOND}:", 2)
        _assertions(screen, added, evidence)
    for id_, why in check.left_out.items():
        _say(screen, f"left out   [{plain(id_)}] {plain(why)}", 2)
    for record in evidence.records if evidence else ():
        cost = f"{duration(record.seconds)}, {counted(record.requests, 'request')}"
        _say(screen, f"probe {record.probe} on {record.target}: {record.outcome}, {cost}", 2)
        if record.message:
            _say(screen, record.message, 13)


def _assertions(screen: Console, results: Sequence[AssertionResult], evidence: Evidence | None) -> None:
    for result in results:
        _say(screen, f"{HOLDS[result.holds]:<9}  {_title(result)}", 2)
        if several := where(result):
            _say(screen, several, 13)
        for target, found in by_target(result.reason, targets_of(evidence)):
            _say(screen, f"{target}: {found}" if target else found, 13)


def _title(result: AssertionResult) -> str:
    name = f" [{plain(result.id)}]" if result.id else ""
    return f"{plain(result.title)} ({counted(result.subjects, 'subject')}){name}"


def _say(screen: Console, text: str, indent: int = 0) -> None:
    screen.print(Padding(_text(text), (0, 0, 0, indent)))


def _text(text: str) -> Text:
    return Text(shortened(text, REASON_LIMIT), overflow="fold")
