"""The standard beside the suite's checks: what is owed, and which assertion and option serves which line and limit.

This layer does not know checks: the command passes what they say of themselves, as plain data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from aiconform.spec.lifecycle import Breach, levels_in_order
from aiconform.spec.model import Requirement, version_key
from aiconform.spec.standard import Standard

# From this version on, what is newly on a list, or newly a MUST, needs a check in the suite.
CHECKS_FROM = "v1.37"


@dataclass(frozen=True)
class Gap:
    """What the suite still owes to a requirement: known, listed and counted, and no error in the standard.

    kind: "check" (no module proves it) or "fault" (no fault of the lab breaks an assertion of its check).
    due: the version from which it is asked for.
    """

    requirement: str
    kind: str
    level: str
    due: str


@dataclass(frozen=True)
class Citations:
    """What a check cites: the lines that each assertion serves, and the limits that each option sets, by their ids."""

    assertions: Mapping[str, Collection[str]]
    options: Mapping[str, Collection[str]]


def gaps(standard: Standard, version: str, checks: Collection[str], broken: Collection[str] = ()) -> list[Gap]:
    """What the suite owes to the requirements on the list of `version`.

    checks: ids with a check module. broken: ids of which a fault of the lab breaks an assertion.
    """
    found = []
    for requirement in standard.at(version):
        level = requirement.level_at(version)
        if level in (None, "folded"):
            continue
        due = _check_due(requirement, version)
        if requirement.id not in checks:
            found.append(Gap(requirement.id, "check", str(level), due))
        elif level == "MUST" and requirement.id not in broken:
            found.append(Gap(requirement.id, "fault", str(level), due))
    return found


def _check_due(requirement: Requirement, version: str) -> str:
    """The version that first asked for a check: where it entered or became a MUST, but never before CHECKS_FROM."""
    levels = [(v, level) for v, level in levels_in_order(requirement) if version_key(v) <= version_key(version)]
    changes = [v for i, (v, level) in enumerate(levels) if i == 0 or level != levels[i - 1][1]]
    return max([*changes, CHECKS_FROM], key=version_key) if changes else CHECKS_FROM


def orphans(standard: Standard, checks: Collection[str]) -> list[str]:
    """Check modules that are named by no requirement."""
    return sorted(set(checks) - set(standard.ids))


def mismatches(requirement: Requirement, cited: Citations) -> list[Breach]:
    """Lines and limits that nothing serves, and citations of what is not there."""
    return [*_lines(requirement, cited), *_limits(requirement, cited)]


def _lines(requirement: Requirement, cited: Citations) -> Iterator[Breach]:
    for index, step in enumerate(requirement.procedure.steps):
        for position, line in enumerate(step.holds):
            where = ("procedure", "steps", index, "holds", position)
            serving = [name for name, lines in cited.assertions.items() if line.id in lines]
            if not serving and not line.not_judged:
                yield Breach(
                    requirement.id,
                    where,
                    f"has the line {line.id}, which no assertion serves",
                    "add an assertion, name the line in `serves` of one, or write `not_judged` with the reason",
                )
            elif serving and line.not_judged:
                yield Breach(
                    requirement.id,
                    (*where, "not_judged"),
                    f"says that no assertion judges {line.id}, but {serving[0]} serves it",
                    "remove one of the two",
                )
    known = {line.id for line in requirement.lines}
    for name, lines in cited.assertions.items():
        for unknown in sorted(set(lines) - known):
            yield Breach(
                requirement.id,
                ("procedure", "steps"),
                f"has no line {unknown}, which the assertion {name} serves",
                "add the line, or name in `serves` the lines that ask for the assertion",
            )


def _limits(requirement: Requirement, cited: Citations) -> Iterator[Breach]:
    for index, limit in enumerate(requirement.procedure.limits):
        setting = [name for name, limits in cited.options.items() if limit.id in limits]
        if not setting and not limit.set_by:
            yield Breach(
                requirement.id,
                ("procedure", "limits", index),
                f"has the limit {limit.id}, which no option sets",
                "name it in `serves` of an option, or write what sets it into `set_by`: constant or patience",
            )
        elif setting and limit.set_by:
            yield Breach(
                requirement.id,
                ("procedure", "limits", index, "set_by"),
                f"says that {limit.set_by} sets {limit.id}, but the option {setting[0]} does",
                "remove one of the two",
            )
    known = {limit.id for limit in requirement.procedure.limits}
    for name, limits in cited.options.items():
        for unknown in sorted(set(limits) - known):
            yield Breach(
                requirement.id,
                ("procedure", "limits"),
                f"has no limit {unknown}, which the option {name} sets",
                "add the limit, or correct `serves` of the option",
            )
