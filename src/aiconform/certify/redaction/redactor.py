"""Replaces values in text and in data by placeholders of the same form, each value always by the same one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiconform.certify.redaction.patterns import PATTERNS, Pattern


@dataclass(frozen=True)
class Redaction:
    """words: what else must not appear, for example the name of a customer."""

    words: tuple[str, ...] = ()


_SECRET_NAME = re.compile(
    r"token|secret|passw|credential|(?:api|access|private|account|client)[_-]?key|dsn\b|^auth$|dockerconfig",
    re.IGNORECASE,
)
# Keys whose values the suite wrote itself: `judge` and the journal's chain need them unchanged.
STRUCTURE = frozenset(
    [
        "check",
        "probe",
        "observes",
        "outcome",
        "suite",
        "standard",
        "standard_digest",
        "digest",
        "run",
        "tool",
        "event",
        "verdict",
        "strict",
        "asked_by",
        "time",
        "number",
        "previous",
        "way",
        "served_by",
        "id",
        "level",
        "kubernetes",
        "started",
        "ended",
        "journal",
        "title",
        "uid",
    ]
)
_OBSERVED = frozenset({"way", "served_by"})
# Keys under which observations have versions, of which those with four numbers look like addresses, and what a version
# is. Under the same keys others have words, with names and addresses in them.
_VERSIONED = frozenset({"says", "version"})
_VERSION = re.compile(r"v?\d+([.+~-]\w+)*")


@dataclass
class _Names:
    """Values and their placeholders."""

    known: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    literal: re.Pattern[str] | None = None

    def placeholder(self, kind: str, value: str, make: Callable[[int], str]) -> str:
        if value not in self.known:
            self.known[value] = make(self.counts[kind])
            self.counts[kind] += 1
        return self.known[value]


class Redactor:
    """Replaces values in text and in data, each always by the same placeholder. given: placeholders that are set."""

    def __init__(
        self,
        nodes: Sequence[str],
        redaction: Redaction,
        hosts: Sequence[str] = (),
        given: Mapping[str, str] | None = None,
    ) -> None:
        self._names = _Names(dict(given or {}))
        literals = list(given or ())
        for kind, values, make in (
            ("words", redaction.words, lambda n: f"redacted-{n + 1}"),
            ("hosts", hosts, lambda n: f"host-{n + 1}.redacted.invalid"),
            ("node names", nodes, lambda n: f"redacted-node-{n + 1}"),
        ):
            for value in sorted({value for value in values if value}, key=lambda v: (-len(v), v)):
                self._names.placeholder(kind, value, make)
                literals.append(value)
        if literals:
            longest_first = "|".join(re.escape(value) for value in sorted(literals, key=len, reverse=True))
            self._names.literal = re.compile(rf"(?<![A-Za-z0-9])(?:{longest_first})(?![A-Za-z0-9])")

    @property
    def counts(self) -> dict[str, int]:
        return {kind: count for kind, count in sorted(self._names.counts.items()) if count}

    def text(self, text: str) -> str:
        if self._names.literal:
            text = self._names.literal.sub(lambda match: self._names.known[match.group()], text)
        for pattern in PATTERNS:
            text = pattern.regex.sub(partial(self._replaced, pattern), text)
        return text

    def _replaced(self, pattern: Pattern, match: re.Match[str]) -> str:
        name = next((n for n, v in match.groupdict().items() if n.startswith("value") and v), None)
        if name is None or match[name] in self._placeholders() or not pattern.accept(match[name]):
            return match.group()
        start, end = match.start(name) - match.start(), match.end(name) - match.start()
        whole = match.group()
        return whole[:start] + self._names.placeholder(pattern.name, match[name], pattern.placeholder) + whole[end:]

    def _placeholders(self) -> set[str]:
        return set(self._names.known.values())

    def data(self, data: Any, key: str = "", kept: frozenset[str] = frozenset()) -> Any:
        """The same structure with values redacted.

        A value under a key that names a secret is replaced as a whole; values under keys in `kept` stay.
        """
        if isinstance(data, dict):
            # A variable of a container's environment has its name beside its value.
            named = str(data.get("name", "")) if {"name", "value"} <= data.keys() else ""
            return {
                self.text(name): self._member(named if named and name == "value" else name, value, kept)
                for name, value in data.items()
            }
        if isinstance(data, list):
            return [self.data(item, key, kept) for item in data]
        if not isinstance(data, str):
            return data
        if _SECRET_NAME.search(key) and len(data) >= 8:
            return self._names.placeholder("tokens", data, lambda n: f"redacted-token-{n + 1}")
        return self.text(data)

    def _member(self, name: str, value: Any, kept: frozenset[str]) -> Any:
        if name == "observation":
            return self.data(value, name, _OBSERVED)
        if isinstance(value, dict | list):
            return self.data(value, name, kept)
        may_be = kept == _OBSERVED and name in _VERSIONED and isinstance(value, str)
        return value if name in kept or (may_be and _VERSION.fullmatch(value)) else self.data(value, name, kept)
