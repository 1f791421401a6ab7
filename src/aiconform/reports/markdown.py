"""The run as Markdown (GitHub's), for an issue, a pull request or a submission's evidence folder.

Text that may come from a cluster stands in code spans alone: there it makes no link, mention, image or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from aiconform.engine.evidence import CheckResult, Evidence, Record, Report
from aiconform.reports.plain import shortened
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

TEXT_LIMIT = 4_000
CELL_LIMIT = 200
HOLDS = {True: "✅ holds", False: "❌ broken", None: "❔ undecided"}
# GitHub finds mentions and issues in the rendered text, so no escape helps.
LOOKALIKES = str.maketrans({"@": "\N{FULLWIDTH COMMERCIAL AT}", "#": "\N{FULLWIDTH NUMBER SIGN}"})
VERDICTS = {
    "pass": "✅ pass",
    "fail": "❌ fail",
    "error": "❔ error",
    "not-applicable": "⚪ not applicable",
    "not-run": "⬜ not run",
}


def render_markdown(report: Report, evidence: Mapping[str, Evidence]) -> str:
    return "\n".join(_lines(report, evidence)) + "\n"


def code(text: str) -> str:
    """A code span that shows the text as it is, outside of a table."""
    shown = shortened(text, TEXT_LIMIT)
    if not shown.strip(" "):
        return "(nothing)"
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    # One space on each side belongs to the fence; it keeps a backtick of the text away from it.
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def escaped(text: str) -> str:
    """Text that means nothing to Markdown, also in a table's cell, and that GitHub takes for no mention or issue."""
    harmless = shortened(text, TEXT_LIMIT).translate(LOOKALIKES)
    return re.sub(r"([\\`*_{}\[\]<>!|~&:$]|(?<=[wW][wW][wW])\.)", r"\\\1", harmless)


def _lines(report: Report, evidence: Mapping[str, Evidence]) -> Iterator[str]:
    yield f"# {escaped(headline(report))}"
    yield ""
    for statement in statements(report):
        yield f"{_marked(report, statement)}"
        yield ""
    if report.simulated:
        yield f"**{SIMULATED}**"
        yield ""
    for leak in report.leaks:
        yield f"Left behind on the cluster: {code(leak)}. To remove it: {code(f'aiconform cleanup --run {report.run}')}"
        yield ""
    yield "| Requirement | Level | Verdict | Found | Time |"
    yield "|-|-|-|-|-:|"
    for check in report.checks:
        found = findings(check) or escaped(shortened(check.reason, CELL_LIMIT))
        time = duration(check.seconds) if check.verdict != "not-run" else ""
        yield f"| {escaped(check.id)} | {check.level} | {VERDICTS[check.verdict]} | {found} | {time} |"
    for check in report.checks:
        if check.verdict != "not-run" or check.id in evidence:
            yield ""
            yield from _check(check, evidence.get(check.id))
    yield ""
    yield "## Accelerators"
    yield ""
    for entry in report.accelerators:
        way = "DRA" if entry.way == "dra" else "device plugin"
        kind = f"{code(entry.product or 'unnamed')} by {way} ({code(entry.name)}) on node {code(entry.node)}"
        yield f"- {kind}: {entry.free} of {entry.total} free{', simulated' if entry.simulated else ''}"
    if not report.accelerators:
        yield "The platform offered none."
    for each in report.passed_over:
        yield f"- passed over: {code(each)}"
    yield ""
    yield "## This run"
    yield ""
    for name, value in _about(report):
        yield f"- {name}: {code(value)}"
    yield ""
    yield "To compute every verdict again from the run directory, without a cluster: `aiconform judge DIR`"


def _check(check: CheckResult, evidence: Evidence | None) -> Iterator[str]:
    yield f"## {escaped(check.title)}"
    yield ""
    yield (
        f"{code(check.id)}, {check.level}: **{VERDICTS[check.verdict]}**, {duration(check.seconds)}, "
        f"{counted(check.requests, 'API request')}"
    )
    yield ""
    if not (check.verdict == "fail" and check.assertions):
        yield code(check.reason)
        yield ""
    for result in check.assertions:
        yield f"- {HOLDS[result.holds]}: **{escaped(result.title)}** ({counted(result.subjects, 'subject')})"
        for target, found in by_target(result.reason, targets_of(evidence)):
            yield f"  - {f'{code(target)}: ' if target else ''}{code(found)}"
    for record in evidence.records if evidence else ():
        yield f"- {_record(record)}"


def _record(record: Record) -> str:
    cost = f"{duration(record.seconds)}, {counted(record.requests, 'request')}"
    said = f": {code(record.message)}" if record.message else ""
    return f"probe {code(record.probe)} on {code(record.target)}: {record.outcome}, {cost}{said}"


def _marked(report: Report, statement: str) -> str:
    """A sentence of ours; the ids in it as code."""
    before, colon, ids = statement.partition(": ")
    if not colon:
        return escaped(statement)
    return f"{escaped(before)}: {code(ids.removesuffix('.'))}."


def _about(report: Report) -> Iterator[tuple[str, str]]:
    yield "Standard", f"{report.standard} {report.standard_digest}"
    yield "Kubernetes", report.kubernetes
    yield "Cluster UID", report.cluster.get("uid", "unknown")
    yield "Run", report.run
    yield "Time", f"{report.started} to {report.ended} ({duration(report.seconds)}, {report.requests} API requests)"
    yield "Tool", f"{report.tool.name} {report.tool.version}"
    yield "Suite", report.suite
