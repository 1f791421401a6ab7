"""The Gateway, the model servers and the HTTPRoute that the probe creates, and when they are ready for requests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiconform.check import Access
from aiconform.checks.ai_inference import model_servers
from aiconform.checks.ai_inference.model_servers import CHAT, HEADER, LONG, MODELS
from aiconform.cluster import Object, TimedOut, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.pods import POD_ACCESS, pod_anywhere, ready
from aiconform.platform import Platform, gateways
from aiconform.platform.gateways import GROUP

BACKENDS = ("alpha", "beta")
WEIGHTS = {"alpha": 80, "beta": 20}
CHANGED = {"alpha": 20, "beta": 80}

ACCESS = (
    *POD_ACCESS,
    Access("", "services", ("create", "get", "list", "watch", "delete")),
    Access(GROUP, "gatewayclasses", ("list", "watch")),
    Access(GROUP, "gateways", ("create", "get", "list", "watch", "delete")),
    Access(GROUP, "httproutes", ("create", "get", "list", "watch", "patch", "delete")),
    Access("apiextensions.k8s.io", "customresourcedefinitions", ("get",)),
)


def gateway(name: str, api_version: str, class_name: str) -> Object:
    return {
        "apiVersion": api_version,
        "kind": "Gateway",
        "metadata": {"name": name},
        "spec": {
            "gatewayClassName": class_name,
            "listeners": [
                {
                    "name": "http",
                    "protocol": "HTTP",
                    "port": 80,
                    "allowedRoutes": {"namespaces": {"from": "Same"}},
                }
            ],
        },
    }


def rules(services: Mapping[str, str], weights: Mapping[str, int]) -> list[Object]:
    """Rules by a header or a path that names a model, and by weights. `services`: server -> its Service."""

    def reference(backend: str, **fields: Any) -> Object:
        return {"name": services[backend], "port": model_servers.PORT, **fields}

    def path(value: str) -> Object:
        return {"path": {"type": "PathPrefix", "value": value}}

    by_header = [
        {
            "matches": [{**path(CHAT), "headers": [{"type": "Exact", "name": HEADER, "value": backend}]}],
            "backendRefs": [reference(backend)],
        }
        for backend in services
    ]
    by_path = [{"matches": [path(f"{MODELS}/{backend}")], "backendRefs": [reference(backend)]} for backend in services]
    split = {
        "matches": [path(CHAT), path(LONG)],
        "backendRefs": [reference(backend, weight=weight) for backend, weight in weights.items()],
    }
    return [*by_header, *by_path, split]


def route(name: str, api_version: str, parent: str, host: str, services: Mapping[str, str]) -> Object:
    return {
        "apiVersion": api_version,
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {"parentRefs": [{"name": parent}], "hostnames": [host], "rules": rules(services, WEIGHTS)},
    }


async def serve(platform: Platform, scratch: Scratch, backend: str, patience: float) -> str:
    """Create a model server; returns the name of its Service when the server is ready."""
    labels = {"aiconform.dev/model-server": scratch.name(backend)}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": scratch.name(backend)},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": model_servers.PORT, "targetPort": "http"}]},
    }
    server = model_servers.server(backend, platform.images["shell"])
    volumes = [{"name": "www", "emptyDir": {"sizeLimit": "1Mi"}}]
    made, _ = await asyncio.gather(
        scratch.create(pod_anywhere(scratch.name(backend), [server], labels=labels, volumes=volumes)),
        scratch.create(service),
    )
    await wait.until(platform.cluster, made, ready, seconds=patience, what=f"model server {backend} to be ready")
    return str(service["metadata"]["name"])  # type: ignore[index]


async def programmed(platform: Platform, made: Object, seconds: float) -> tuple[bool, str, str]:
    """(whether it is programmed and has an address, its conditions in words, its address)."""
    last = made

    def condition(seen: Object) -> Object | None:
        nonlocal last
        last = seen
        return seen if gateways.condition(seen, "Programmed")[0] and address_of(seen) else None

    name = made["metadata"]["name"]
    try:
        seen = await wait.until(platform.cluster, made, condition, seconds=seconds, what=f"Gateway {name}")
    except TimedOut:
        words = [gateways.condition(last, kind)[1] for kind in ("Accepted", "Programmed")]
        if gateways.condition(last, "Programmed")[0]:
            words.append("it has no address")
        return False, "; ".join(word for word in words if word) or "no condition at all", ""
    return True, gateways.condition(seen, "Programmed")[1], address_of(seen)


def address_of(seen: Object) -> str:
    """The first address, preferably an IP address, as it is written in a URL."""
    found = (seen.get("status") or {}).get("addresses") or []
    found = sorted(found, key=lambda entry: entry.get("type", "IPAddress") != "IPAddress")
    address = str(found[0]["value"]) if found else ""
    return f"[{address}]" if ":" in address else address


async def accepted(platform: Platform, made: Object, seconds: float) -> tuple[bool, str]:
    """(whether the route is accepted and all its references are resolved, its conditions in words)."""
    last = made

    def condition(seen: Object) -> bool | None:
        nonlocal last
        last = seen
        return True if all(gateways.parent_condition(seen, kind)[0] for kind in kinds) else None

    kinds = ("Accepted", "ResolvedRefs")
    try:
        await wait.until(platform.cluster, made, condition, seconds=seconds, what="the HTTPRoute to be accepted")
    except TimedOut:
        words = [gateways.parent_condition(last, kind)[1] for kind in kinds]
        return False, "; ".join(word for word in words if word) or "no condition of any parent"
    return True, "accepted, with all references resolved"
