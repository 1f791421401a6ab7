"""What changed from one Kubernetes version's list to another's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aiconform.spec.errors import SpecError
from aiconform.spec.model import Requirement, version_key
from aiconform.spec.standard import Standard


class WrongOrder(SpecError):
    """The versions to compare are not given oldest first."""


@dataclass(frozen=True)
class Change:
    """A requirement whose level or wording differs. `before` and `after` are levels, or wordings where reworded."""

    id: str
    title: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Changes:
    """The differences of two lists, each in the order of the requirements."""

    older: str
    newer: str
    added: tuple[Change, ...]
    promoted: tuple[Change, ...]
    folded: tuple[Change, ...]
    reworded: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.promoted or self.folded or self.reworded)

    def as_data(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def changes(standard: Standard, older: str, newer: str) -> Changes:
    """From `older` to `newer`. Raises UnknownVersion, and WrongOrder if `older` is the newer one."""
    older, newer = standard.version(older), standard.version(newer)
    if version_key(older) > version_key(newer):
        raise WrongOrder(f"{older} is newer than {newer}; name the older version first")
    added, promoted, folded, reworded = [], [], [], []
    for requirement in standard.requirements:
        before, after = requirement.level_at(older), requirement.level_at(newer)
        change = Change(requirement.id, requirement.title, before, after)
        if before is None and after in ("SHOULD", "MUST"):
            added.append(change)
        elif before != after and after == "MUST":
            promoted.append(change)
        elif before != after and after == "folded":
            folded.append(change)
        if before and after and (wording := _reworded(requirement, older, newer)):
            reworded.append(wording)
    return Changes(older, newer, tuple(added), tuple(promoted), tuple(folded), tuple(reworded))


def _reworded(requirement: Requirement, older: str, newer: str) -> Change | None:
    before, after = requirement.statement_at(older), requirement.statement_at(newer)
    return Change(requirement.id, requirement.title, before, after) if before != after else None
