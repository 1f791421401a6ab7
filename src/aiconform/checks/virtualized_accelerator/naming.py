"""Whether what two devices both publish has the same names: which names say the same under another spelling."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Words of a name that only say whose device it is, and words of names that are about another device or the hypervisor.
_OF_VIRTUAL = frozenset({"virtual", "vgpu", "vnpu", "vf", "mdev", "guest", "v"})
_OF_OTHERS = frozenset({"parent", "physical", "pf", "host", "profile"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# Values that many facts have: numbers, truth, one or two letters.
_COMMON = re.compile(r"\d*|true|false|.{1,2}", re.IGNORECASE)


def in_common(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The facts that both publish by one name."""
    return sorted(one.keys() & other.keys())


def renamed(virtual: Mapping[str, str], physical: Mapping[str, str]) -> list[tuple[str, str]]:
    """(name of a fact of the physical device, name of the same of the virtual one), where neither has the other's name.

    Two names say the same if they have the same words, however written and in whichever domain, apart from words that
    only say that a device is virtual; or if they share a word and have the same telling value.
    """
    found = []
    for name in sorted(physical.keys() - virtual.keys()):
        for candidate in sorted(virtual.keys() - physical.keys()):
            if _alike(name, physical[name], candidate, virtual[candidate]):
                found.append((name, candidate))
                break
    return found


def _alike(name: str, value: str, candidate: str, its_value: str) -> bool:
    kind, words = _parts(name)
    its_kind, its_words = _parts(candidate)
    if kind != its_kind or {*words, *its_words} & _OF_OTHERS:
        return False
    own = [word for word in its_words if word not in _OF_VIRTUAL]
    if own and own == [word for word in words if word not in _OF_VIRTUAL]:
        return True
    return value == its_value and not _COMMON.fullmatch(value) and bool({*words} & {*own})


def _parts(name: str) -> tuple[str, list[str]]:
    """(kind of a fact, the words of its name without its domain)."""
    kind, _, full = name.partition(" ")
    return kind, [word.lower() for word in _WORD.findall(full.rpartition("/")[2])]
