"""The run as Markdown (GitHub's), for an issue, a pull request or a submission's evidence folder.

Text that may come from a cluster is only in code spans, where it cannot become a link, mention, image or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from aiconform.engine.evidence import AssertionResult, CheckResult, Evidence, Record, Report
from aiconform.engine.verdicts import counting
from aiconform.reports.plain import shortened
from aiconform.reports.summary import (
    BEYOND,
    EXTENSIONS,
    SIMULATED,
    assertion_counts,
    by_target,
    counted,
    duration,
    going_beyond,
    headline,
    remedy,
    spent,
    split,
    statements,
    targets_of,
    way,
    where,
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
    requirements, extensions = split(report)
    yield from _overview(requirements, "Requirement")
    if extensions:
        yield ""
        yield f"{EXTENSIONS}."
        yield ""
        yield from _overview(extensions, "Extension")
    for check in report.checks:
        if check.verdict != "not-run" or check.id in evidence:
            yield ""
            yield from _check(check, evidence.get(check.id))
    yield ""
    yield "## Accelerators"
    yield ""
    for entry in report.accelerators:
        kind = f"{code(entry.product or 'unnamed')} by {escaped(way(entry))} ({code(entry.name)})"
        simulated = ", simulated" if entry.simulated else ""
        yield f"- {kind} on node {code(entry.node)}: {entry.free} of {entry.total} free{simulated}"
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


def _overview(checks: Sequence[CheckResult], head: str) -> Iterator[str]:
    yield f"| {head} | Level | Verdict | Found | Time |"
    yield "|-|-|-|-|-:|"
    for check in checks:
        found = assertion_counts(check) or escaped(shortened(check.reason, CELL_LIMIT))
        time = duration(check.seconds) if check.verdict != "not-run" else ""
        yield f"| {escaped(check.id)} | {check.level} | {_verdict(check)} | {found} | {time} |"


def _verdict(check: CheckResult) -> str:
    strict = f" (strict: {VERDICTS[check.strict]})" if check.strict != check.verdict else ""
    return f"{VERDICTS[check.verdict]}{strict}"


def _check(check: CheckResult, evidence: Evidence | None) -> Iterator[str]:
    yield f"## {escaped(check.title)}"
    yield ""
    yield (
        f"{code(check.id)}, {check.level}: **{_verdict(check)}**, {spent(check)}, "
        f"{counted(check.requests, 'API request')}"
    )
    yield ""
    if not (check.verdict == "fail" and check.assertions):
        yield code(check.reason)
        yield ""
    if advice := remedy(check):
        yield f"To fix it: {escaped(advice)}"
        yield ""
    yield from _assertions(counting(check.assertions), evidence)
    if added := going_beyond(check):
        yield ""
        yield f"{BEYOND}:"
        yield ""
        yield from _assertions(added, evidence)
    for id_, why in check.left_out.items():
        yield f"- left out: {code(id_)}: {code(why)}"
    if evidence and evidence.records:
        yield ""
        yield "Probes:"
        yield ""
        for record in evidence.records:
            yield f"- {_record(record)}"


def _assertions(results: Sequence[AssertionResult], evidence: Evidence | None) -> Iterator[str]:
    for result in results:
        name = f" {code(result.id)}" if result.id else ""
        yield f"- {HOLDS[result.holds]}: **{escaped(result.title)}**{name} ({counted(result.subjects, 'subject')})"
        if several := where(result):
            yield f"  - {code(several)}"
        for target, found in by_target(result.reason, targets_of(evidence)):
            yield f"  - {f'{code(target)}: ' if target else ''}{code(found)}"


def _record(record: Record) -> str:
    cost = f"{duration(record.seconds)}, {counted(record.requests, 'request')}"
    message = f": {code(record.message)}" if record.message else ""
    return f"probe {code(record.probe)} on {code(record.target)}: {record.outcome}, {cost}{message}"


def _marked(report: Report, statement: str) -> str:
    """A sentence of this module; a list of ids at its end as code."""
    before, colon, ids = statement.partition(": ")
    if not colon or ": " in ids:
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
