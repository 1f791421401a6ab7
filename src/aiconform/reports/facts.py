"""What the standard says about the requirements of a report.

The registry of checks, which imports much, is imported for extensions only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from aiconform.spec import Line, Requirement, Standard, UnknownRequirement, load_standard


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


def served_lines(check: str, assertion: str) -> tuple[Line, ...]:
    """What the standard says must hold, of the lines that an assertion shows; nothing for what is not known here."""
    from aiconform.check.registry import NoSuchCheck, load_check

    requirement = requirement_of(check)
    try:
        declared = next((each for each in load_check(check).assertions if each.id == assertion), None)
    except NoSuchCheck:
        return ()
    if requirement is None or declared is None:
        return ()
    return tuple(line for line in requirement.lines if line.id in declared.serves)


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
