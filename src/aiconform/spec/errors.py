"""Errors of the standard. Each names the thing that is wrong and the way out, for a person to read as it stands."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class SpecError(Exception):
    """Base of everything this package raises on purpose."""


class MalformedFile(SpecError):
    """A file of the standard does not hold what it should.

    Attributes: path, line (from 1, or None when the whole file is meant), problem (what is there), expected, more (the
    other problems of the same file).
    """

    def __init__(
        self, path: Path, line: int | None, problem: str, expected: str, more: tuple[MalformedFile, ...] = ()
    ) -> None:
        self.path, self.line, self.problem, self.expected, self.more = path, line, problem, expected, more
        place = f"{path}:{line}" if line else f"{path}"
        count = f" (and {len(more)} more in this file)" if more else ""
        super().__init__(f"{place}: {problem}; expected {expected}{count}")


class UnknownRequirement(SpecError):
    """No requirement has this id. Attributes: id, nearest (the most similar ids, best first, perhaps none)."""

    def __init__(self, wanted: str, known: Iterable[str]) -> None:
        self.id = wanted
        self.nearest = tuple(get_close_matches(wanted.lower().replace("-", "_"), list(known), n=3, cutoff=0.5))
        hint = f"did you mean {' or '.join(self.nearest)}?" if self.nearest else "`aiconform spec list` names them all"
        super().__init__(f"no requirement has the id {wanted!r}: {hint}")


class UnknownVersion(SpecError):
    """The standard says nothing about this Kubernetes version. Attributes: version, known (oldest first)."""

    def __init__(self, wanted: str, known: Iterable[str]) -> None:
        self.version, self.known = wanted, tuple(known)
        super().__init__(f"the standard has no Kubernetes version {wanted!r}; it has {', '.join(self.known)}")


class UnknownLine(SpecError):
    """The requirement has no such line. Attributes: requirement, id."""

    def __init__(self, requirement: str, wanted: str, known: Iterable[str]) -> None:
        self.requirement, self.id = requirement, wanted
        super().__init__(f"{requirement} has no line {wanted!r}; it has {', '.join(known)}")


class ExtensionConflict(SpecError):
    """An extension cannot join the standard: its id is taken, or has no dot."""
