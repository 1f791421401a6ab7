"""A run in the programme's terms: one test for each requirement, one sub-test for each assertion.

All three artifacts are made from these, so they cannot disagree. The programme knows pass, fail and skip only. What
could not be decided is a failure with its reason, never a pass and never left out. The programme accepts no artifact
with a failed test, so what it does not ask for never fails one: an assertion that goes beyond its words, and an
extension, is a skip with its reason where it does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from aiconform.engine.evidence import AssertionResult, CheckResult, Evidence, Record, Report
from aiconform.engine.verdicts import counting
from aiconform.reports.facts import suite_tests
from aiconform.reports.names import go_name, slug, unlike
from aiconform.reports.plain import shortened
from aiconform.reports.summary import (
    SIMULATED,
    counted,
    duration,
    finite,
    going_beyond,
    headline,
    is_extension,
    spent,
    statements,
)

# Readers of the artifacts take lines of up to 16 MiB; no reason needs that much.
REASON_LIMIT = 20_000
BEYOND = "beyond the programme's words"
SUITE = "https://github.com/kubernetes-sigs/ai-conformance"

CaseOutcome = Literal["pass", "fail", "error", "skip"]


@dataclass(frozen=True)
class Case:
    """`name` has no blank and is unique in a run; that of a sub-test begins with its test's name and a slash.

    `reason` and `lines` are plain text, one line each. `beyond`: the programme does not ask for it.
    """

    name: str
    outcome: CaseOutcome
    reason: str
    seconds: float
    lines: tuple[str, ...] = ()
    parts: tuple[Case, ...] = ()
    beyond: bool = False


def cases_of(report: Report, evidence: Mapping[str, Evidence]) -> tuple[Case, ...]:
    """One for each check of the report, in its order."""
    cases = []
    taken: set[str] = set()
    for check in report.checks:
        name = go_name(check.id, taken)
        taken.add(name)
        cases.append(_case(name, check, evidence.get(check.id)))
    return tuple(cases)


def source(report: Report) -> tuple[str, ...]:
    """Lines that say what made an artifact, from which run, and what it does not show."""
    lines = [
        f"made by {report.tool.name} {report.tool.version}, suite {report.suite}",
        f"Kubernetes AI Conformance {report.standard} ({report.standard_digest}) on Kubernetes {report.kubernetes}",
        f"run {report.run} on the cluster with UID {report.cluster.get('uid', 'unknown')}, "
        f"from {report.started} to {report.ended}",
    ]
    if report.simulated:
        lines.append(SIMULATED)
    return tuple(shortened(line, REASON_LIMIT) for line in lines)


def conclusion(report: Report) -> tuple[str, ...]:
    """Lines with the verdict of the run."""
    return tuple(shortened(line, REASON_LIMIT) for line in (f"verdict: {headline(report)}", *statements(report)))


def _case(name: str, check: CheckResult, evidence: Evidence | None) -> Case:
    outcome, reason = _outcome(check)
    extension = is_extension(check)
    # Readers of an artifact must not take one suite's test for another's.
    other = [f"not the test {name} of {SUITE}: the check {check.id} of aiconform"] if name in suite_tests() else []
    lines = [
        *other,
        f"requirement {check.id} ({check.level}): {check.title}",
        *([] if check.verdict == "not-run" else [f"took {spent(check)}"]),
        *(_probe(record) for record in (evidence.records if evidence else ())),
    ]
    ours = {id(result) for result in (check.assertions if extension else going_beyond(check))}
    parts: list[Case] = []
    for result in check.assertions:
        part = unlike(f"{name}/{result.id or slug(result.title)}", {case.name for case in parts})
        parts.append(_part(part, outcome, result, beyond=id(result) in ours))
    if extension and outcome in ("fail", "error"):
        outcome, reason = "skip", f"an extension, which the programme does not ask for: {check.verdict}: {reason}"
    return Case(
        name,
        outcome,
        shortened(reason, REASON_LIMIT),
        finite(check.seconds),
        tuple(shortened(line, REASON_LIMIT) for line in lines),
        tuple(parts),
        extension,
    )


def _outcome(check: CheckResult) -> tuple[CaseOutcome, str]:
    """A verdict that its own assertions contradict is passed on neither as a pass nor as a skip."""
    held = [result.holds for result in counting(check.assertions)]
    if check.verdict == "fail":
        return "fail", check.reason
    if check.verdict == "error":
        return "error", _undecided(check.reason)
    if False in held or (check.verdict == "pass" and not (held and all(held))):
        return "error", _undecided(f"the report says {check.verdict}, its assertions do not: {check.reason}")
    if check.verdict == "pass":
        return "pass", check.reason
    return "skip", f"{'not run' if check.verdict == 'not-run' else 'not applicable'}: {check.reason}"


def _part(name: str, whole: CaseOutcome, result: AssertionResult, *, beyond: bool) -> Case:
    about = f"{result.title}: {result.reason} ({counted(result.subjects, 'subject')})"
    outcome: CaseOutcome
    if whole == "skip":
        outcome = "skip"
    elif result.holds is None:
        outcome, about = "error", _undecided(about)
    else:
        outcome = "pass" if result.holds else "fail"
    if beyond:
        about = f"{BEYOND}{', broken' if outcome == 'fail' else ''}: {about}"
        outcome = "pass" if outcome == "pass" else "skip"
    return Case(name, outcome, shortened(about, REASON_LIMIT), 0.0, beyond=beyond)


def _undecided(reason: str) -> str:
    return reason if reason.startswith("could not decide") else f"could not decide: {reason}"


def _probe(record: Record) -> str:
    done = f"probe {record.probe} on {record.target}: {record.outcome}"
    message = f": {record.message}" if record.message else ""
    return f"{done}, {duration(record.seconds)}, {counted(record.requests, 'request')}{message}"
