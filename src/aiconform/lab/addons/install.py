"""Installing add-ons into a lab that is up, and removing them."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aiconform.lab.addons.model import AddOn, Site
from aiconform.lab.addons.registry import ADD_ONS
from aiconform.lab.config import LabError, Paths
from aiconform.lab.machines.files import write_json

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object
    from aiconform.lab.machines.host import Progress

LABEL = "aiconform.dev/add-on"
# On two processors the slowest add-on takes less than a minute.
_READY_SECONDS = 240.0
_GONE_SECONDS = 90.0
_LOOK_SECONDS = 0.5
_DEFINITIONS = ("Namespace", "CustomResourceDefinition")
_WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


async def install(cluster: Cluster, name: str, site: Site, paths: Paths, progress: Progress) -> None:
    """Apply an add-on's objects and wait until they work. Raises LabError, ClusterError.

    Objects of an earlier version that this one no longer has are removed.
    """
    add_on = ADD_ONS[name]
    objects = [_labelled(obj, name) for obj in add_on.objects(site)]
    if not objects:
        return
    progress(f"installing {name}")
    record = _record(paths, name)
    before = _read(record)
    own = {obj["spec"]["group"] for obj in objects if obj["kind"] == "CustomResourceDefinition"}
    definitions = [obj for obj in objects if obj["kind"] in _DEFINITIONS]
    resources = [obj for obj in objects if obj["apiVersion"].partition("/")[0] in own]
    rest = [obj for obj in objects if obj not in definitions and obj not in resources]
    now = [_reference(obj) for obj in (*definitions, *rest, *resources)]
    # Recorded before anything is created, so that an interrupted installation can be removed.
    write_json(record, [*now, *(entry for entry in before if entry not in now)])
    # Namespaces first: sorted by the order of _DEFINITIONS.
    for obj in sorted(definitions, key=lambda obj: _DEFINITIONS.index(obj["kind"])):
        await cluster.apply(obj)
    await _until(cluster, add_on, [obj for obj in definitions if obj["kind"] == "CustomResourceDefinition"])
    for obj in rest:
        await _apply(cluster, obj)
    await _until(cluster, add_on, [obj for obj in rest if obj["kind"] in (*_WORKLOADS, "APIService")])
    await _until_reached(cluster, add_on, [obj for obj in rest if obj["kind"] in _WEBHOOKS])
    for obj in resources:
        await _apply(cluster, obj)
    made = [
        {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": made, "namespace": namespace}}
        for kind, namespace, made in add_on.makes
    ]
    await _until(cluster, add_on, made)
    for entry in before:
        if entry not in now:
            await _delete(cluster, entry)
    write_json(record, now)


async def uninstall(cluster: Cluster, name: str, paths: Paths, progress: Progress) -> None:
    """Remove all objects of an add-on, and all custom resources of its kinds. Raises LabError, ClusterError."""
    from aiconform.cluster import TimedOut, wait

    record = _record(paths, name)
    entries = _read(record)
    if not entries:
        return
    progress(f"removing {name}")
    definitions = [entry for entry in entries if entry["kind"] == "CustomResourceDefinition"]
    try:
        # Their controller has to run to remove finalizers.
        for entry in definitions:
            await _delete_all(cluster, entry)
        for entry in reversed([entry for entry in entries if entry not in definitions]):
            await _delete(cluster, entry)
        for entry in definitions:
            await _delete(cluster, entry)
        for entry in entries:
            if entry["kind"] in _DEFINITIONS and (found := await _get(cluster, entry)):
                await wait.gone(cluster, found, seconds=_GONE_SECONDS)
    except TimedOut as error:
        raise LabError(f"add-on {name} is not removed: {error}") from error
    record.unlink(missing_ok=True)


def installed(paths: Paths) -> tuple[str, ...]:
    """Names of the add-ons that may have objects in the cluster."""
    return tuple(sorted(file.stem for file in (paths.state / "add-ons").glob("*.json")))


def _record(paths: Paths, name: str) -> Path:
    return paths.state / "add-ons" / f"{name}.json"


def _read(record: Path) -> list[dict[str, str]]:
    try:
        entries: list[dict[str, str]] = json.loads(record.read_bytes())
    except FileNotFoundError:
        return []
    return entries


def _reference(obj: Object) -> dict[str, str]:
    metadata = obj["metadata"]
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": metadata["name"],
        "namespace": metadata.get("namespace", ""),
    }


def _labelled(obj: Object, name: str) -> Object:
    metadata = obj["metadata"]
    return {**obj, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), LABEL: name}}}


async def _apply(cluster: Cluster, obj: Object) -> None:
    """Apply an object, with retries while a webhook that has just started does not answer. Raises ClusterError."""
    from aiconform.cluster import NotFound, ServerFailed

    deadline = asyncio.get_running_loop().time() + _READY_SECONDS
    while True:
        try:
            await cluster.apply(obj)
        except (ServerFailed, NotFound):
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_LOOK_SECONDS)
        else:
            return


async def _until(cluster: Cluster, add_on: AddOn, objects: Sequence[Object]) -> None:
    """Wait until workloads are available, APIs served and definitions established. Raises LabError."""
    from aiconform.cluster.wait import describe

    groups: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for obj in objects:
        metadata = obj["metadata"]
        groups[obj["apiVersion"], obj["kind"], metadata.get("namespace", "")].add(metadata["name"])
    deadline = asyncio.get_running_loop().time() + _READY_SECONDS
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
                if name not in seen or not _works(seen[name])
            ]
        if not missing:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise LabError(f"add-on {add_on.name} is not ready after {_READY_SECONDS:.0f} s: {'; '.join(missing)}")
        await asyncio.sleep(_LOOK_SECONDS)


async def _until_reached(cluster: Cluster, add_on: AddOn, configurations: Sequence[Object]) -> None:
    """Wait until the webhooks' Services answer: a Pod can be ready before its webhooks are. Raises LabError."""
    from aiconform.cluster import ClusterError

    services = [webhook["clientConfig"]["service"] for obj in configurations for webhook in obj.get("webhooks") or []]
    waiting = {(each["namespace"], f"https:{each['name']}:{each.get('port', 443)}"): "" for each in services}
    deadline = asyncio.get_running_loop().time() + _READY_SECONDS
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
            raise LabError(f"add-on {add_on.name}: its webhooks do not answer after {_READY_SECONDS:.0f} s: {missing}")
        await asyncio.sleep(_LOOK_SECONDS)


