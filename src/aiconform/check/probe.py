"""Probes: functions that act on the cluster and return an Observation, and what each of them declares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar, get_type_hints

from aiconform.check.observation import Observation
from aiconform.check.options import Settings
from aiconform.check.targets import Targets
from aiconform.cluster.space import PodSecurity


@dataclass(frozen=True)
class Access:
    """API access that a probe needs, in the terms of RBAC. `group` is empty for the core group.

    names: of the only objects, empty for all. Listing and watching them needs the field selector `metadata.name`.
    everywhere: in all Namespaces, or of the cluster itself; otherwise what the run makes in its own Namespace.
    optional: most clusters need it for nothing; where it is needed and missing, the probe says so.
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()
    everywhere: bool = False
    optional: bool = False


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
        """The longest time that it may take, in seconds."""
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
