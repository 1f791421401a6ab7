"""Names of tests and sub-tests in the programme's artifacts."""

from __future__ import annotations

import re
from collections.abc import Collection

from aiconform.reports.facts import programme_tests
from aiconform.reports.plain import plain

NAME_LIMIT = 120


def go_name(requirement: str, taken: Collection[str] = frozenset()) -> str:
    """The programme's name of the requirement's test, else our own."""
    tests = programme_tests()
    if requirement in tests and tests[requirement] not in taken:
        return tests[requirement]
    return unlike(own_name(requirement), {*taken, *tests.values(), "Test"})


def own_name(requirement: str) -> str:
    """`Test` and the id in camel case."""
    words = re.findall(r"[A-Za-z0-9]+", requirement)
    return "Test" + "".join(word[0].upper() + word[1:] for word in words)[:NAME_LIMIT]


def slug(title: str) -> str:
    """A name for the sub-test of an assertion without an id."""
    return re.sub(r"[^a-z0-9]+", "_", plain(title).lower())[:NAME_LIMIT].strip("_") or "assertion"


def unlike(name: str, taken: Collection[str]) -> str:
    """The name, with a number if it is taken."""
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    return unique
