"""The base of the data about accelerators."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Immutable; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
