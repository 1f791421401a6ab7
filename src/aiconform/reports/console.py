"""A run on the terminal: a line for each finished check as it ends, and a table when the run is over."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console as Screen
from rich.table import Table
from rich.text import Text

from aiconform.engine import events
from aiconform.engine.evidence import CheckResult, Report
from aiconform.reports.nodes import NodesDone
from aiconform.reports.plain import plain
from aiconform.reports.summary import (
    EXTENSIONS,
    SIMULATED,
    beyond,
    check_verdict,
    counted,
    differing,
    spent,
    split,
    way,
)

STYLES = {"pass": "green", "fail": "bold red", "error": "yellow", "not-applicable": "cyan", "not-run": "dim"}
RUN_STYLES = {"conformant": "bold green", "not-conformant": "bold red", "undetermined": "bold yellow"}


class Console:
    """Listens to a run. Progress goes to standard error, the result to standard output."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._nodes: NodesDone | None = None
        self._progress = Screen(stderr=True, highlight=False, soft_wrap=True)
        # A file or a pipe has no width to fit: keep each row on one line.
        width = None if sys.stdout.isatty() else 200
        self._result = Screen(file=sys.stdout, highlight=False, width=width)

    def listen(self, event: events.Event) -> None:
        if isinstance(event, events.RunStarted):
            self._started(event)
        elif isinstance(event, events.TargetsFound) and self._nodes:
            self._nodes.found(event)
        elif isinstance(event, events.ProbeFinished) and self._nodes:
            if line := self._nodes.finished(event):
                self._progress.print(Text(line))
        elif isinstance(event, events.ProbeProgressed):
            self._progress.print(Text(f"  {event.check}: {plain(event.message)}", style="dim"))
        elif isinstance(event, events.CheckFinished) and event.result.verdict != "not-run":
            self._finished(event.result)
        elif isinstance(event, events.Noted):
            self._progress.print(Text(f"note: {plain(event.message)}", style="yellow"))

    def _started(self, event: events.RunStarted) -> None:
        info = event.info
        if info.options.get("every_node"):
            self._nodes = NodesDone()
        self._progress.print(
            Text(f"run {info.run} on {info.cluster['server']} ({info.kubernetes}), standard {info.standard}")
        )
        kinds = Counter((way(each), each.name, each.product, each.simulated) for each in info.accelerators)
        for (by, name, product, simulated), count in sorted(kinds.items()):
            label = f"{product or name} by {by} ({name}), nodes: {count}"
            self._progress.print(Text("  " + plain(f"{label}{', simulated' if simulated else ''}")))
        for passed_over in info.passed_over:
            self._progress.print(Text(f"  passed over: {plain(passed_over)}", style="yellow"))
        self._progress.print(Text(f"checks: {', '.join(event.checks) or 'none'}"))

    def _finished(self, result: CheckResult) -> None:
        line = Text()
        line.append(f"{result.verdict:<14}", style=STYLES[result.verdict])
        line.append(f" {result.id} ({spent(result)}, {result.requests} requests)")
        if result.strict != "pass":
            line.append(f": {plain(result.reason)}")
            if several := differing(result):
                line.append(f" ({plain(several)})")
        self._progress.print(line)

    def close(self, report: Report, folder: Path) -> None:
        """Print the result: the report as JSON, or a table and what it means."""
        if self._as_json:
            print(json.dumps(report.model_dump(mode="json"), indent=2))
            return
        requirements, extensions = split(report)
        self._result.print()
        self._result.print(_table(requirements, "REQUIREMENT"))
        if extensions:
            self._result.print()
            self._result.print(Text(f"{EXTENSIONS}."))
            self._result.print(_table(extensions, "EXTENSION"))
        self._result.print()
        self._result.print(Text(f"{report.verdict} ", style=RUN_STYLES[report.verdict]) + Text(scope(report)))
        if added := beyond(report):
            self._result.print(Text(plain(added)), soft_wrap=True)
        if report.simulated:
            self._result.print(Text(SIMULATED))
        for leak in report.leaks:
            self._result.print(Text(f"left behind: {plain(leak)}; try: aiconform cleanup --run {report.run}"))
        self._result.print(
            Text(f"{report.seconds:.1f} s, {report.requests} API requests; evidence in {folder}"), soft_wrap=True
        )


def _table(checks: Sequence[CheckResult], head: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in (head, "LEVEL", "VERDICT", "SECONDS", "WAITED"):
        table.add_column(column, no_wrap=True, justify="right" if column in ("SECONDS", "WAITED") else "left")
    table.add_column("REASON", overflow="fold")
    for result in checks:
        verdict = Text(check_verdict(result), style=STYLES[result.verdict])
        seconds = f"{result.seconds:.1f}" if result.verdict != "not-run" else ""
        waited = f"{result.waited:.0f}" if result.waited >= 1 else ""
        table.add_row(result.id, result.level, verdict, seconds, waited, Text(plain(result.reason)))
    return table


def scope(report: Report) -> str:
    """What the verdict covers, and what it does not."""
    if report.scope == "version":
        return f"with Kubernetes AI Conformance {report.standard}"
    text = f"on {counted(len(report.checks), 'chosen requirement')} of Kubernetes AI Conformance {report.standard}"
    if report.uncovered:
        text += f"; MUST requirements that were not run: {len(report.uncovered)} ({', '.join(report.uncovered)})"
    return text
