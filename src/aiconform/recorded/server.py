"""Answers requests as the API server of a recorded platform did. Reads only, on this machine only."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from aiconform.cluster import Object, Resource
from aiconform.recorded import kinds, selectors
from aiconform.recorded.folder import BEHIND, Behind, RecordedPlatform

_LONGEST_WATCH_SECONDS = 3600.0
_NOTHING_LISTENS = "error trying to reach service: dial tcp: connect: connection refused"


@asynccontextmanager
async def replaying(platform: RecordedPlatform, port: int = 0) -> AsyncIterator[str]:
    """Serve the platform on the loopback interface; yields the server's URL. `port` 0 takes a free one.

    Raises OSError if the port is taken.
    """
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", _Replay(platform).answer)
    # Watches never end by themselves.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class _Refusal(Exception):
    """What the API server answers in place of an object: a Status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason

    def response(self) -> web.Response:
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "code": self.code,
        }
        return web.json_response(status, status=self.code)


class _Replay:
    """The answers of one recorded platform."""

    def __init__(self, platform: RecordedPlatform) -> None:
        self._platform = platform
        self._resources = {(each.api_version, each.plural): each for each in platform.served}
        self._objects: dict[tuple[str, str], dict[tuple[str, str], Object]] = defaultdict(dict)
        for obj in platform.objects:
            about = obj["metadata"]
            self._objects[obj["apiVersion"], obj["kind"]][about.get("namespace", ""), about["name"]] = obj

    async def answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request, request.path.strip("/").split("/"))
        except _Refusal as refusal:
            return refusal.response()

    async def _answer(self, request: web.Request, path: Sequence[str]) -> web.StreamResponse:
        match path:
            case ["version"]:
                return web.json_response(_version(self._platform.version))
            case ["healthz" | "livez" | "readyz"]:
                return web.Response(text="ok")
            case ["api"]:
                return web.json_response({"kind": "APIVersions", "versions": ["v1"]})
            case ["apis"]:
                groups = list(self._groups().values())
                return web.json_response({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
            case ["apis", group] if group in self._groups():
                return web.json_response({"kind": "APIGroup", "apiVersion": "v1", **self._groups()[group]})
            case ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] if request.method == "POST":
                return self._review(await _json(request))
            case ["api", version, *rest]:
                return await self._versioned(request, version, rest)
            case ["apis", group, version, *rest]:
                return await self._versioned(request, f"{group}/{version}", rest)
        return _no_page()

    async def _versioned(self, request: web.Request, api_version: str, rest: Sequence[str]) -> web.StreamResponse:
        served = [each for each in self._platform.served if each.api_version == api_version]
        if not served:
            return _no_page()
        match rest:
            case []:
                return web.json_response(_resource_list(api_version, served))
            case ["namespaces", namespace, plural, *names] if (api_version, plural) in self._resources:
                return await self._resource(request, self._resources[api_version, plural], namespace, names)
            case [plural, *names] if (api_version, plural) in self._resources:
                return await self._resource(request, self._resources[api_version, plural], "", names)
        return _no_page()

    async def _resource(
        self, request: web.Request, resource: Resource, namespace: str, names: Sequence[str]
    ) -> web.StreamResponse:
        if request.method != "GET":
            said = "the server does not allow this method on the requested resource: a recorded platform is read-only"
            raise _Refusal(405, "MethodNotAllowed", said)
        kind: Behind | None = next((each for each in BEHIND if each == resource.plural), None)
        match names:
            case []:
                return await self._list(request, resource, namespace)
            case [name]:
                self._allow("get", resource)
                return web.json_response(self._get(resource, namespace, name))
            case [name, "proxy", *path] if kind:
                self._allow("get", resource, "proxy")
                return self._proxied(request, resource, kind, namespace, name, "/".join(path))
        return _no_page()

    def _allow(self, verb: str, resource: Resource, subresource: str = "") -> None:
        """Raises _Refusal for what the recording's credentials were refused."""
        group = resource.api_version.rpartition("/")[0]
        name = _qualified(resource.plural + (f"/{subresource}" if subresource else ""), group)
        if (verb, name) in self._platform.refuses:
            said = f'{name} is forbidden: User "recorded" cannot {verb} resource "{resource.plural}"'
            raise _Refusal(403, "Forbidden", f'{said} in API group "{group}" at the cluster scope')

    def _get(self, resource: Resource, namespace: str, name: str) -> Object:
        found = self._objects[resource.api_version, resource.kind].get((namespace, name))
        if found is None:
            group = resource.api_version.rpartition("/")[0]
            raise _Refusal(404, "NotFound", f'{_qualified(resource.plural, group)} "{name}" not found')
        return found

    async def _list(self, request: web.Request, resource: Resource, namespace: str) -> web.StreamResponse:
        query = request.query
        watched = query.get("watch") in ("1", "true")
        self._allow("watch" if watched else "list", resource)
        try:
            labels = selectors.labels(query.get("labelSelector", ""))
            fields = selectors.fields(query.get("fieldSelector", ""), kinds.fields(resource.api_version, resource.kind))
        except selectors.BadSelector as error:
            raise _Refusal(400, "BadRequest", str(error)) from error
        found = [
            (key, obj)
            for key, obj in sorted(self._objects[resource.api_version, resource.kind].items())
            if (not namespace or key[0] == namespace) and labels(obj) and fields(obj)
        ]
        if watched:
            return await _watch(request, resource, [obj for _, obj in found])
        if query.get("continue"):
            start = _start(query["continue"])
            found = [entry for entry in found if entry[0] > start]
        metadata: dict[str, Any] = {"resourceVersion": "1"}
        limit = int(query["limit"]) if query.get("limit", "").isdigit() else 0
        if limit and len(found) > limit:
            metadata["continue"] = _token(found[limit - 1][0])
            if not (query.get("labelSelector") or query.get("fieldSelector")):
                metadata["remainingItemCount"] = len(found) - limit
            found = found[:limit]
        items = [_item(resource, obj) for _, obj in found]
        whole = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata}
        return web.json_response({**whole, "items": items})

    def _proxied(
        self, request: web.Request, resource: Resource, kind: Behind, namespace: str, name: str, path: str
    ) -> web.Response:
        """What a Pod or Service answered; `name` is NAME, NAME:PORT or SCHEME:NAME:PORT."""
        parts = name.split(":")
        name, port = (parts[-2], parts[-1]) if len(parts) > 1 else (parts[0], "")
        ports = _ports(self._get(resource, namespace, name))
        number = ports.get(port, port) if port else next(iter(ports.values()), "80")
        query = tuple(sorted(request.query.items()))
        at_port = {
            place: page
            for place, page in self._platform.pages.items()
            if (place.kind, place.namespace, place.name) == (kind, namespace, name)
            and ports.get(place.port, place.port) == number
        }
        for place, page in at_port.items():
            # A page that was recorded without a query is the answer to any.
            if place.path == f"/{path}" and place.query in (query, ()):
                return web.Response(text=page.body, status=page.status, headers={"Content-Type": page.type})
        if at_port:
            return _no_page()
        raise _Refusal(503, "ServiceUnavailable", _NOTHING_LISTENS)

    def _review(self, review: Any) -> web.Response:
        asked = review["spec"].get("resourceAttributes") or {}
        name = asked.get("resource", "") + (f"/{asked['subresource']}" if asked.get("subresource") else "")
        refused = (asked.get("verb", ""), _qualified(name, asked.get("group", ""))) in self._platform.refuses
        return web.json_response({**review, "status": {"allowed": not refused}}, status=201)

    def _groups(self) -> dict[str, Object]:
        """Group -> its entry in the list of groups; the first served version is the preferred one."""
        versions: dict[str, list[dict[str, str]]] = defaultdict(list)
        for resource in self._platform.served:
            group, _, version = resource.api_version.rpartition("/")
            entry = {"groupVersion": resource.api_version, "version": version}
            if group and entry not in versions[group]:
                versions[group].append(entry)
        return {
            group: {"name": group, "versions": each, "preferredVersion": each[0]} for group, each in versions.items()
        }


