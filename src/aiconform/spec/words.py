"""What values of requirement files look like, and the model that all their parts are."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

WORDS = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"
ID = rf"^{WORDS}$"
ANY_ID = rf"^{WORDS}(\.{WORDS})*$"

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Id = Annotated[str, StringConstraints(pattern=ID, max_length=60)]


class Part(BaseModel):
    """A part of a requirement file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
