"""Installing add-ons into a lab that is up, and removing them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiconform.lab.addons.model import AddOn, Site
from aiconform.lab.addons.registry import ADD_ONS
from aiconform.lab.addons.working import (
    LOOK_SECONDS,
    WORKLOADS,
    apply_definition,
    webhooks_answer,
    works,
)
from aiconform.lab.config import LabError, Paths
from aiconform.lab.machines import pace
from aiconform.lab.machines.files import write_json

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object
    from aiconform.lab.machines.host import Progress

LABEL = "aiconform.dev/add-on"
# On two quiet processors all add-ons together take a minute; see pace.
_READY_SECONDS = 300.0
_GONE_SECONDS = 90.0
# The API server admits more, but works on two processors.
_AT_ONCE = 4
_DEFINITIONS = ("Namespace", "CustomResourceDefinition")
_WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")


@dataclass(frozen=True)
class _Installation:
    """An add-on's objects, in the order in which they are applied."""

    add_on: AddOn
    definitions: list[Object]
    """Namespaces and CRDs."""
    rest: list[Object]
    webhooks: list[Object]
    """Their configurations. Before the Pods answer, they would hold up the other add-ons' objects."""
    resources: list[Object]
    """Objects of its own CRDs."""

    @property
    def references(self) -> list[dict[str, str]]:
        return [_reference(obj) for obj in (*self.definitions, *self.rest, *self.webhooks, *self.resources)]


async def install(cluster: Cluster, names: Sequence[str], site: Site, paths: Paths, progress: Progress) -> None:
    """Apply the objects of add-ons and wait until all of them work. Raises LabError, ClusterError.

    Each is installed after those that it needs, and otherwise beside the others. Objects of an earlier version that
    this one no longer has are removed.
    """
    all_of_them = [_sorted(ADD_ONS[name], site) for name in names]
    installations = [each for each in all_of_them if each.references]
    if not installations:
        return
    progress(f"installing {', '.join(each.add_on.name for each in installations)}")
    before = {each.add_on.name: _read(_record(paths, each.add_on.name)) for each in installations}
    for each in installations:
        # Recorded before anything is created, so that an interrupted installation can be removed.
        name, now = each.add_on.name, each.references
        write_json(_record(paths, name), [*now, *(entry for entry in before[name] if entry not in now)])
    # Those of all add-ons at once: after CRDs the API server computes its OpenAPI specification anew.
    seconds = pace.limit(_READY_SECONDS)
    definitions = [obj for each in installations for obj in each.definitions]
    await _all(_apply(cluster, obj, seconds) for obj in definitions if obj["kind"] == "Namespace")
    await _all(
        apply_definition(cluster, obj, seconds) for obj in definitions if obj["kind"] == "CustomResourceDefinition"
    )
    slots = asyncio.Semaphore(2 * (os.cpu_count() or 1))
    there = {name: asyncio.Event() for name in names}
    for name in there.keys() - {each.add_on.name for each in installations}:
        there[name].set()

    async def in_turn(each: _Installation) -> None:
        for needed in each.add_on.needs:
            await there[needed].wait()
        async with slots:
            await _install(cluster, each, site, seconds)
        there[each.add_on.name].set()
        progress(f"{each.add_on.name} works")

    await _all((in_turn(each) for each in installations), at_once=len(installations))
    for each in installations:
        now = each.references
        for entry in before[each.add_on.name]:
            if entry not in now:
                await _delete(cluster, entry)
        write_json(_record(paths, each.add_on.name), now)


def _sorted(add_on: AddOn, site: Site) -> _Installation:
    objects = [_labelled(obj, add_on.name) for obj in add_on.objects(site)]
    own = {obj["spec"]["group"] for obj in objects if obj["kind"] == "CustomResourceDefinition"}
    parts: dict[str, list[Object]] = {"definitions": [], "rest": [], "webhooks": [], "resources": []}
    for obj in objects:
        if obj["kind"] in _DEFINITIONS:
            part = "definitions"
        elif obj["apiVersion"].partition("/")[0] in own:
            part = "resources"
        else:
            part = "webhooks" if obj["kind"] in _WEBHOOKS else "rest"
        parts[part].append(obj)
    return _Installation(add_on, **parts)


async def _install(cluster: Cluster, each: _Installation, site: Site, seconds: float) -> None:
    workloads = [obj for obj in each.rest if obj["kind"] in WORKLOADS]
    # A Pod that is created before its ServiceAccount is refused, and tried again only later.
    await _all(_apply(cluster, obj, seconds) for obj in each.rest if obj not in workloads)
    await _all(_apply(cluster, obj, seconds) for obj in workloads)
    await works(cluster, each.add_on, [obj for obj in each.rest if obj["kind"] in (*WORKLOADS, "APIService")], seconds)
    await _all(_apply(cluster, obj, seconds) for obj in each.webhooks)
    await webhooks_answer(cluster, each.add_on, each.webhooks, seconds)
    for obj in each.resources:
        await _apply(cluster, obj, seconds)
    made = [
        {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": made, "namespace": namespace}}
        for kind, namespace, made in each.add_on.makes
    ]
    await works(cluster, each.add_on, made, seconds)
    await each.add_on.shown(cluster, site, seconds)


async def _all(steps: Iterable[Coroutine[Any, Any, None]], at_once: int = _AT_ONCE) -> None:
    """Run the steps side by side; the first error ends the others."""
    slots = asyncio.Semaphore(at_once)

    async def in_turn(step: Coroutine[Any, Any, None]) -> None:
        async with slots:
            await step

    tasks = [asyncio.create_task(in_turn(step)) for step in steps]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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
            await _delete_all(cluster, entry, pace.limit(_GONE_SECONDS))
        for entry in reversed([entry for entry in entries if entry not in definitions]):
            await _delete(cluster, entry)
        for entry in definitions:
            await _delete(cluster, entry)
        for entry in entries:
            if entry["kind"] in _DEFINITIONS and (found := await _get(cluster, entry)):
                await wait.gone(cluster, found, seconds=pace.limit(_GONE_SECONDS))
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


async def _apply(cluster: Cluster, obj: Object, seconds: float) -> None:
    """Apply an object, with retries while a webhook that has just started does not answer. Raises ClusterError."""
    from aiconform.cluster import NotFound, ServerFailed

    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            await cluster.apply(obj)
        except (ServerFailed, NotFound):
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(LOOK_SECONDS)
        else:
            return


async def _get(cluster: Cluster, entry: dict[str, str]) -> Object | None:
    from aiconform.cluster import NotFound

    try:
        return await cluster.get(entry["apiVersion"], entry["kind"], entry["name"], entry["namespace"] or None)
    except NotFound:
        return None


async def _delete(cluster: Cluster, entry: dict[str, str]) -> None:
    if found := await _get(cluster, entry):
        await cluster.delete({"apiVersion": entry["apiVersion"], "kind": entry["kind"], **found})


async def _delete_all(cluster: Cluster, entry: dict[str, str], seconds: float) -> None:
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
        await wait.all_gone(cluster, api_version, kind, None, "", seconds=seconds)
