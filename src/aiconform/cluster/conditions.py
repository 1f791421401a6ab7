"""Conditions in the status of objects: whether one holds, and what its controller says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Condition:
    """One condition. `status` is `True`, `False` or `Unknown`; `observed_generation` is 0 where it is not reported."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    observed_generation: int = 0

    @property
    def is_true(self) -> bool:
        return self.status == "True"

    @property
    def is_false(self) -> bool:
        return self.status == "False"

    @property
    def explanation(self) -> str:
        """The message, or the reason if there is no message."""
        return self.message or self.reason

    @property
    def words(self) -> str:
        """`reason: message`, or the one of them that there is."""
        return ": ".join(filter(None, (self.reason, self.message)))

    def decided(self, generation: int) -> bool | None:
        """Whether it holds; None if it is Unknown or about an earlier generation of its object."""
        if self.observed_generation not in (0, generation):
            return None
        return {"True": True, "False": False}.get(self.status)


def read(status: Mapping[str, Any] | None) -> tuple[Condition, ...]:
    """The conditions of a status, or of whatever else has a field `conditions` (a route's entry for a parent)."""
    return tuple(
        Condition(
            type=entry["type"],
            status=entry["status"],
            reason=entry.get("reason") or "",
            message=entry.get("message") or "",
            observed_generation=entry.get("observedGeneration") or 0,
        )
        for entry in (status or {}).get("conditions") or ()
    )


def find(obj: Mapping[str, Any], condition: str) -> Condition | None:
    """The condition of this type in an object's status."""
    return next((entry for entry in read(obj.get("status")) if entry.type == condition), None)


def is_true(obj: Mapping[str, Any], condition: str) -> bool:
    """Whether an object's status has the condition of this type, with status True."""
    found = find(obj, condition)
    return found is not None and found.is_true
