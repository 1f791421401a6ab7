"""What the standard says about the requirements of a report.

The registry of checks, which imports much, is imported for extensions only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from aiconform.spec import Requirement, Standard, UnknownRequirement, load_standard


def requirement_of(id_: str) -> Requirement | None:
    """The requirement or extension, or None if it is not known here."""
    try:
        return _standard(id_).requirement(id_)
    except UnknownRequirement:
        return None


def _standard(id_: str) -> Standard:
    if "." not in id_:
        return load_standard()
    from aiconform.check.registry import extended_standard

    return extended_standard()


@cache
def programme_tests() -> Mapping[str, str]:
    """The tests of the programme's suite, by the requirement that the programme maps to each."""
    return {each.id: each.programme.test for each in load_standard().requirements if each.programme.test}


@cache
def suite_tests() -> Mapping[str, str]:
    """Every test of the programme's suite that is known here, by its name: the requirement that it is about."""
    newer = {test.name: each.id for each in load_standard().requirements for test in each.programme.suite}
    return {**newer, **{test: id_ for id_, test in programme_tests().items()}}


def remediation_of(id_: str) -> str:
    """What to do where the requirement is not met; empty if the standard does not say."""
    requirement = requirement_of(id_)
    return " ".join((requirement.remediation or "").split()) if requirement else ""
