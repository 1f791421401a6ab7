"""What a check is made of: probes that look, observations that last, assertions that judge.

A probe acts on the cluster and returns an Observation: the evidence, plain data that goes to a file and comes back the
same. An assertion is a pure function over one Observation: no cluster, no clock, no randomness. So anyone can compute
a verdict again from the files of a run.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict

from aiconform.cluster.scratch import PodSecurity
from aiconform.platform import NodeAccelerators, NodeGroup, Platform

# Probes


class Observation(BaseModel):
    """What a probe saw. Unknown fields are refused, so that a verdict is never computed from a misread file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NothingToLookAt(Exception):
    """The platform offers nothing that this probe could try: the check can not decide."""


class NotApplicable(Exception):
    """The requirement's condition does not hold on this platform; the text says what was looked at."""


@dataclass(frozen=True)
class Access:
    """API access that a probe needs, as RBAC words it. `group` is empty for the core group."""

    group: str
    resource: str
    verbs: tuple[str, ...]


class Options(BaseModel):
    """What a user may set for one check (`--set ID.NAME=VALUE`).

    A check's module defines at most one subclass. Each field has a default that suits most platforms, and a
    description: users read it in `aiconform options`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


O = TypeVar("O", bound=Options)  # noqa: E741 - as P and A below


@dataclass(frozen=True)
class Settings:
    """What a user may set for the probes.

    every_node: look at every accelerator node instead of one of each kind.
    patience: seconds that the platform has to start a Pod (image pull and device set-up included).
    options: those of each check for which some were given.
    """

    every_node: bool = False
    patience: float = 120.0
    options: tuple[Options, ...] = ()

    def of(self, kind: type[O]) -> O:
        """The options of a check, by their class."""
        return next((each for each in self.options if isinstance(each, kind)), kind())


@dataclass(frozen=True)
class Part:
    """A part of the platform that a probe is about and that holds no accelerators, for example an operator.

    `name` becomes part of the names of objects: lower-case letters, digits, hyphens.
    """

    name: str

    @property
    def place(self) -> str:
        return self.name

    @property
    def members(self) -> tuple[NodeAccelerators, ...]:
        return ()

    @property
    def disturbs(self) -> bool:
        """Whether other probes could fail because of this one: then it begins when all others are done."""
        return False

    def __str__(self) -> str:
        return self.name


Target = NodeAccelerators | NodeGroup | Part | None
Targets = Callable[[Platform, Settings], Awaitable[Sequence[Target]]]


async def accelerators(platform: Platform, settings: Settings) -> Sequence[NodeAccelerators]:
    """One node of each kind of accelerator, or every accelerator node. Raises NothingToLookAt."""
    found = await platform.accelerators()
    chosen = found.offered if settings.every_node else found.one_of_each_kind()
    if not chosen:
        looked = "; ".join(found.passed_over) or "no ResourceSlice and no extended resource of a known accelerator"
        raise NothingToLookAt(f"nothing to look at: no usable accelerator on this platform ({looked})")
    return chosen


Limit = float | Callable[[Settings], float]


@dataclass(frozen=True)
class Probe:
    """A probe function with what it declares.

    limit: seconds it may take at most beside `patience`, or a function of the settings that says so. devices: how
    many devices of its target it holds at once (at least, at most). security: the Pod Security level of the Namespace
    it works in.
    """

    name: str
    function: Callable[..., Awaitable[Observation]]
    observes: type[Observation]
    targets: Targets | None
    limit: Limit
    devices: tuple[int, int]
    security: PodSecurity
    access: tuple[Access, ...]

    def seconds(self, settings: Settings) -> float:
        """How long it may take at most."""
        return settings.patience + (self.limit(settings) if callable(self.limit) else self.limit)


P = TypeVar("P", bound=Callable[..., Awaitable[Observation]])


def probe(
    *,
    limit: Limit,
    targets: Targets | None = None,
    devices: tuple[int, int] = (0, 0),
    security: PodSecurity = "restricted",
    access: Iterable[Access] = (),
) -> Callable[[P], P]:
    """Declare a probe: `async def name(platform, scratch, settings, target) -> SomeObservation`."""

    def mark(function: P) -> P:
        observes = get_type_hints(function)["return"]
        declared = Probe(function.__name__, function, observes, targets, limit, devices, security, tuple(access))
        function.__probe__ = declared  # type: ignore[attr-defined]
        return function

    return mark


# Inspection


@dataclass(frozen=True)
class Inspection:
    """What `aiconform inspect` says of a check before anything is made: what it would use, and what it misses."""

    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


Inspect = Callable[[Platform, Settings], Awaitable[Inspection]]


def inspection(function: Inspect) -> Inspect:
    """Declare what `aiconform inspect` calls for this check; it may only read."""
    function.__inspection__ = True  # type: ignore[attr-defined]
    return function


# Assertions


@dataclass(frozen=True)
class Finding:
    """The outcome of an assertion over one observation. `holds` is None where it could not be decided.

    `subjects` counts what was judged (devices, Pods, requests): zero subjects decide nothing.
    """

    holds: bool | None
    reason: str
    subjects: int


def holds(condition: bool, reason: str, *, subjects: int) -> Finding:
    """Decided: `reason` says what was seen, whichever way it went."""
    return Finding(condition, reason, subjects)


def undecided(reason: str) -> Finding:
    return Finding(None, reason, 0)


@dataclass(frozen=True)
class Assertion:
    title: str
    function: Callable[[Any], Finding]
    over: type[Observation]


A = TypeVar("A", bound=Callable[[Any], Finding])


def assertion(title: str) -> Callable[[A], A]:
    """Declare an assertion; the type of its one parameter says which observations it judges."""

    def mark(function: A) -> A:
        (parameter,) = inspect.signature(function).parameters
        over = get_type_hints(function)[parameter]
        function.__assertion__ = Assertion(title, function, over)  # type: ignore[attr-defined]
        return function

    return mark


# Checks


class NoSuchCheck(LookupError):
    """The suite has no check for this requirement."""


@dataclass(frozen=True)
class Check:
    """The probes and assertions of one requirement, in the order in which its module defines them."""

    id: str
    probes: tuple[Probe, ...]
    assertions: tuple[Assertion, ...]
    options: type[Options] | None = None
    inspect: Inspect | None = None

    @property
    def access(self) -> tuple[Access, ...]:
        return tuple(access for probe in self.probes for access in probe.access)


def has_check(requirement: str) -> bool:
    return find_spec(f"aiconform.checks.{requirement}") is not None


def load_check(requirement: str) -> Check:
    """The check of a requirement. Raises NoSuchCheck."""
    if not has_check(requirement):
        raise NoSuchCheck(f"the suite has no check for {requirement} yet")
    return from_module(import_module(f"aiconform.checks.{requirement}"))


def from_module(module: ModuleType) -> Check:
    """Collect what a module declares. Raises TypeError if an assertion judges what no probe of it observes."""
    members = list(vars(module).values())
    probes = tuple(member.__probe__ for member in members if hasattr(member, "__probe__"))
    assertions = tuple(member.__assertion__ for member in members if hasattr(member, "__assertion__"))
    observed = {declared.observes for declared in probes}
    for declared in assertions:
        if declared.over not in observed:
            raise TypeError(f"{module.__name__}: no probe observes the {declared.over.__name__} of {declared.title!r}")
    options = [
        each
        for each in members
        if isinstance(each, type) and issubclass(each, Options) and each.__module__ == module.__name__
    ]
    inspects = [member for member in members if hasattr(member, "__inspection__")]
    if len(options) > 1 or len(inspects) > 1:
        raise TypeError(f"{module.__name__}: more than one Options or @inspection")
    return Check(
        module.__name__.rpartition(".")[2],
        probes,
        assertions,
        next(iter(options), None),
        next(iter(inspects), None),
    )
