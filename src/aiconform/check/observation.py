"""Observations: what a probe saw, as plain data; and the two ways in which a probe has nothing to show."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Observation(BaseModel):
    """What a probe saw. Unknown fields are refused, so that a verdict is never computed from a misread file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NothingToLookAt(Exception):
    """The platform offers nothing that this probe could try: the check cannot decide."""


class NotApplicable(Exception):
    """The requirement's condition does not hold on this platform; the text says what was looked at."""
