"""Versions of drivers as vendors write them, compared at the precision that both have."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Numbers between dots, and after them what vendors add: -26305c5e, .rc3, +build, -41-generic, or a + alone.
_VERSION = re.compile(r"v?(\d{1,18}(?:\.\d{1,18})*)(?:[-+._~ ]([0-9a-z].*)?)?", re.IGNORECASE | re.ASCII)
# An annotation or a file can have any length, and no version comes near this.
_LONGEST = 128


@dataclass(frozen=True)
class Version:
    """numbers: those between dots, the major one first. suffix: the parts of what follows them; empty for nothing."""

    numbers: tuple[int, ...]
    suffix: tuple[str, ...] = ()

    def agrees(self, other: Version) -> bool:
        """Whether both can be the same version: 580 and 580.65.06 can, 580.65 and 580.82 cannot.

        Semantic versions have no leading zeros and three numbers at least: 580.95.05 is 580.95.5 there, 12.4 is 12.4.0.
        A suffix decides only if both have one.
        """
        return not any(one != two for one, two in zip(self.numbers, other.numbers, strict=False)) and not any(
            one != two for one, two in zip(self.suffix, other.suffix, strict=False)
        )


def parse(text: str) -> Version | None:
    """The version that a text is; None for one that is no version, such as `default` or `unknown`."""
    text = text.strip()
    found = _VERSION.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        return None
    numbers = tuple(int(number) for number in found[1].split("."))
    return Version(numbers, tuple(part.lower() for part in re.split(r"[-+._~ ]+", found[2] or "") if part))


def agree(one: str, other: str) -> bool:
    """Whether two texts are versions that can be the same. Texts that are no versions agree with nothing."""
    first, second = parse(one), parse(other)
    return first is not None and second is not None and first.agrees(second)
