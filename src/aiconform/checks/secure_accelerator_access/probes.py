"""What secure_accelerator_access does on a node that has accelerators.

Two Pods hold one device each, and one of them has a sibling container without a device. A third Pod, the stranger, has
no device, and a fourth, the asker, asks for all by its environment. The probe records what each container sees (device
nodes, environment, mounts), in a way that works for any vendor, and what a container sees on a node without
accelerators. The stranger gets the numbers of the holders' devices, makes device nodes of its own and tries to open
them.
"""

from __future__ import annotations

from typing import Any

from aiconform.check import NothingToLookAt, Settings, accelerators, probe
from aiconform.checks.secure_accelerator_access.containers import Containers
from aiconform.checks.secure_accelerator_access.observations import Isolation
from aiconform.checks.secure_accelerator_access.options import SecureAcceleratorAccess
from aiconform.cluster import Object, Stuck
from aiconform.cluster.scratch import Scratch
from aiconform.kit.container_view import LOOKED, parse_attempts, parse_control, parse_view, special
from aiconform.kit.devices import CLAIM_ACCESS, served_by
from aiconform.kit.logs import read_until
from aiconform.kit.pods import POD_ACCESS, unschedulable, waits_for_devices
from aiconform.kit.priority import WAITING_ACCESS, for_waiting
from aiconform.kit.starting import BLAME_SECONDS, holder_started
from aiconform.kit.together import gather
from aiconform.kit.waiting import decided
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.accelerators.sharing import perhaps_shared, shared


async def _started_pair(
    platform: Platform, scratch: Scratch, containers: Containers, target: NodeAccelerators, patience: float
) -> tuple[list[Object], str, bool]:
    """(the running holders, why one did not start, whether the second one waited for a device)."""
    cluster = platform.cluster
    if target.room > 1:
        made = await gather(*(containers.holder(name) for name in ("holder", "second")))
        outcomes = await gather(*(holder_started(platform, scratch, each, seconds=patience) for each in made))
        problems = dict.fromkeys(problem for _, problem in outcomes if problem)
        return [running for running, _ in outcomes if running], "; ".join(problems), False
    first = await containers.holder("holder")
    running, problem = await holder_started(platform, scratch, first, seconds=patience)
    if running is None:
        return [], problem, False
    # No device is free for it: it must not take one from a Pod of lower priority.
    second = await containers.holder("second", priority=await for_waiting(scratch, running))
    placed = await decided(cluster, second, seconds=patience)
    if waits := unschedulable(placed):
        if not waits_for_devices(waits.message, target.name):
            raise Stuck(f"a second Pod waits for something else than a device: {waits.message}")
        return [running], "", True
    also, problem = await holder_started(platform, scratch, second, seconds=patience)
    return [running, also] if also else [running], "", not also


def _limit(settings: Settings) -> float:
    # Patience twice more: for a second holder that comes after the first, and for an image that another node pulls.
    return 2 * settings.patience + 120 + BLAME_SECONDS


@probe(
    limit=_limit,
    targets=accelerators,
    devices=(1, 2),
    security="baseline",
    access=(*CLAIM_ACCESS, *POD_ACCESS, *WAITING_ACCESS),
)
async def isolation(platform: Platform, scratch: Scratch, settings: Settings, target: NodeAccelerators) -> Isolation:
    if target.room < 1:
        raise NothingToLookAt(f"nothing to look at: of the devices of {target}, {target.occupied}")
    cluster, patience = platform.cluster, settings.patience
    containers = Containers(platform, scratch, target, patience)
    pods, problem, waited = await _started_pair(platform, scratch, containers, target, patience)
    about = await _about(platform, settings, target, pods)
    about |= {"second_waited": waited, "unprivileged": containers.unprivileged}
    if problem or not pods:
        return Isolation(**about, problem=problem)
    *holders, sibling = await gather(
        *(read_until(cluster, each, "holder", LOOKED, seconds=patience) for each in pods),
        read_until(cluster, pods[0], "sibling", LOOKED, seconds=patience),
    )
    views = [parse_view(lines) for lines in holders]
    numbers = sorted({node.number for view in views for node in special(view)})
    told, (asker, refused), baseline = await gather(
        containers.stranger(numbers), containers.asker(), containers.baseline()
    )
    return Isolation(
        **about,
        holder=views[0],
        second=views[1] if len(views) > 1 else None,
        sibling=parse_view(sibling),
        stranger=parse_view(told),
        own=parse_attempts(holders[0], "own"),
        forged=parse_attempts(told, "forged"),
        control=parse_control(told),
        asker=asker,
        asker_refused=refused,
        baseline=baseline,
    )


async def _about(
    platform: Platform, settings: Settings, target: NodeAccelerators, pods: list[Object]
) -> dict[str, Any]:
    """What the platform says of the target and of its node."""
    node = await platform.node(target.node)
    info = node["status"].get("nodeInfo") or {}
    named = settings.of(SecureAcceleratorAccess).shared.split(",")
    return {
        **target.facts,
        "served_by": served_by(target, pods),
        "asked": target.unit,
        "total": target.total,
        "shared": "so the user says" if target.name in named else _shared(platform, target, node),
        "perhaps_shared": (perhaps_shared(target.name) if not target.physical else target.physical < target.total),
        "release": info.get("kernelVersion", ""),
        "boot": info.get("bootID", ""),
    }


def _shared(platform: Platform, target: NodeAccelerators, node: Object) -> str:
    """What says that Pods share these devices on purpose; empty if nothing does."""
    if target.way == "dra":
        return "its devices allow multiple allocations" if any(device.shareable for device in target.devices) else ""
    about, profile = node["metadata"], platform.said.profiles.by_resource(target.name)
    may_be = perhaps_shared(target.name) or (profile and profile.registered(about.get("annotations") or {}))
    if may_be and 0 < target.physical < target.total:
        return f"{target.total} {target.name} are shares of {target.physical} device(s)"
    return shared(target.name, about.get("labels") or {})
