"""From observations to verdicts: pure functions, the same in a run and in `judge`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pydantic import ValidationError

from aiconform.check import Assertion, Check, Finding, Observation
from aiconform.engine.evidence import (
    WHOLE_CLUSTER,
    AskedBy,
    AssertionResult,
    CheckResult,
    CheckVerdict,
    Evidence,
    Record,
    ReportLevel,
    RunVerdict,
)
from aiconform.spec import Requirement, Standard, UnknownRequirement
from aiconform.untrusted import CAUSED_BY_CONTENT


class UnreadableEvidence(ValueError):
    """An observation is not one that its probe returns: it has another shape, or figures that cannot be judged."""


def judge_check(requirement: Requirement, version: str, check: Check, evidence: Evidence) -> CheckResult:
    """Both verdicts on one requirement at a version. Raises UnreadableEvidence."""
    seen = [(record, observation_of(check, record)) for record in evidence.records if record.outcome == "seen"]
    asked = requirement.programme_lines(version)
    assessed: list[AssertionResult] = []
    left_out: dict[str, str] = {}
    for declared in check.assertions:
        findings = _findings(check, declared, seen)
        if findings and not any(finding.applies for _, finding in findings):
            left_out[declared.id] = _reasons(findings, len(findings))
            continue
        asked_by: AskedBy = "programme" if asked.intersection(declared.serves) else "project"
        assessed.append(_assess(declared, asked_by, [each for each in findings if each[1].applies]))
    assertions = tuple(assessed)
    strict, strict_reason = _verdict(assertions, evidence.records)
    verdict, reason = _verdict(counting(assertions), evidence.records)
    if verdict == "pass" and strict != "pass":
        reason = f"{reason}; beyond the programme's words: {strict_reason}"
    if left_out:
        reason = f"{reason}; left out: {', '.join(left_out)}"
    return CheckResult(
        id=requirement.id,
        title=requirement.title,
        level=level_of(requirement, version),
        verdict=verdict,
        strict=strict,
        reason=reason,
        seconds=evidence.seconds,
        waited=evidence.waited,
        requests=evidence.requests,
        assertions=assertions,
        left_out=left_out,
    )


def counting(assertions: Sequence[AssertionResult]) -> Sequence[AssertionResult]:
    """The assertions that `verdict` counts: the programme's, or all if it asks for none, as for an extension."""
    return [result for result in assertions if result.asked_by == "programme"] or assertions


def not_run(requirement: Requirement, version: str, reason: str) -> CheckResult:
    """The result of a requirement without evidence."""
    return CheckResult(
        id=requirement.id,
        title=requirement.title,
        level=level_of(requirement, version),
        verdict="not-run",
        strict="not-run",
        reason=reason,
        seconds=0.0,
        requests=0,
        assertions=(),
    )


def level_of(requirement: Requirement, version: str) -> ReportLevel:
    """The level at a version whose list has the requirement, or `extension`. Raises LookupError if it has not."""
    if requirement.is_extension:
        return "extension"
    level = requirement.level_at(version)
    if level is None:
        raise LookupError(f"{requirement.id} is not on the list of {version}")
    return level


def observation_of(check: Check, record: Record) -> Observation:
    """What a record with the outcome `seen` observed. Raises UnreadableEvidence."""
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


def _findings(
    check: Check, declared: Assertion, seen: Sequence[tuple[Record, Observation]]
) -> list[tuple[Record, Finding]]:
    """What an assertion finds in each observation of its kind, or of the whole cluster in all of them together."""
    judged = [(record, value) for record, value in seen if isinstance(value, declared.over)]
    if not declared.together or not judged:
        return [(record, _finding(check, declared, record, value)) for record, value in judged]
    whole = judged[0][0].model_copy(update={"target": WHOLE_CLUSTER})
    return [(whole, _finding(check, declared, whole, [value for _, value in judged]))]


def _finding(check: Check, declared: Assertion, record: Record, value: Observation | list[Observation]) -> Finding:
    try:
        return declared.function(value)
    except CAUSED_BY_CONTENT as error:
        raise UnreadableEvidence(
            f"{check.id}/{declared.id} cannot judge the {record.observes} of {record.target}: {error!r:.200}"
        ) from error


def _assess(declared: Assertion, asked_by: AskedBy, findings: Sequence[tuple[Record, Finding]]) -> AssertionResult:
    """One assertion over all observations that it applies to: it holds only if it holds for each of them."""
    broken = [(record, finding) for record, finding in findings if finding.holds is False]
    undecided = [(record, finding) for record, finding in findings if finding.holds is None or finding.subjects < 1]
    return AssertionResult(
        id=declared.id,
        title=declared.title,
        asked_by=asked_by,
        holds=False if broken else None if undecided or not findings else True,
        reason=_reasons(broken or undecided or findings, len(findings)) if findings else "nothing was observed",
        subjects=sum(finding.subjects for _, finding in findings),
        targets=_by_target(findings),
    )


def _by_target(findings: Sequence[tuple[Record, Finding]]) -> dict[str, bool | None]:
    """Whether the assertion holds for each target: False if any finding is, else None if any is undecided."""
    found: dict[str, bool | None] = {}
    for record, finding in findings:
        holds = None if finding.holds and finding.subjects < 1 else finding.holds
        before = found.get(record.target, True)
        found[record.target] = False if False in (before, holds) else None if None in (before, holds) else True
    return found


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
        said = dict.fromkeys(record.message for record in records)
        # One probe may have looked further than another, and says what that one says, too.
        return "not-applicable", "; ".join(one for one in said if not any(one != each and one in each for each in said))
    open_ = [result for result in assertions if result.holds is None]
    if open_ or not assertions:
        undecided = "; ".join(f"{result.title}: {result.reason}" for result in open_)
        return "error", f"could not decide: {undecided or 'the check asserts nothing of what was observed'}"
    subjects = sum(result.subjects for result in assertions)
    return "pass", f"{len(assertions)} assertions hold over {subjects} subjects"


def judge_run(results: Sequence[CheckResult], standard: Standard, *, chosen: bool, strict: bool = False) -> RunVerdict:
    """Conformant only if every requirement that counts passed, by the programme's own words or by all assertions.

    `chosen` says whether requirements were chosen by name, see `enters`.
    """
    entering = [result for result in results if enters(result, chosen=chosen)]
    verdicts = [result.strict if strict else result.verdict for result in entering]
    if "fail" in verdicts:
        return "not-conformant"
    decided = [
        verdict == "pass" or (verdict == "not-applicable" and excused(result, standard))
        for result, verdict in zip(entering, verdicts, strict=True)
    ]
    return "conformant" if "pass" in verdicts and all(decided) else "undetermined"


class Listed(Protocol):
    """A requirement as a version lists it, whatever else is said of it."""

    @property
    def id(self) -> str: ...

    @property
    def level(self) -> ReportLevel: ...


def enters(result: Listed, *, chosen: bool) -> bool:
    """Whether a result counts in the run's verdict.

    Of a whole version MUST and folded requirements do; where requirements were chosen by name, each of them does.
    """
    return chosen or result.level in ("MUST", "folded")


def excused(result: Listed, standard: Standard) -> bool:
    """Whether a platform can be conformant although this requirement does not apply to it."""
    if result.level == "SHOULD":
        return True
    try:
        return standard.requirement(result.id).applicability.may_not_apply
    except UnknownRequirement:
        return False


EXIT_CODES: dict[RunVerdict, int] = {"conformant": 0, "not-conformant": 1, "undetermined": 3}
