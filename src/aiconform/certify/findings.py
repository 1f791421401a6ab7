"""A finding: what is wrong, where, and how to mend it; and the rules that findings come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from aiconform.certify.nodes import shown

Severity = Literal["error", "warning", "note"]
MOST = 100  # findings of one rule about one submission
SEVERITIES: tuple[Severity, ...] = ("note", "warning", "error")


@dataclass(frozen=True)
class Rule:
    """P-… are the programme's own rules; F-… go beyond them. `fixable`: `--fix` mends it."""

    id: str
    severity: Severity
    title: str
    help: str
    fixable: bool = False


@dataclass(frozen=True)
class Finding:
    """`requirement` is None where the finding is about the whole submission."""

    rule: str
    severity: Severity
    file: str
    line: int
    requirement: str | None
    message: str
    help: str

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


class Report:
    """Collects the findings about one file, by the rules of a catalogue."""

    def __init__(self, file: str, rules: dict[str, Rule]) -> None:
        self.file = file
        self.findings: list[Finding] = []
        self._rules = rules
        self._counts: Counter[str] = Counter()

    def add(
        self, rule: str, line: int, message: str, *, requirement: str | None = None, severity: Severity | None = None
    ) -> None:
        known = self._rules[rule]
        self._counts[rule] += 1
        if self._counts[rule] > MOST:
            return
        self.findings.append(
            Finding(rule, severity or known.severity, self.file, line, requirement, message, known.help)
        )

    def sorted(self) -> list[Finding]:
        """By line; where a rule found more than anybody reads, how many more."""
        found = sorted(self.findings, key=lambda finding: (finding.line, finding.rule, finding.message))
        for rule, count in self._counts.items():
            if count > MOST:
                known = self._rules[rule]
                text = f"{count - MOST} more like this"
                found.append(Finding(rule, known.severity, self.file, 1, None, text, known.help))
        return found


def catalogue(rules: Iterable[Rule]) -> dict[str, Rule]:
    return {rule.id: rule for rule in rules}


def listed(names: Iterable[str], most: int = 5, show: Callable[[str], str] = shown) -> str:
    """Names for a message: the first few, and how many more."""
    every = list(names)
    text = ", ".join(show(name) for name in every[:most])
    return text if len(every) <= most else f"{text} and {len(every) - most} more"
