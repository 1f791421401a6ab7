"""Controllers of the lab that a fault stops, starts or makes unreachable: waiting until that is so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiconform.lab.config import LabError

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

SECONDS = 90.0
_LOOK_SECONDS = 0.3


async def until(holds: Callable[[], Awaitable[bool]], what: str, *, seconds: float) -> None:
    """Ask until it holds. Raises LabError if it does not in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await holds():
        if asyncio.get_running_loop().time() > deadline:
            raise LabError(f"{what}: not within {seconds:.0f} s")
        await asyncio.sleep(_LOOK_SECONDS)


async def scale(cluster: Cluster, namespace: str, name: str, replicas: int) -> None:
    """Returns when a Deployment has so many available Pods, and none that is about to go. Raises TimedOut."""
    from aiconform.cluster import wait

    found = await cluster.get("apps/v1", "Deployment", name, namespace)
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", **found}
    changed = await cluster.patch(deployment, {"spec": {"replicas": replicas}})

    def settled(seen: Object) -> bool | None:
        status = seen.get("status") or {}
        if status.get("observedGeneration", 0) < changed["metadata"]["generation"]:
            return None
        counts = {status.get(key) or 0 for key in ("replicas", "updatedReplicas", "availableReplicas")}
        return True if counts == {replicas} else None

    await wait.until(cluster, deployment, settled, seconds=SECONDS, what=f"{replicas} Pod(s) of {name}")
    if not replicas:
        labels = ",".join(f"{key}={value}" for key, value in deployment["spec"]["selector"]["matchLabels"].items())
        await wait.all_gone(cluster, "v1", "Pod", namespace, labels, seconds=SECONDS)


async def admission(cluster: Cluster, obj: Object, *, reached: bool) -> None:
    """Wait until the webhooks that have a say in `obj` are reached, or are not. Raises LabError.

    A Deployment is available a little before its Service leads to it. Nothing is made: it is asked by a dry run.
    """
    from aiconform.cluster import Rejected, ServerFailed

    deadline = asyncio.get_running_loop().time() + SECONDS
    while True:
        try:
            await cluster.create(obj, dry_run=True)
        except Rejected:
            found = True
        except ServerFailed as error:
            found, last = False, f": {error}"
        else:
            found, last = True, ""
        if found is reached:
            return
        if asyncio.get_running_loop().time() > deadline:
            state = f"are not reached after {SECONDS:.0f} s{last}" if reached else f"still answer after {SECONDS:.0f} s"
            raise LabError(f"the webhooks of a {obj['kind']} {state}")
        await asyncio.sleep(_LOOK_SECONDS)
