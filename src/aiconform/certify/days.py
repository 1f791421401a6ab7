"""Days as people write them into records."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

from pydantic import BeforeValidator

_WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _written(given: object) -> object:
    if isinstance(given, date) or (isinstance(given, str) and _WRITTEN.fullmatch(given)):
        return given
    raise ValueError("write a day such as 2026-01-31")


# Without the validator a number would be read as seconds since 1970.
Day = Annotated[date, BeforeValidator(_written)]
