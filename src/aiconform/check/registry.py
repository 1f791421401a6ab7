"""The checks that are installed: each is an entry point of the group `aiconform.checks`, this project's own too.

An entry point's name is the requirement's id, its object a Check. Ids with a dot (`acme.fabric`) are extensions: their
package brings the requirement as well.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from aiconform.check.check import API_VERSION, Check

GROUP = "aiconform.checks"


class NoSuchCheck(LookupError):
    """The suite has no check for this requirement."""


class BrokenCheck(NoSuchCheck):
    """A check is installed and cannot be used; the text names it, its distribution and why."""


@cache
def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def check_ids() -> tuple[str, ...]:
    """Ids of all installed checks, sorted; none of them is imported."""
    return tuple(sorted(_entries()))


def has_check(requirement: str) -> bool:
    return requirement in _entries()


@cache
def load_check(requirement: str) -> Check:
    """The check of a requirement. Raises NoSuchCheck, BrokenCheck."""
    entry = _entries().get(requirement)
    if entry is None:
        raise NoSuchCheck(f"the suite has no check for {requirement} yet")
    source = entry.dist.name if entry.dist else entry.value
    try:
        found = entry.load()
    except Exception as error:
        raise BrokenCheck(f"{requirement} of {source} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(found, Check) or found.id != requirement:
        raise BrokenCheck(f"{requirement} of {source}: {entry.value} is not a Check of that id")
    if found.api != API_VERSION:
        raise BrokenCheck(
            f"{requirement} of {source} was made for version {found.api} of the checks' contract; this is {API_VERSION}"
        )
    return found
