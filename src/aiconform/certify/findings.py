"""Rules, the problems that rules report, and the findings that users read: what is wrong, where, and how to fix it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from aiconform.certify.yamlvalues import shown

Severity = Literal["error", "warning", "note"]
MOST = 100  # findings of one rule about one submission
SEVERITIES: tuple[Severity, ...] = ("note", "warning", "error")


@dataclass(frozen=True)
class Rule:
    """P-… are the programme's own rules; F-… go beyond them. `fixable`: `--fix` corrects it."""

    id: str
    severity: Severity
    title: str
    help: str
    fixable: bool = False


@dataclass(frozen=True)
class Problem:
    """A violation of a rule, as the rule reports it.

    `requirement` is None where the problem concerns the whole submission. `severity` is the rule's own if None.
    """

    rule: str
    line: int
    message: str
    requirement: str | None = None
    severity: Severity | None = None


@dataclass(frozen=True)
class RuleFinding:
    """A problem in a file, with the rule's severity and help."""

    rule: str
    severity: Severity
    file: str
    line: int
    requirement: str | None
    message: str
    help: str

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


def findings(file: str, rules: Mapping[str, Rule], problems: Iterable[Problem]) -> list[RuleFinding]:
    """The problems of one file, by line. Of each rule the first MOST are listed and the others counted."""
    found: list[RuleFinding] = []
    counts: Counter[str] = Counter()
    for problem in problems:
        rule = rules[problem.rule]
        counts[rule.id] += 1
        if counts[rule.id] <= MOST:
            severity = problem.severity or rule.severity
            found.append(
                RuleFinding(rule.id, severity, file, problem.line, problem.requirement, problem.message, rule.help)
            )
    found.sort(key=lambda finding: (finding.line, finding.rule, finding.message))
    for name, count in counts.items():
        if count > MOST:
            rule = rules[name]
            found.append(RuleFinding(name, rule.severity, file, 1, None, f"{count - MOST} more like this", rule.help))
    return found


def listed(names: Iterable[str], most: int = 5, show: Callable[[str], str] = shown) -> str:
    """Names for a message: the first few, and how many more."""
    every = list(names)
    text = ", ".join(show(name) for name in every[:most])
    return text if len(every) <= most else f"{text} and {len(every) - most} more"
