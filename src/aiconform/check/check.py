"""A check: the probes and assertions of one requirement, collected from the modules that define them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiconform.check.assertion import Assertion
from aiconform.check.figures import DeclaredFigure
from aiconform.check.options import Options, Settings
from aiconform.check.probe import Access, Probe
from aiconform.platform import Platform

API_VERSION = 1
"""Version of this contract. The registry refuses a check that was made for another version."""


@dataclass(frozen=True)
class Inspection:
    """What `aiconform inspect` reports for a check.

    found: what it would use. missing: what it cannot run without. problems: what is wrong though it can run, such as a
    component that is down, or one of several that it cannot use.
    """

    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


Inspect = Callable[[Platform, Settings], Awaitable[Inspection]]


def inspection(function: Inspect) -> Inspect:
    """Declare the function that `aiconform inspect` calls for this check. It must only read."""
    function.__inspection__ = True  # type: ignore[attr-defined]
    return function


@dataclass(frozen=True)
class Check:
    """The probes, assertions and figures of one requirement, in the order in which its modules define them.

    requirement: the requirement's file, of an extension; the standard has its own. api: the version of the contract
    that the check was made for. images: public names of the images that its Pods have in place of the suite's.
    """

    id: str
    probes: tuple[Probe, ...]
    assertions: tuple[Assertion, ...]
    options: type[Options] | None = None
    inspect: Inspect | None = None
    requirement: Path | None = None
    api: int = API_VERSION
    figures: tuple[DeclaredFigure, ...] = ()
    images: tuple[str, ...] = ()

    @property
    def access(self) -> tuple[Access, ...]:
        return tuple(access for probe in self.probes for access in probe.access)


def collect(id_: str, *modules: str, requirement: Path | None = None, api: int = API_VERSION) -> Check:
    """The check that these imported modules define, given by name (`__name__`).

    Raises TypeError if an assertion or a figure is about what no probe observes, if two assertions have one id, or if
    there is more than one Options or @inspection.
    """
    members = list(dict.fromkeys(member for name in modules for member in _members(name)))
    probes = tuple(member.__probe__ for member in members if hasattr(member, "__probe__"))
    assertions = tuple(member.__assertion__ for member in members if hasattr(member, "__assertion__"))
    figures = tuple(member.__figure__ for member in members if hasattr(member, "__figure__"))
    observed = {declared.observes for declared in probes}
    for declared in assertions:
        if declared.over not in observed:
            raise TypeError(f"{id_}: no probe observes the {declared.over.__name__} of {declared.id}")
    for drawn in figures:
        if drawn.over not in observed:
            raise TypeError(f"{id_}: no probe observes the {drawn.over.__name__} of {drawn.function.__name__}")
    if twice := [name for name, count in Counter(declared.id for declared in assertions).items() if count > 1]:
        raise TypeError(f"{id_}: more than one assertion has the id {', '.join(twice)}")
    options = [each for each in members if isinstance(each, type) and issubclass(each, Options)]
    inspects = [member for member in members if hasattr(member, "__inspection__")]
    if len(options) > 1 or len(inspects) > 1:
        raise TypeError(f"{id_}: more than one Options or @inspection")
    chosen, inspect = next(iter(options), None), next(iter(inspects), None)
    return Check(id_, probes, assertions, chosen, inspect, requirement, api, figures)


def _members(module: str) -> list[Any]:
    """What a module defines itself, in its order; imports are not included."""
    return [member for member in vars(sys.modules[module]).values() if getattr(member, "__module__", "") == module]
