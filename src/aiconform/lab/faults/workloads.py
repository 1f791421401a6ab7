"""Controllers that a fault stops, starts or makes unreachable, and waiting until that has taken effect."""

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
    """Poll until the condition holds. Raises LabError if it does not in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await holds():
        if asyncio.get_running_loop().time() > deadline:
            raise LabError(f"{what}: not within {seconds:.0f} s")
        await asyncio.sleep(_LOOK_SECONDS)


async def scale(cluster: Cluster, namespace: str, name: str, replicas: int) -> None:
    """Scale a Deployment; returns when all its Pods are available and none is terminating. Raises TimedOut."""
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
    """Wait until the webhooks for `obj` answer, or no longer answer. Raises LabError.

    A Deployment becomes available a little before its Service routes to it. Dry runs show it; no object is created.
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
            state = f"do not answer after {SECONDS:.0f} s{last}" if reached else f"still answer after {SECONDS:.0f} s"
            raise LabError(f"the webhooks for a {obj['kind']} {state}")
        await asyncio.sleep(_LOOK_SECONDS)
