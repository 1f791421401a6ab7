"""Names with places to fill in: `/dev/dri/renderD{128+parent}` is /dev/dri/renderD130 for the third device.

Between braces is a word, or a sum of products of words and whole numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

NUMBERS: Mapping[str, str | int] = {"index": 0, "parent": 0, "part": 0, "start": 0, "instance": 0, "profile": ""}
"""The words of every template: `index` of a device among those of its node of the cluster; `parent`, the index of the
physical device; of a partition also `part` (its index among those of its device), `start`, `instance` (the hardware's
number) and `profile`, which are 0 and empty for a whole device."""
TEXTS: Mapping[str, str | int] = dict.fromkeys(("name", "uuid", "parent_uuid", "product", "device", "node"), "")
"""Further words of all templates but paths; `device` is the last part of a device's first path. Labels of a Node are
filled with the words of its first device, and `count`, the number of physical ones."""
_PLACE = re.compile(r"\{([^{}]*)\}")


def fill(template: str, words: Mapping[str, str | int]) -> str:
    """Raises ValueError naming the place that cannot be filled in."""
    return _PLACE.sub(lambda place: str(_value(place[1], words)), template)


def _value(expression: str, words: Mapping[str, str | int]) -> str | int:
    if expression in words:
        return words[expression]
    try:
        return sum(
            math.prod(int(words.get(factor, factor)) for factor in term.split("*")) for term in expression.split("+")
        )
    except ValueError:
        raise ValueError(f"{{{expression}}} is no sum of numbers and of {', '.join(words)}") from None
