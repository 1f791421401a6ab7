"""A cluster that serves objects from memory: what the readers of the platform make of them, without a network."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterable
from typing import Any

from aiconform.platform import AcceleratorOptions, Accelerators, Platform
from aiconform.platform.images import Images
from support.empty_cluster import EmptyCluster

Object = dict[str, Any]


class Served(EmptyCluster):
    """Lists the objects by apiVersion and kind; selectors are not read."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self._objects = list(objects)

    async def groups(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for obj in self._objects:
            group, _, version = obj["apiVersion"].rpartition("/")
            found[group] = tuple(dict.fromkeys((*found.get(group, ()), version)))
        return found

    async def list(self, api_version: str, kind: str, *_: object, **__: object) -> AsyncIterator[Object]:  # type: ignore[override]
        for obj in self._objects:
            if (obj["apiVersion"], obj["kind"]) == (api_version, kind):
                yield copy.deepcopy(obj)


def platform(*objects: Object, **said: Any) -> Platform:
    """The platform of a cluster that serves these objects; `said` are fields of AcceleratorOptions."""
    return Platform(Served(objects), Images(), said=AcceleratorOptions(**said))  # type: ignore[arg-type]


async def found(*objects: Object, **said: Any) -> Accelerators:
    return await platform(*objects, **said).accelerators()


def node(
    name: str = "n1",
    *,
    taints: Iterable[Object] = (),
    labels: dict[str, str] | None = None,
    conditions: Iterable[Object] = (),
    capacity: dict[str, str] | None = None,
    **allocatable: str,
) -> Object:
    """A Ready Node; a taint is {"key": ..., "value": ..., "effect": ...}."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"taints": list(taints)},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}, *conditions],
            "allocatable": {"cpu": "8", "pods": "110", **allocatable},
            "capacity": {"cpu": "8", "pods": "110", **allocatable, **(capacity or {})},
        },
    }


def taint(text: str) -> Object:
    """From KEY[=VALUE]:EFFECT."""
    about, _, effect = text.rpartition(":")
    key, _, value = about.partition("=")
    return {"key": key, "effect": effect, **({"value": value} if value else {})}


def device(name: str, *, fields: Object | None = None, **attributes: Any) -> Object:
    """An entry of a ResourceSlice; an attribute is a string, an integer, a bool, or the API's own form as a dict."""

    def typed(value: Any) -> Object:
        if isinstance(value, dict):
            return value
        return {"bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "string": value}

    return {"name": name, "attributes": {key: typed(value) for key, value in attributes.items()}, **(fields or {})}


def resource_slice(driver: str, *devices: Object, on: str = "n1", **spec: Any) -> Object:
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": f"{on}-{driver}-{id(devices)}"},
        "spec": {
            "driver": driver,
            "nodeName": on,
            "pool": {"name": on, "generation": 1, "resourceSliceCount": 1},
            **({"devices": list(devices)} if devices else {}),
            **spec,
        },
    }


def device_class(name: str, *expressions: str, **spec: Any) -> Object:
    selectors = [{"cel": {"expression": expression}} for expression in expressions]
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": {"name": name},
        "spec": {"selectors": selectors, **spec},
    }


def claim(name: str, *results: Object) -> Object:
    """A ResourceClaim that was allocated these devices."""
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": name, "namespace": "team"},
        "status": {"allocation": {"devices": {"results": list(results)}}},
    }


def result(driver: str, name: str, *, pool: str = "n1", **fields: Any) -> Object:
    return {"request": "gpu", "driver": driver, "pool": pool, "device": name, **fields}


def pod(on: str = "n1", status: Object | None = None, **limits: str) -> Object:
    """A running Pod that asks for extended resources."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "user", "namespace": "team"},
        "spec": {"nodeName": on, "containers": [{"name": "c", "resources": {"limits": limits}}]},
        "status": {"phase": "Running", **(status or {})},
    }
