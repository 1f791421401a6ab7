"""Which distributions bring checks, found without importing one of them, nor the client of a cluster."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

GROUP = "aiconform.checks"
OWN = "aiconform"
"""This project's distribution: its checks are the standard's."""


@cache
def check_entries() -> tuple[EntryPoint, ...]:
    """The entry points of all installed checks; their names are ids of requirements."""
    return tuple(entry_points(group=GROUP))


def distribution_of(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value


def only_own() -> bool:
    """Whether no other distribution brings a check."""
    return all(distribution_of(entry) == OWN for entry in check_entries())
