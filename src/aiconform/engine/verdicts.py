"""From observations to verdicts: pure functions, the same in a run and in `judge`."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from aiconform.check import Assertion, Check, Finding, Observation
from aiconform.engine.evidence import (
    AssertionResult,
    CheckResult,
    CheckVerdict,
    Evidence,
    Record,
    ReportLevel,
    RunVerdict,
)
from aiconform.spec import Requirement

# The programme lets only this one be answered "N/A" among the MUST requirements.
MAY_NOT_APPLY = {"cluster_autoscaling"}


class UnreadableEvidence(ValueError):
    """An observation is not what its probe returns."""


def judge_check(requirement: Requirement, level: ReportLevel, check: Check, evidence: Evidence) -> CheckResult:
    """The verdict on one requirement. Raises UnreadableEvidence."""
    seen = [(record, _observation(check, record)) for record in evidence.records if record.outcome == "seen"]
    assertions = tuple(
        _assess(declared, [(record, value) for record, value in seen if isinstance(value, declared.over)])
        for declared in check.assertions
    )
    verdict, reason = _verdict(assertions, evidence.records)
    return CheckResult(
        id=requirement.id,
        title=requirement.title,
        level=level,
        verdict=verdict,
        reason=reason,
        seconds=evidence.seconds,
        requests=evidence.requests,
        assertions=assertions,
    )


def not_run(requirement: Requirement, level: ReportLevel, reason: str) -> CheckResult:
    return CheckResult(
        id=requirement.id,
        title=requirement.title,
        level=level,
        verdict="not-run",
        reason=reason,
        seconds=0.0,
        requests=0,
        assertions=(),
    )


def _observation(check: Check, record: Record) -> Observation:
    declared = next((probe for probe in check.probes if probe.name == record.probe), None)
    if declared is None or record.observes != declared.observes.__name__:
        raise UnreadableEvidence(f"{check.id}: this suite has no probe {record.probe} that observes {record.observes}")
    try:
        return declared.observes.model_validate(record.observation)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise UnreadableEvidence(
            f"{check.id}: the {record.observes} of {record.target}: {place}: {problem['msg']}"
        ) from error


def _assess(declared: Assertion, seen: Sequence[tuple[Record, Observation]]) -> AssertionResult:
    """One assertion over all its observations: it holds only where it holds over each of them."""
    findings = [(record, declared.function(value)) for record, value in seen]
    broken = [(record, finding) for record, finding in findings if finding.holds is False]
    open_ = [(record, finding) for record, finding in findings if finding.holds is None or finding.subjects < 1]
    subjects = sum(finding.subjects for _, finding in findings)
    if not findings:
        return AssertionResult(title=declared.title, holds=None, reason="nothing was observed", subjects=0)
    if broken:
        return AssertionResult(
            title=declared.title, holds=False, reason=_reasons(broken, len(findings)), subjects=subjects
        )
    if open_:
        return AssertionResult(
            title=declared.title, holds=None, reason=_reasons(open_, len(findings)), subjects=subjects
        )
    return AssertionResult(
        title=declared.title, holds=True, reason=_reasons(findings, len(findings)), subjects=subjects
    )


def _reasons(findings: Sequence[tuple[Record, Finding]], of: int) -> str:
    if of == 1:
        return findings[0][1].reason
    return " | ".join(f"{record.target}: {finding.reason}" for record, finding in findings)


def _verdict(assertions: Sequence[AssertionResult], records: Sequence[Record]) -> tuple[CheckVerdict, str]:
    problems = list(dict.fromkeys(record.message for record in records if record.outcome in ("error", "nothing")))
    broken = [result for result in assertions if result.holds is False]
    if broken:
        return "fail", "; ".join(f"{result.title}: no: {result.reason}" for result in broken)
    if problems:
        return "error", "; ".join(problems)
    if records and all(record.outcome == "not-applicable" for record in records):
        return "not-applicable", "; ".join(dict.fromkeys(record.message for record in records))
    open_ = [result for result in assertions if result.holds is None]
    if open_ or not assertions:
        undecided = "; ".join(f"{result.title}: {result.reason}" for result in open_)
        return "error", f"could not decide: {undecided or 'the check asserts nothing'}"
    subjects = sum(result.subjects for result in assertions)
    return "pass", f"{len(assertions)} assertions hold over {subjects} subjects"


def judge_run(results: Sequence[CheckResult], *, chosen: bool) -> RunVerdict:
    """Conformant only if every requirement that counts passed.

    Of a whole version MUST and folded requirements count; where requirements were chosen by name, each of them.
    """
    counting = [result for result in results if chosen or result.level != "SHOULD"]
    if any(result.verdict == "fail" for result in counting):
        return "not-conformant"
    decided = [
        result.verdict == "pass"
        or (result.verdict == "not-applicable" and (result.level == "SHOULD" or result.id in MAY_NOT_APPLY))
        for result in counting
    ]
    if any(result.verdict == "pass" for result in counting) and all(decided):
        return "conformant"
    return "undetermined"


EXIT_CODES: dict[RunVerdict, int] = {"conformant": 0, "not-conformant": 1, "undetermined": 3}
