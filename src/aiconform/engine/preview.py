"""What a run would do, from reads of the API alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from aiconform.check import Inspection, NotApplicable, NothingToLookAt, Probe, Settings
from aiconform.cluster import ClusterError, ServerFailed, TimedOut, Unauthorized, Unreachable
from aiconform.engine.access import Permissions
from aiconform.engine.capacity import held
from aiconform.engine.evidence import WHOLE_CLUSTER, ReportLevel
from aiconform.engine.plan import Item, Plan
from aiconform.platform import BadSelector, Platform
from aiconform.platform.accelerators.holders import holders

READY = "can run"
CANNOT = "cannot run"
NOT_APPLICABLE = "does not apply"
_NOTHING = "nothing to look at: "
_NAMED = 5

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """So many devices of one DRA driver or extended resource, on one node."""

    node: str
    accelerator: str
    devices: int


@dataclass(frozen=True)
class Attempt:
    """One probe on one of its targets: the most devices that it holds, and the most seconds that it takes.

    places: where these devices are.
    """

    probe: str
    target: str
    devices: int
    limit: float
    places: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Preview:
    """One requirement: `state` is READY, or what its check cannot run for, in one sentence.

    `found`, `missing` and `problems` are as in an Inspection; of what can run nothing is missing. `disturbs` says what
    a run of it disturbs on the platform. `unread`: the API server did not answer, which may be otherwise
    a moment later.
    """

    id: str
    level: ReportLevel
    state: str
    attempts: tuple[Attempt, ...] = ()
    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    disturbs: str = ""
    unread: bool = False


async def preview(
    platform: Platform, plan: Plan, settings: Settings, namespace: str = "", permissions: Permissions | None = None
) -> list[Preview]:
    """A preview of each requirement of the plan, in its order. Raises BadSelector.

    namespace: the one that is given to the run, if any. permissions: those that were asked for already.
    """
    try:
        await platform.chosen_nodes()
    except BadSelector:
        raise
    except ClusterError:
        # Each check that needs the nodes says so.
        pass
    permissions = permissions or Permissions(platform.cluster, namespace)
    return list(await asyncio.gather(*(_preview(platform, item, settings, permissions) for item in plan.items)))


async def _preview(platform: Platform, item: Item, settings: Settings, permissions: Permissions) -> Preview:
    name, check = item.requirement.id, item.check
    if check is None:
        return Preview(name, item.level, item.missing)
    reasons = _Reasons()
    if refused := await reasons.tried(permissions.missing([check])):
        reasons.missing.append(f"no permission to {', '.join(refused)}; see `aiconform rbac {name}`")
    attempts: list[Attempt] = []
    taken: dict[str, str] = {}
    for probe in check.probes:
        attempts += await reasons.tried(_attempts(platform, probe, settings)) or ()
        if why := await reasons.tried(_taken(platform, probe, settings)):
            taken[probe.name] = why
    if len(taken) == len(check.probes):
        reasons.missing += taken.values()
    seen = (await reasons.tried(check.inspect(platform, settings)) if check.inspect else None) or Inspection()
    reasons.missing += seen.missing
    # A probe and the inspection often lack the same.
    missing = tuple(dict.fromkeys(text.removeprefix(_NOTHING) for text in reasons.missing))
    state = f"{CANNOT}: {'; '.join(missing)}" if missing else READY
    if reasons.not_applicable:
        state, missing = f"{NOT_APPLICABLE}: {reasons.not_applicable}", ()
    disturbs = " ".join((item.requirement.disturbs or "").split())
    partly = [f"{probe}: {why}" for probe, why in taken.items()] if not missing else []
    return Preview(
        name,
        item.level,
        state,
        tuple(attempts),
        seen.found,
        missing,
        (*seen.problems, *partly),
        disturbs,
        reasons.unread,
    )


class _Reasons:
    """Why a check cannot run, as its reads of the platform show it one by one."""

    def __init__(self) -> None:
        self.missing: list[str] = []
        self.not_applicable = ""
        self.unread = False

    async def tried(self, reading: Awaitable[T]) -> T | None:
        """What is read; None, and the reason here, if it could not be."""
        try:
            return await reading
        except NotApplicable as reason:
            self.not_applicable = str(reason)
        except (NothingToLookAt, ClusterError) as reason:
            self.missing.append(str(reason))
            self.unread = self.unread or isinstance(reason, Unreachable | Unauthorized | ServerFailed | TimedOut)
        except Exception as error:  # noqa: BLE001 - a defect of one check must not hide the others
            self.missing.append(f"a defect of the check: {type(error).__name__}: {error}")
        return None


async def _taken(platform: Platform, probe: Probe, settings: Settings) -> str:
    """Who holds the devices that a probe needs; empty if it needs none, or finds some on one of its targets."""
    if probe.targets is None or not probe.devices[0]:
        return ""
    targets = await probe.targets(platform, settings)
    members = [member for target in targets if target for member in target.members]
    if not members or any(member.room for member in members):
        return ""
    some = any(member.free for member in members)
    places = "; ".join(f"{each}: {each.occupied}" if some else str(each) for each in members[:_NAMED])
    few = "too few devices are free" if some else "no device is free"
    return f"{few} ({places}); held by {await holders(platform, members)}"


async def _attempts(platform: Platform, probe: Probe, settings: Settings) -> list[Attempt]:
    limit = probe.seconds(settings)
    if probe.targets is None:
        return [Attempt(probe.name, WHOLE_CLUSTER, 0, limit)]
    attempts = []
    for target in await probe.targets(platform, settings):
        places = tuple(Place(node, kind[1], count) for (node, kind), count in held(target, probe.devices[1]).items())
        devices = sum(place.devices for place in places)
        attempts.append(Attempt(probe.name, str(target or WHOLE_CLUSTER), devices, limit, places))
    return attempts