async def _json(request: web.Request) -> Any:
    """Raises _Refusal for a body in Kubernetes' binary form, which kubectl sends for its own kinds."""
    if request.content_type != "application/json":
        raise _Refusal(415, "UnsupportedMediaType", "the body of the request must be application/json")
    return await request.json()


async def _watch(request: web.Request, resource: Resource, objects: Sequence[Object]) -> web.StreamResponse:
    """Existing objects as ADDED unless the watch begins at a resourceVersion; then nothing, for nothing changes."""
    query = request.query
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    initial = query.get("sendInitialEvents") == "true"
    if initial or query.get("resourceVersion", "") in ("", "0"):
        for obj in objects:
            await _send(response, "ADDED", obj)
    if initial:
        mark = {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}
        await _send(response, "BOOKMARK", {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": mark})
    given = query.get("timeoutSeconds", "")
    await asyncio.sleep(float(given) if given.isdigit() and int(given) else _LONGEST_WATCH_SECONDS)
    return response


async def _send(response: web.StreamResponse, kind: str, obj: Object) -> None:
    await response.write(json.dumps({"type": kind, "object": obj}).encode() + b"\n")


def _no_page() -> web.Response:
    return web.Response(text="404 page not found\n", status=404)


def _version(version: str) -> dict[str, str]:
    major, minor, *_ = [*version.removeprefix("v").split("."), "", ""]
    return {"major": major, "minor": minor, "gitVersion": version, "platform": "linux/amd64"}


def _resource_list(api_version: str, served: Sequence[Resource]) -> Object:
    resources = [
        {
            "name": each.plural,
            "singularName": each.kind.lower(),
            "namespaced": each.namespaced,
            "kind": each.kind,
            "verbs": sorted(each.verbs),
        }
        for each in served
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": resources}


def _qualified(resource: str, group: str) -> str:
    """As messages name a resource: with its group, if it has one."""
    return f"{resource}.{group}" if group else resource


def _item(resource: Resource, obj: Object) -> Object:
    if not kinds.is_own(resource.api_version):
        return obj
    return {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}


def _ports(obj: Object) -> dict[str, str]:
    """A Service's names of its ports and its numbers -> the numbers; those of a Pod's containers have no names here."""
    spec = obj.get("spec") or {}
    found = {str(port["port"]): str(port["port"]) for port in spec.get("ports") or []}
    found |= {port["name"]: str(port["port"]) for port in spec.get("ports") or [] if "name" in port}
    declared = [port for container in spec.get("containers") or [] for port in container.get("ports") or []]
    return found | {str(port["containerPort"]): str(port["containerPort"]) for port in declared}


def _token(key: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _start(token: str) -> tuple[str, str]:
    try:
        namespace, name = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error) as error:
        raise _Refusal(400, "BadRequest", "continue key is not valid") from error
    return namespace, name