def _works(obj: Object) -> bool:
    from aiconform.cluster import conditions

    status = obj.get("status") or {}
    if obj["kind"] in _WORKLOADS:
        current = status.get("observedGeneration") == obj["metadata"]["generation"]
        if obj["kind"] == "DaemonSet":
            wanted = status.get("desiredNumberScheduled", 0)
            return bool(current and status.get("numberAvailable", 0) >= wanted)
        wanted = obj["spec"].get("replicas", 1)
        updated = status.get("updatedReplicas", 0) >= wanted
        return bool(current and updated and status.get("availableReplicas", 0) >= wanted)
    kind = "Established" if obj["kind"] == "CustomResourceDefinition" else "Available"
    return conditions.is_true(obj, kind)


async def _get(cluster: Cluster, entry: dict[str, str]) -> Object | None:
    from aiconform.cluster import NotFound

    try:
        return await cluster.get(entry["apiVersion"], entry["kind"], entry["name"], entry["namespace"] or None)
    except NotFound:
        return None


async def _delete(cluster: Cluster, entry: dict[str, str]) -> None:
    if found := await _get(cluster, entry):
        await cluster.delete({"apiVersion": entry["apiVersion"], "kind": entry["kind"], **found})


async def _delete_all(cluster: Cluster, entry: dict[str, str]) -> None:
    """Delete all objects of a CRD's kind and wait until they are gone. Raises TimedOut."""
    from aiconform.cluster import NotFound, wait

    definition = await _get(cluster, entry)
    if definition is None:
        return
    spec = definition["spec"]
    version = next(version["name"] for version in spec["versions"] if version["served"])
    api_version, kind = f"{spec['group']}/{version}", spec["names"]["kind"]
    try:
        objects = [obj async for obj in cluster.list(api_version, kind)]
    except NotFound:
        return
    for obj in objects:
        await cluster.delete(obj)
    if objects:
        await wait.all_gone(cluster, api_version, kind, None, "", seconds=_GONE_SECONDS)
