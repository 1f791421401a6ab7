"""What a run would do, from reads of the API alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from aiconform.check import Inspection, NotApplicable, NothingToLookAt, Probe, Settings
from aiconform.cluster import ClusterError
from aiconform.engine.access import Permissions
from aiconform.engine.plan import Item, Plan
from aiconform.platform import BadSelector, Platform

READY = "can run"

T = TypeVar("T")


@dataclass(frozen=True)
class Attempt:
    """One probe on one of its targets: the most devices that it holds, and the most seconds that it takes."""

    probe: str
    target: str
    devices: int
    limit: float


@dataclass(frozen=True)
class Preview:
    """One requirement: `state` is READY or the reason why its check cannot run.

    `found` and `missing` say in words what the check would use and what it lacks; `disturbs`, what a run of it disturbs
    on the platform.
    """

    id: str
    level: str
    state: str
    attempts: tuple[Attempt, ...] = ()
    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    disturbs: str = ""


async def preview(platform: Platform, plan: Plan, settings: Settings) -> list[Preview]:
    """A preview of each requirement of the plan, in its order. Raises BadSelector."""
    try:
        await platform.chosen_nodes()
    except BadSelector:
        raise
    except ClusterError:
        # Each check that needs the nodes says so.
        pass
    permissions = Permissions(platform.cluster)
    return list(await asyncio.gather(*(_preview(platform, item, settings, permissions) for item in plan.items)))


async def _preview(platform: Platform, item: Item, settings: Settings, permissions: Permissions) -> Preview:
    name, check = item.requirement.id, item.check
    if check is None:
        return Preview(name, item.level, item.missing)
    state = READY
    try:
        if refused := await permissions.missing([check]):
            state = f"these credentials have no permission to {', '.join(refused)}; see `aiconform rbac {name}`"
    except ClusterError as error:
        state = str(error)
    attempts: list[Attempt] = []
    for probe in check.probes:
        found, problem = await _tried(_attempts(platform, probe, settings))
        attempts += found or ()
        state = problem or state
    seen = Inspection()
    if check.inspect:
        inspected, problem = await _tried(check.inspect(platform, settings))
        seen = inspected or Inspection(missing=(problem,))
    disturbs = " ".join((item.requirement.disturbs or "").split())
    return Preview(name, item.level, state, tuple(attempts), seen.found, seen.missing, disturbs)


async def _tried(reading: Awaitable[T]) -> tuple[T | None, str]:
    """(what a check reads, "") or (None, why it could not)."""
    try:
        return await reading, ""
    except (NothingToLookAt, NotApplicable, ClusterError) as reason:
        return None, str(reason)
    except Exception as error:  # noqa: BLE001 - a defect of one check must not hide the others
        return None, f"a defect of the check: {type(error).__name__}: {error}"


async def _attempts(platform: Platform, probe: Probe, settings: Settings) -> list[Attempt]:
    limit = probe.seconds(settings)
    if probe.targets is None:
        return [Attempt(probe.name, "cluster", 0, limit)]
    return [
        Attempt(probe.name, str(target or "cluster"), min(probe.devices[1], getattr(target, "free", 0)), limit)
        for target in await probe.targets(platform, settings)
    ]
