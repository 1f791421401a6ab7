"""Controllers that a fault stops, starts or makes unreachable, and waiting until that has taken effect."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from aiconform.lab.config import LabError

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

SECONDS = 90.0
_LOOK_SECONDS = 0.3
_LEASES = "coordination.k8s.io/v1"


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
        await wait.all_gone(cluster, "v1", "Pod", namespace, _labels(deployment), seconds=SECONDS)


async def restart(cluster: Cluster, namespace: str, name: str, change: Callable[[Object], None]) -> None:
    """Run a Deployment of one Pod with a changed spec of its Pod; returns when only the new Pod is left.

    The new Pod is ready before the old one ends: the cluster's webhooks and APIs that it serves answer all the time, so
    that other faults can change meanwhile. Raises TimedOut.
    """
    from aiconform.cluster import conditions, wait

    found = await cluster.get("apps/v1", "Deployment", name, namespace)
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", **found}
    spec = deployment["spec"]["template"]["spec"]
    change(spec)
    note = {"aiconform.dev/restarted": str(time.time_ns())}
    template = {"metadata": {"annotations": note}, "spec": {key: spec[key] for key in ("containers", "volumes")}}
    await cluster.patch(deployment, {"spec": {"template": template}})

    def replaced(pods: Sequence[Object]) -> bool | None:
        new = [pod for pod in pods if note.items() <= (pod["metadata"].get("annotations") or {}).items()]
        return True if len(pods) == len(new) == 1 and conditions.is_true(new[0], "Ready") else None

    what = f"a new Pod of {name}, and the end of the old one"
    labels = _labels(deployment)
    await wait.among(cluster, "v1", "Pod", namespace, replaced, labels=labels, seconds=SECONDS, what=what)


async def configure(
    cluster: Cluster, namespace: str, name: str, config: tuple[str, str], changed: str, content: str | None
) -> None:
    """Restart a Deployment with another content of its configuration file, or with its own if that is None.

    config: the ConfigMap and its key. changed: name for the ConfigMap that is mounted instead: a kubelet can give a new
    Pod the earlier content of one that was only just changed.
    """
    original, key = config

    def mount(spec: Object) -> None:
        (volume,) = [each for each in spec["volumes"] if "configMap" in each]
        volume["configMap"]["name"] = original if content is None else changed

    about = {"name": changed, "namespace": namespace}
    other: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {key: content or ""}}
    if content is not None:
        await cluster.apply(other)
    await restart(cluster, namespace, name, mount)
    if content is None:
        await cluster.delete(other)


def _labels(deployment: Object) -> str:
    return ",".join(f"{key}={value}" for key, value in deployment["spec"]["selector"]["matchLabels"].items())


async def leads(cluster: Cluster, namespace: str, labels: str) -> None:
    """Wait until one of the existing Pods with these labels holds a Lease of the Namespace. Raises TimedOut.

    Leases of Pods that no longer exist are deleted: they would still be valid for a quarter of a minute.
    """
    from aiconform.cluster import wait

    names = [pod["metadata"]["name"] async for pod in cluster.list("v1", "Pod", namespace, labels=labels)]

    def is_held(lease: Object) -> bool:
        holder = lease["spec"].get("holderIdentity") or ""
        return any(holder.startswith(f"{name}_") for name in names)

    def held(leases: Sequence[Object]) -> bool | None:
        return True if any(map(is_held, leases)) else None

    async for lease in cluster.list(_LEASES, "Lease", namespace):
        if not is_held(lease):
            await cluster.delete(lease)
    what = f"one of {', '.join(names)} to lead"
    await wait.among(cluster, _LEASES, "Lease", namespace, held, seconds=SECONDS, what=what)


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
