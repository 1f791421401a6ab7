"""What secure_accelerator_access does on a node that has accelerators.

Two Pods hold one device each, and one of them has a sibling container without a device. A third Pod, the stranger, has
no device. The probe records what each container sees (device nodes, environment, mounts), in a way that works for any
vendor. The stranger gets the numbers of the holders' devices, makes device nodes of its own and tries to open them.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiconform.check import NothingToLookAt, Settings, accelerators, probe
from aiconform.checks.secure_accelerator_access.observations import Isolation
from aiconform.cluster import Object, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.container_view import FORGE, LOOK, LOOKED, OPEN_OWN, parse_attempts, parse_view, special
from aiconform.kit.devices import CLAIM_ACCESS, request_devices
from aiconform.kit.logs import read_until
from aiconform.kit.pods import POD_ACCESS, STAY, container, pod, unschedulable
from aiconform.kit.starting import BLAME_SECONDS, holder_started
from aiconform.platform import NodeAccelerators, Platform

# The stranger makes device nodes, which needs the baseline level of Pod Security. The containers run as root, so that
# the device cgroup decides and not the modes of files.
AS_ROOT: Object = {
    "runAsUser": 0,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"], "add": ["MKNOD"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


async def _holder_pod(platform: Platform, scratch: Scratch, target: NodeAccelerators, name: str) -> Object:
    """A Pod whose container `holder` is given one device; its container `sibling` is not."""
    name = scratch.name(name)
    request = await request_devices(platform, scratch, target, name=name)
    image = platform.images["shell"]
    look = f"{LOOK}{OPEN_OWN}echo {LOOKED}; {STAY}"
    holder = container("holder", image, look, resources=request.resources, securityContext=AS_ROOT)
    sibling = container("sibling", image, f"{LOOK}echo {LOOKED}; {STAY}", securityContext=AS_ROOT)
    node = await platform.node(target.node)
    return await scratch.create(pod(name, node, [holder, sibling], **request.pod_spec))


async def _started_pair(
    platform: Platform, scratch: Scratch, target: NodeAccelerators, patience: float
) -> tuple[list[Object], str, bool]:
    """(the running holders, why one did not start, whether the second one waited for a device)."""
    cluster = platform.cluster
    if target.free > 1:
        made = await asyncio.gather(*(_holder_pod(platform, scratch, target, name) for name in ("holder", "second")))
        outcomes = await asyncio.gather(*(holder_started(platform, scratch, each, seconds=patience) for each in made))
        problems = dict.fromkeys(problem for _, problem in outcomes if problem)
        return [running for running, _ in outcomes if running], "; ".join(problems), False
    first = await _holder_pod(platform, scratch, target, "holder")
    running, problem = await holder_started(platform, scratch, first, seconds=patience)
    if running is None:
        return [], problem, False
    second = await _holder_pod(platform, scratch, target, "second")
    placed = await wait.until(cluster, second, _placed, seconds=patience, what="the scheduler to decide")
    if not placed:
        return [running], "", True
    also, problem = await holder_started(platform, scratch, second, seconds=patience)
    return [running, also] if also else [running], "", not also


def _placed(seen: Object) -> bool | None:
    if seen["spec"].get("nodeName"):
        return True
    return False if unschedulable(seen) else None


@probe(
    limit=120 + BLAME_SECONDS,
    targets=accelerators,
    devices=(1, 2),
    security="baseline",
    access=(*CLAIM_ACCESS, *POD_ACCESS),
)
async def isolation(platform: Platform, scratch: Scratch, settings: Settings, target: NodeAccelerators) -> Isolation:
    if target.free < 1:
        raise NothingToLookAt(f"nothing to look at: every device of {target} is in use")
    cluster, patience = platform.cluster, settings.patience
    pods, problem, waited = await _started_pair(platform, scratch, target, patience)
    by_dra = target.way == "dra" or any(each["status"].get("extendedResourceClaimStatus") for each in pods)
    about: dict[str, Any] = {
        **target.facts,
        "served_by": "dra" if by_dra else "device-plugin",
        "second_waited": waited,
    }
    if problem or not pods:
        return Isolation(**about, problem=problem)
    *holders, sibling = await asyncio.gather(
        *(read_until(cluster, each, "holder", LOOKED, seconds=patience) for each in pods),
        read_until(cluster, pods[0], "sibling", LOOKED, seconds=patience),
    )
    views = [parse_view(lines) for lines in holders]
    numbers = sorted({node.number for view in views for node in special(view)})
    forge = f"{LOOK}{FORGE}echo {LOOKED}"
    environment = [{"name": "NUMBERS", "value": " ".join(numbers)}]
    look = container("stranger", platform.images["shell"], forge, env=environment, securityContext=AS_ROOT)
    stranger = await scratch.create(pod(scratch.name("stranger"), await platform.node(target.node), [look]))
    await wait.until(cluster, stranger, wait.running, seconds=patience, what="the stranger Pod to start")
    told = await read_until(cluster, stranger, "stranger", LOOKED, seconds=patience)
    return Isolation(
        **about,
        holder=views[0],
        second=views[1] if len(views) > 1 else None,
        sibling=parse_view(sibling),
        stranger=parse_view(told),
        own=parse_attempts(holders[0], "own"),
        forged=parse_attempts(told, "forged"),
    )
