"""The Gateway, the model servers and the HTTPRoute that the probe creates, and when they are ready for requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiconform.check import Access
from aiconform.checks.ai_inference import model_servers
from aiconform.checks.ai_inference.model_servers import CHAT, HEADER, LONG, MODELS
from aiconform.cluster import NotFound, Object, Stuck, TimedOut, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.meshes import advice, injected, without_sidecar
from aiconform.kit.network import NETWORK_ACCESS, denied
from aiconform.kit.pods import POD_ACCESS, pod_anywhere, ready, trouble_of_the_node
from aiconform.platform import Platform, gateways
from aiconform.platform.gateways import GROUP

BACKENDS = ("alpha", "beta")
WEIGHTS = {"alpha": 80, "beta": 20}
CHANGED = {"alpha": 20, "beta": 80}
OWN = ("server", "client")
"""The containers of the check's Pods."""
_SERVER = "aiconform.dev/model-server"

ACCESS = (
    *POD_ACCESS,
    *NETWORK_ACCESS,
    Access("", "services", ("create", "get", "list", "watch", "delete")),
    Access(GROUP, "gatewayclasses", ("list", "watch"), everywhere=True),
    Access(GROUP, "gateways", ("create", "get", "list", "watch", "delete")),
    # The platform's own show what one of their class needs.
    Access(GROUP, "gateways", ("get", "list"), everywhere=True),
    Access(GROUP, "httproutes", ("create", "get", "list", "watch", "patch", "delete")),
    Access("apiextensions.k8s.io", "customresourcedefinitions", ("get",), everywhere=True),
)


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


def route(name: str, api_version: str, parent: Object, host: str, services: Mapping[str, str]) -> Object:
    """parent: the reference to the Gateway."""
    return {
        "apiVersion": api_version,
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {"parentRefs": [parent], "hostnames": [host], "rules": rules(services, WEIGHTS)},
    }


async def serve(platform: Platform, scratch: Scratch, backend: str, patience: float, kind: str = "ClusterIP") -> Object:
    """Create a model server and its Service of this type; returns the server's Pod when it is ready.

    Both have the name of the Pod.
    """
    name = scratch.name(backend)
    labels = {_SERVER: name}
    ports = [{"name": "http", "port": model_servers.PORT, "targetPort": "http"}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"type": kind, "selector": labels, "ports": ports},
    }
    server = model_servers.server(backend, platform.images["shell"])
    volumes = [{"name": "www", "emptyDir": {"sizeLimit": "1Mi"}}]
    await scratch.create(service)
    made = await scratch.create(without_sidecar(pod_anywhere(name, [server], labels=labels, volumes=volumes)))
    return await wait.until(platform.cluster, made, ready, seconds=patience, what=f"model server {backend} to be ready")


async def undisturbed(platform: Platform, pods: Iterable[Object], *, failed: bool) -> None:
    """Raises Stuck if others ended one of these Pods, or put something into it and requests failed.

    Or if requests failed and its Namespace may deny it the traffic. What requests met then says nothing of the Gateway.
    """
    for pod in pods:
        metadata = pod["metadata"]
        try:
            seen = await platform.cluster.get("v1", "Pod", metadata["name"], metadata["namespace"])
        except NotFound:
            raise Stuck(f"Pod {metadata['name']} was deleted by others while requests were sent") from None
        trouble = trouble_of_the_node(seen)
        if trouble is None and "deletionTimestamp" in seen["metadata"]:
            trouble = "it is being deleted"
        if trouble is None and wait.ended(seen):
            trouble = wait.describe(seen)
        if trouble is not None:
            raise Stuck(f"Pod {metadata['name']} ended while requests were sent: {trouble}")
        if failed and (names := injected(seen, OWN)):
            raise Stuck(f"requests failed, and {advice(names)}")
        if failed and (why := await shut_off(platform, seen)):
            raise Stuck(f"requests failed, and {why}")


async def shut_off(platform: Platform, pod: Object) -> str:
    """The NetworkPolicies that may keep requests from this Pod of the check, in words; empty if there are none."""
    is_server = _SERVER in pod["metadata"].get("labels", {})
    return await denied(platform.cluster, pod, "Ingress" if is_server else "Egress")


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
