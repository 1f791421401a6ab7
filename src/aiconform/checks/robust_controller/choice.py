"""Which of a platform's operators to test, and what `aiconform inspect` says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiconform.check import Inspection, NothingToLookAt, PlatformComponent, Settings, inspection
from aiconform.checks.robust_controller.options import (
    ALL,
    RobustControllerOptions,
    defined_operators,
    operator_names,
)
from aiconform.cluster import Forbidden
from aiconform.platform import Platform
from aiconform.platform.operators import InstalledOperator, Operator, installed_operators, other_operators

_MOST_NAMED = 10
HOW = (
    "--set robust_controller.operator=NAME chooses one, --set robust_controller.definitions=FILE defines others "
    "(in the form of platform/operators/operators.yaml), which operator=NAME then takes"
)


@dataclass(frozen=True)
class ChosenOperator(PlatformComponent):
    """An operator to test, why it was chosen, and whether its controller is restarted."""

    installed: InstalledOperator
    why: str
    restarts: bool

    @property
    def disturbs(self) -> bool:
        return self.restarts and self.installed.operator.everywhere

    def __str__(self) -> str:
        names = [f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in self.installed.deployments]
        when = ", after all other probes" if self.disturbs else ""
        note = f" (deletes the Pods of {', '.join(names)} once{when})" if self.restarts and names else ""
        return self.installed.operator.title + note


async def chosen_operators(platform: Platform, settings: Settings) -> list[ChosenOperator]:
    """The operators to test: those that are set, or the first fully installed one. Raises NothingToLookAt."""
    options = settings.of(RobustControllerOptions)
    defined = defined_operators(options.definitions)
    found = await installed_operators(platform.cluster, defined)
    words = operator_names(options.operator)
    if words and ALL not in words:
        asked = [each for each in found if each.operator.name in words]
        absent = [entry for entry in defined if entry.name in words and entry not in [each.operator for each in asked]]
        problems = [f"{entry.title} is not installed (no CRD {entry.crds[0]})" for entry in absent]
        problems += [f"{each.operator.title}: {each.missing[0]}" for each in asked if not each.version]
        if problems:
            raise NothingToLookAt(f"nothing to look at: {'; '.join(problems)}")
        return [_chosen(each, "as set", options) for each in asked]
    complete = [each for each in found if not each.missing]
    if not complete:
        looked = ", ".join(entry.crds[0] for entry in defined)
        seen = "; ".join(f"{each.operator.title}: {', '.join(each.missing)}" for each in found)
        others = "; ".join(await _others(platform, defined))
        raise NothingToLookAt(
            f"nothing to look at: no operator with custom resources and webhooks that the suite knows "
            f"({seen or f'none of the CRDs {looked}'}); {f'{others}; ' if others else ''}{HOW}"
        )
    if words:
        return [_chosen(each, "all were set", options) for each in complete]
    # One that is for every Namespace goes first.
    complete.sort(key=lambda each: bool(each.limited))
    titles = ", ".join(each.operator.title for each in complete)
    why = f"the first of {titles}" if len(complete) > 1 else "the only one fully installed"
    return [_chosen(complete[0], why, options)]


def _chosen(found: InstalledOperator, why: str, options: RobustControllerOptions) -> ChosenOperator:
    return ChosenOperator(found.operator.name, found, why, options.restart)


async def _others(platform: Platform, defined: Sequence[Operator]) -> list[str]:
    """What is said of operators that only their user can tell how to test. Raises ClusterError."""
    try:
        found = list(map(str, await other_operators(platform.cluster, defined)))
    except Forbidden as error:
        return [f"other operators are not known: {error}"]
    more = [f"and {len(found) - _MOST_NAMED} more"] if len(found) > _MOST_NAMED else []
    return [f"not known to the suite: {each}" for each in found[:_MOST_NAMED]] + more


@inspection
async def operators(platform: Platform, settings: Settings) -> Inspection:
    options = settings.of(RobustControllerOptions)
    defined = defined_operators(options.definitions)
    found = await installed_operators(platform.cluster, defined)
    lines, problems = [], []
    for each in found:
        if wrong := (*each.missing, *each.unestablished):
            problems.append(f"{each.operator.title}: {'; '.join(wrong)}")
        if each.webhook and each.version:
            lines.append(str(each))
    try:
        for chosen in await chosen_operators(platform, settings):
            lines.append(f"takes {chosen}: {chosen.why}; {HOW}")
            if limited := chosen.installed.limited:
                problems.append(f"{chosen.installed.operator.title}: {limited}")
    except NothingToLookAt as reason:
        # It names the problems, and others if none is known.
        return Inspection(tuple(lines), (str(reason),))
    return Inspection((*lines, *await _others(platform, defined)), problems=tuple(problems))
