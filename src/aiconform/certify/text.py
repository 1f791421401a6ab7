"""The results of a validation as text. Text of a submission is untrusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from aiconform.certify.findings import SEVERITIES, RuleFinding
from aiconform.certify.grades import GRADES
from aiconform.certify.validate import Validated, summary
from aiconform.reports.plain import plain
from aiconform.reports.summary import counted


def lines(results: Sequence[Validated], least: str = "note") -> Iterator[str]:
    """A line for each submission followed by its errors, warnings and findings, and a summary line."""
    for result in results:
        yield from _one(result, least)
    counts = summary(results)
    beyond = sum(counts["findings"].values())
    valid = f"{counts['valid']} of {counts['submissions']} valid by the programme's rules"
    yield f"{valid}; {counted(beyond, 'finding')} beyond them"


def _one(result: Validated, least: str) -> Iterator[str]:
    proven = Counter(result.grades.values())
    graded = ", ".join(f"{proven[grade]} {grade}" for grade in GRADES if proven[grade])
    state = "valid" if result.valid else "INVALID"
    about = "; ".join(filter(None, (result.version or "no version", graded)))
    yield plain(f"{state}  {result.path}  ({about})")
    for finding in (*result.errors, *result.warnings, *result.findings):
        if SEVERITIES.index(finding.severity) >= SEVERITIES.index(least):
            yield from _finding(finding)
    for text in result.not_checked:
        yield f"  not checked: {text}"


def _finding(finding: RuleFinding) -> Iterator[str]:
    about = f"{finding.requirement}: " if finding.requirement else ""
    yield plain(f"  {finding.file}:{finding.line}: {finding.severity} {finding.rule}: {about}{finding.message}")
    yield plain(f"      {finding.help}")
