"""Waiting until what an add-on consists of works."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiconform.lab.addons.model import AddOn
from aiconform.lab.config import LabError

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

LOOK_SECONDS = 0.5
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


async def apply_definition(cluster: Cluster, definition: Object, seconds: float) -> None:
    """Apply a CRD and wait until it is established. Raises LabError, ClusterError."""
    deadline = asyncio.get_running_loop().time() + seconds
    seen = await cluster.apply(definition)
    while not _is_working(seen):
        if asyncio.get_running_loop().time() > deadline:
            name = definition["metadata"]["name"]
            raise LabError(f"the CRD {name} is not established after {seconds:.0f} s")
        await asyncio.sleep(LOOK_SECONDS / 5)
        seen = await cluster.get(seen["apiVersion"], seen["kind"], seen["metadata"]["name"])


async def works(cluster: Cluster, add_on: AddOn, objects: Sequence[Object], seconds: float) -> None:
    """Wait until workloads are available and APIs served. Raises LabError."""
    from aiconform.cluster.wait import describe

    groups: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for obj in objects:
        metadata = obj["metadata"]
        groups[obj["apiVersion"], obj["kind"], metadata.get("namespace", "")].add(metadata["name"])
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        missing: list[str] = []
        for (api_version, kind, namespace), names in groups.items():
            seen = {
                obj["metadata"]["name"]: obj
                async for obj in cluster.list(api_version, kind, namespace or None)
                if obj["metadata"]["name"] in names
            }
            missing += [
                f"{kind} {name}: {describe(seen[name]) if name in seen else 'missing'}"
                for name in sorted(names)
                if name not in seen or not _is_working(seen[name])
            ]
        if not missing:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise LabError(f"add-on {add_on.name} is not ready after {seconds:.0f} s: {'; '.join(missing)}")
        await asyncio.sleep(LOOK_SECONDS)


async def webhooks_answer(cluster: Cluster, add_on: AddOn, configurations: Sequence[Object], seconds: float) -> None:
    """Wait until the webhooks' Services answer: a Pod can be ready before its webhooks are. Raises LabError."""
    from aiconform.cluster import ClusterError

    services = [webhook["clientConfig"]["service"] for obj in configurations for webhook in obj.get("webhooks") or []]
    waiting = {(each["namespace"], f"https:{each['name']}:{each.get('port', 443)}"): "" for each in services}
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        for place in list(waiting):
            try:
                await cluster.proxied("services", *place, "/")
            except ClusterError as error:
                waiting[place] = str(error)
            else:
                del waiting[place]
        if not waiting:
            return
        if asyncio.get_running_loop().time() > deadline:
            missing = "; ".join(waiting.values())
            raise LabError(f"add-on {add_on.name}: its webhooks do not answer after {seconds:.0f} s: {missing}")
        await asyncio.sleep(LOOK_SECONDS)


def _is_working(obj: Object) -> bool:
    from aiconform.cluster import conditions

    status = obj.get("status") or {}
    if obj["kind"] in WORKLOADS:
        current = status.get("observedGeneration") == obj["metadata"]["generation"]
        if obj["kind"] == "DaemonSet":
            wanted = status.get("desiredNumberScheduled", 0)
            return bool(current and status.get("numberAvailable", 0) >= wanted)
        wanted = obj["spec"].get("replicas", 1)
        updated = status.get("updatedReplicas", 0) >= wanted
        return bool(current and updated and status.get("availableReplicas", 0) >= wanted)
    kind = "Established" if obj["kind"] == "CustomResourceDefinition" else "Available"
    return conditions.is_true(obj, kind)
