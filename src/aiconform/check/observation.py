"""Observations: what a probe saw, as plain data; and the two exceptions for when it has none."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Observation(BaseModel):
    """What a probe saw. Unknown fields are rejected, so that no verdict is computed from a misread file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NothingToLookAt(Exception):
    """The platform has nothing that this probe could test: the check cannot decide."""


class NotApplicable(Exception):
    """The requirement does not apply to this platform; the text says what was examined."""
