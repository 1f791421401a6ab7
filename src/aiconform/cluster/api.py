"""The Kubernetes API for the rest of this tool: objects are plain dicts, errors are ClusterError."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

from aiconform.cluster import behind, config
from aiconform.cluster.errors import Conflict, NotFound
from aiconform.cluster.reading import a_list, an_event, an_object, reading
from aiconform.cluster.refusals import refusal
from aiconform.cluster.transport import Request, Transport

Object = dict[str, Any]
PAGE = 500  # objects per page, as kubectl asks for
FIELD_MANAGER = "aiconform"


@dataclass(frozen=True)
class Resource:
    """A served resource: `plural` is the name in paths and in RBAC."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str]

    def path(self, namespace: str | None, name: str | None = None) -> str:
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


@dataclass(frozen=True)
class WatchEvent:
    """One event of a watch."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object


class Cluster:
    """A connection. Use `connect`."""

    def __init__(self, target: config.Target) -> None:
        self.context = target.context
        self._transport = Transport(target)
        self._resources: dict[str, dict[str, Resource]] = {}
        self._discovering: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def server(self) -> str:
        return self._transport.server

    # Objects

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object:
        resource = await self.resource(api_version, kind)
        path = resource.path(namespace, name)
        return an_object(await self._transport.json(Request("GET", path, "get", resource.plural)), path)

    async def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Object]:
        """All objects, page by page. After an expired continue token, the rest comes in one consistent list."""
        resource = await self.resource(api_version, kind)
        query = {"limit": str(PAGE), "labelSelector": labels, "fieldSelector": fields}
        while True:
            page = await self._transport.json(Request("GET", resource.path(namespace), "list", resource.plural, query))
            items, about = a_list(page, api_version, kind)
            for item in items:
                yield item
            query["continue"] = about.get("continue") or ""
            if not query["continue"]:
                return

    async def snapshot(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> tuple[tuple[Object, ...], str]:
        """All objects, and the resourceVersion from which a watch continues without a gap."""
        resource = await self.resource(api_version, kind)
        query = {"labelSelector": labels, "fieldSelector": fields}
        page = await self._transport.json(Request("GET", resource.path(namespace), "list", resource.plural, query))
        items, about = a_list(page, api_version, kind)
        return tuple(items), str(about.get("resourceVersion") or "")

    async def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        """The object as the API server stores it. With `dry_run` it passes admission, but is not stored."""
        resource = await self.resource(obj["apiVersion"], obj["kind"])
        path = resource.path(obj["metadata"].get("namespace"))
        query = {"fieldManager": FIELD_MANAGER, "dryRun": "All" if dry_run else ""}
        try:
            answer = await self._transport.json(Request("POST", path, "create", resource.plural, query, body=obj))
            created = an_object(answer, path)
        except Conflict as error:
            labels = (obj["metadata"].get("labels") or {}).items()
            if not error.repeated or dry_run or "name" not in obj["metadata"] or not labels:
                raise
            # The API server carried out an earlier try, and its answer was lost.
            created = await self.get(
                obj["apiVersion"], obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace")
            )
            if not labels <= (created["metadata"].get("labels") or {}).items():
                raise
        return created

    async def apply(self, obj: Object) -> Object:
        """Server-side apply; takes over fields of other managers."""
        resource = await self.resource(obj["apiVersion"], obj["kind"])
        path = resource.path(obj["metadata"].get("namespace"), obj["metadata"]["name"])
        applied: Object = await self._transport.json(
            Request(
                "PATCH",
                path,
                "patch",
                resource.plural,
                {"fieldManager": FIELD_MANAGER, "force": "true"},
                body=obj,
                content_type="application/apply-patch+yaml",
            )
        )
        return applied

    async def patch(self, obj: Object, changes: Object, *, subresource: str = "") -> Object:
        """A JSON merge patch on `obj` or one of its subresources, for example `status`."""
        resource = await self.resource(obj["apiVersion"], obj["kind"])
        path = resource.path(obj["metadata"].get("namespace"), obj["metadata"]["name"])
        name = f"{resource.plural}/{subresource}" if subresource else resource.plural
        patched: Object = await self._transport.json(
            Request(
                "PATCH",
                f"{path}/{subresource}" if subresource else path,
                "patch",
                name,
                {"fieldManager": FIELD_MANAGER},
                body=changes,
                content_type="application/merge-patch+json",
            )
        )
        return patched

    async def delete(self, obj: Object, *, grace: int | None = None) -> None:
        """Request the deletion of this object (by UID, if it has one). It is no error if it does not exist."""
        resource = await self.resource(obj["apiVersion"], obj["kind"])
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid := obj["metadata"].get("uid"):
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        path = resource.path(obj["metadata"].get("namespace"), obj["metadata"]["name"])
        # It may not exist, or another object may have its name now.
        with suppress(NotFound, Conflict):
            await self._transport.json(Request("DELETE", path, "delete", resource.plural, body=options))

    async def watch(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        since: str = "",
        seconds: float = 300,
    ) -> AsyncIterator[WatchEvent]:
        """The changes from now on, for `seconds`.

        Without `since` (a resourceVersion) the server first reports all existing objects as ADDED, so that one request
        both lists and watches. Raises Expired if `since` is too old.
        """
        resource = await self.resource(api_version, kind)
        query = {
            "watch": "1",
            "labelSelector": labels,
            "fieldSelector": fields,
            "resourceVersion": since,
            "timeoutSeconds": str(max(1, int(seconds))),
        }
        request = Request("GET", resource.path(namespace), "watch", resource.plural, query, seconds=None)
        async for line in self._transport.lines(request):
            sort, found = an_event(line, api_version, kind)
            if sort == "ERROR":
                raise refusal(found.get("code") or 500, found, "watch", resource.plural)
            yield WatchEvent(sort, found)

    async def logs(self, namespace: str, pod: str, container: str, *, limit_bytes: int = 1 << 20) -> str:
        query = {"container": container, "limitBytes": str(limit_bytes)}
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        return await self._transport.text(Request("GET", path, "get", "pods/log", query))

    async def follow(self, namespace: str, pod: str, container: str, *, seconds: float) -> AsyncIterator[str]:
        """The lines of a container's log as they are written, until the container ends or `seconds` have passed."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        query = {"container": container, "follow": "true"}
        request = Request("GET", path, "get", "pods/log", query, seconds=seconds)
        async for line in self._transport.all_lines(request):
            yield line.decode("utf-8", "replace")

    async def proxied(
        self,
        kind: Literal["pods", "services"],
        namespace: str,
        name: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        accept: str = "*/*",
        seconds: float = 10.0,
        limit_bytes: int = 8 << 20,
        repeat: bool = False,
    ) -> behind.ProxyResponse:
        """A GET to a Pod or Service through the API server; `name` is NAME, NAME:PORT or SCHEME:NAME:PORT.

        Its answer is a ProxyResponse, also an HTTP error of its own (401, 500). Raises NoAnswer, or ClusterError if the
        API server refuses or cannot reach it. `repeat`, for what is known to answer, repeats what fails for a moment.
        """
        place = behind.route(kind, namespace, name, path)
        request = Request("GET", place, "get", f"{kind}/proxy", query, seconds=None, accept=accept)
        return await self._transport.behind(request, seconds=seconds, limit_bytes=limit_bytes, repeat=repeat)

    # What is served

    async def resource(self, api_version: str, kind: str) -> Resource:
        """The resource of a kind. Raises NotFound if the API server does not serve it."""
        found = (await self.resources(api_version)).get(kind)
        if found is None:
            # It may have been installed since the last discovery.
            self._resources.pop(api_version, None)
            found = (await self.resources(api_version)).get(kind)
        if found is None:
            raise NotFound(f"The API server does not serve {kind} in {api_version}.", status=404, reason="NotFound")
        return found

    async def resources(self, api_version: str) -> dict[str, Resource]:
        """The kinds of a group and version; empty if it is not served."""
        async with self._discovering[api_version]:
            if api_version not in self._resources:
                path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
                try:
                    answer = await self._transport.json(Request("GET", path, "get", path))
                except NotFound:
                    return {}
                with reading(path):
                    self._resources[api_version] = {
                        entry["kind"]: Resource(
                            api_version, entry["kind"], entry["name"], entry["namespaced"], frozenset(entry["verbs"])
                        )
                        for entry in answer["resources"] or ()
                        if "/" not in entry["name"]
                    }
            return self._resources[api_version]

    async def groups(self) -> dict[str, tuple[str, ...]]:
        """API group -> its served versions, the preferred one first."""
        answer = await self._transport.json(Request("GET", "/apis", "get", "/apis"))
        served = {}
        with reading("/apis"):
            for group in answer["groups"] or ():
                preferred = group["preferredVersion"]["version"]
                others = [entry["version"] for entry in group["versions"] if entry["version"] != preferred]
                served[group["name"]] = (preferred, *others)
        return served

    async def version(self) -> str:
        """The API server's gitVersion, for example `v1.37.2`."""
        answer = await self._transport.json(Request("GET", "/version", "get", "/version"))
        with reading("/version"):
            return str(answer["gitVersion"])

    async def may(self, verb: str, group: str, resource: str, *, name: str = "", namespace: str = "") -> bool:
        """Whether these credentials allow this in all namespaces; `name`: on one object, `namespace`: in one only."""
        plural, _, subresource = resource.partition("/")
        asked = {"verb": verb, "group": group, "resource": plural, "subresource": subresource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {**asked, "name": name, "namespace": namespace}},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = await self._transport.json(Request("POST", path, "create", "selfsubjectaccessreviews", body=review))
        with reading(path):
            return bool(answer["status"]["allowed"])

    async def close(self) -> None:
        await self._transport.close()


@asynccontextmanager
async def connect(kubeconfig: str | None = None, context: str | None = None) -> AsyncIterator[Cluster]:
    """Connect as kubectl would. Raises NoCluster; the first request may raise Unreachable or Unauthorized."""
    cluster = Cluster(config.load(kubeconfig, context))
    try:
        yield cluster
    finally:
        await cluster.close()
