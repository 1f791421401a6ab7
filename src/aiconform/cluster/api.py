"""The Kubernetes API as the rest of this tool sees it: objects are plain dicts, errors are ClusterError."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import rest

from aiconform import __version__
from aiconform.cluster import config, requests
from aiconform.cluster.errors import (
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    NoCluster,
    NotFound,
    Rejected,
    ServerFailed,
    Unauthorized,
    Unreachable,
)

Object = dict[str, Any]
PAGE = 500  # objects a page: what kubectl asks for, and the API server's own advice
REQUEST_SECONDS = 30.0
BUSY_TRIES = 5  # a request that the server puts off (429, 503 with Retry-After) is sent this often
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
class Event:
    """One line of a watch."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object


class Cluster:
    """A connection. Use `connect`."""

    def __init__(self, target: config.Target, rest_client: Any) -> None:
        self.context = target.context
        self.source = target.source
        self.server: str = target.configuration.host
        self._target = target
        self._rest = rest_client
        self._retired: list[Any] = []
        self._resources: dict[str, dict[str, Resource]] = {}
        self._discovering: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # Objects

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object:
        resource = await self.resource(api_version, kind)
        found: Object = await self._json("GET", resource.path(namespace, name), "get", resource.plural)
        return found

    async def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Object]:
        """Every object, page by page; an expired page token starts the rest over in one consistent list."""
        resource = await self.resource(api_version, kind)
        query = {"limit": str(PAGE), "labelSelector": labels, "fieldSelector": fields}
        while True:
            page = await self._json("GET", resource.path(namespace), "list", resource.plural, query)
            for item in page["items"]:
                # Items of a list come without their type; whoever gets one may want to delete it.
                yield {"apiVersion": api_version, "kind": kind, **item}
            query["continue"] = page["metadata"].get("continue", "")
            if not query["continue"]:
                return

    async def snapshot(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = ""
    ) -> tuple[tuple[Object, ...], str]:
        """All objects and the resourceVersion from which a watch goes on without a gap."""
        resource = await self.resource(api_version, kind)
        query = {"labelSelector": labels}
        page = await self._json("GET", resource.path(namespace), "list", resource.plural, query)
        items = tuple({"apiVersion": api_version, "kind": kind, **item} for item in page["items"])
        return items, page["metadata"]["resourceVersion"]

    async def create(self, obj: Object) -> Object:
        resource = await self.resource(obj["apiVersion"], obj["kind"])
        path = resource.path(obj["metadata"].get("namespace"))
        created: Object = await self._json(
            "POST", path, "create", resource.plural, {"fieldManager": FIELD_MANAGER}, body=obj
        )
        return created

    async def apply(self, obj: Object) -> Object:
        """Server-side apply, taking over fields that another manager set."""
        resource = await self.resource(obj["apiVersion"], obj["kind"])
        path = resource.path(obj["metadata"].get("namespace"), obj["metadata"]["name"])
        applied: Object = await self._json(
            "PATCH",
            path,
            "patch",
            resource.plural,
            {"fieldManager": FIELD_MANAGER, "force": "true"},
            body=obj,
            content_type="application/apply-patch+yaml",
        )
        return applied

    async def patch(self, obj: Object, changes: Object, *, subresource: str = "") -> Object:
        """A JSON merge patch on `obj` (or a subresource of it, for example `status`)."""
        resource = await self.resource(obj["apiVersion"], obj["kind"])
        path = resource.path(obj["metadata"].get("namespace"), obj["metadata"]["name"])
        name = f"{resource.plural}/{subresource}" if subresource else resource.plural
        patched: Object = await self._json(
            "PATCH",
            f"{path}/{subresource}" if subresource else path,
            "patch",
            name,
            {"fieldManager": FIELD_MANAGER},
            body=changes,
            content_type="application/merge-patch+json",
        )
        return patched

    async def delete(self, obj: Object, *, grace: int | None = None) -> None:
        """Ask for the deletion of this very object (by UID, if it has one); gone already is fine."""
        resource = await self.resource(obj["apiVersion"], obj["kind"])
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid := obj["metadata"].get("uid"):
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        path = resource.path(obj["metadata"].get("namespace"), obj["metadata"]["name"])
        try:
            await self._json("DELETE", path, "delete", resource.plural, body=options)
        except (NotFound, Conflict):
            # Gone, or another object has taken the name since: either way ours is not there.
            return

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
    ) -> AsyncIterator[Event]:
        """What changes from now on, for `seconds`.

        Without `since` (a resourceVersion) the server first reports what is there as ADDED, so that one request both
        lists and watches. Raises Expired when `since` is too old.
        """
        resource = await self.resource(api_version, kind)
        query = {
            "watch": "1",
            "labelSelector": labels,
            "fieldSelector": fields,
            "resourceVersion": since,
            "timeoutSeconds": str(max(1, int(seconds))),
        }
        limits = aiohttp.ClientTimeout(total=None, connect=REQUEST_SECONDS)
        response = await self._send("GET", resource.path(namespace), "watch", resource.plural, query, limits=limits)
        try:
            async for line in _lines(response.response.content):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise _error(event["object"].get("code", 500), event["object"], "watch", resource.plural)
                yield Event(event["type"], {"apiVersion": api_version, "kind": kind, **event["object"]})
        except aiohttp.ClientError as error:
            raise Unreachable(f"The watch of {resource.plural} at {self.server} broke off: {error}") from error
        finally:
            response.response.close()

    async def logs(self, namespace: str, pod: str, container: str, *, limit_bytes: int = 1 << 20) -> str:
        query = {"container": container, "limitBytes": str(limit_bytes)}
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        return await self._text("GET", path, "get", "pods/log", query)

    async def follow(self, namespace: str, pod: str, container: str, *, seconds: float) -> AsyncIterator[str]:
        """The lines of a container's log as they come, until it ends or `seconds` have passed."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        query = {"container": container, "follow": "true"}
        limits = aiohttp.ClientTimeout(total=seconds, connect=REQUEST_SECONDS)
        response = await self._send("GET", path, "get", "pods/log", query, limits=limits)
        try:
            async for line in _lines(response.response.content):
                yield line.decode("utf-8", "replace")
        except TimeoutError:
            return
        except aiohttp.ClientError as error:
            raise Unreachable(f"The log of Pod {pod} broke off: {error}") from error
        finally:
            response.response.close()

    # What is served

    async def resource(self, api_version: str, kind: str) -> Resource:
        """Raises NotFound if the API server does not serve this kind."""
        found = (await self.resources(api_version)).get(kind)
        if found is None:
            # It may have been installed since we looked.
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
                    answer = await self._json("GET", path, "get", path)
                except NotFound:
                    return {}
                self._resources[api_version] = {
                    entry["kind"]: Resource(
                        api_version, entry["kind"], entry["name"], entry["namespaced"], frozenset(entry["verbs"])
                    )
                    for entry in answer["resources"]
                    if "/" not in entry["name"]
                }
            return self._resources[api_version]

    async def groups(self) -> dict[str, tuple[str, ...]]:
        """API group -> its served versions, the preferred one first."""
        answer = await self._json("GET", "/apis", "get", "/apis")
        served = {}
        for group in answer["groups"]:
            preferred = group["preferredVersion"]["version"]
            others = [entry["version"] for entry in group["versions"] if entry["version"] != preferred]
            served[group["name"]] = (preferred, *others)
        return served

    async def version(self) -> str:
        """The API server's gitVersion, for example `v1.37.2`."""
        answer = await self._json("GET", "/version", "get", "/version")
        return str(answer["gitVersion"])

    async def may(self, verb: str, group: str, resource: str) -> bool:
        """Whether these credentials may do this in every namespace (asked of the API server; nothing is created)."""
        plural, _, subresource = resource.partition("/")
        asked = {"verb": verb, "group": group, "resource": plural, "subresource": subresource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = await self._json("POST", path, "create", "selfsubjectaccessreviews", body=review)
        return bool(answer["status"]["allowed"])

    # Requests

    async def _json(
        self,
        method: str,
        path: str,
        verb: str,
        resource: str,
        query: dict[str, str] | None = None,
        *,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Any:
        text = await self._text(method, path, verb, resource, query, body=body, content_type=content_type)
        try:
            return json.loads(text)
        except ValueError as error:
            raise ServerFailed(f"{method} {path} at {self.server} answered no JSON: {text[:80]!r}") from error

    async def _text(
        self,
        method: str,
        path: str,
        verb: str,
        resource: str,
        query: dict[str, str] | None = None,
        *,
        body: Any = None,
        content_type: str = "application/json",
    ) -> str:
        response = await self._send(method, path, verb, resource, query, body=body, content_type=content_type)
        try:
            data: bytes = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error
        return data.decode("utf-8", "replace")

    async def _send(
        self,
        method: str,
        path: str,
        verb: str,
        resource: str,
        query: dict[str, str] | None = None,
        *,
        body: Any = None,
        content_type: str = "application/json",
        limits: aiohttp.ClientTimeout | None = None,
    ) -> rest.RESTResponse:
        """Send one request, again while the server puts it off; the response is not read yet."""
        parameters = {key: value for key, value in (query or {}).items() if value}
        url = self.server + path + (f"?{urlencode(parameters)}" if parameters else "")
        renewed = False
        for attempt in range(1, BUSY_TRIES + 1):
            requests.count(verb, resource)
            response = await self._once(method, url, body, content_type, limits)
            if response.status < 400:
                return response
            status = _status(await self._body(response))
            if response.status == 401 and not renewed:
                renewed = True
                await self._renew()
                continue
            wait = response.headers.get("Retry-After", "")
            if response.status in (429, 503) and wait.isdigit() and attempt < BUSY_TRIES:
                await asyncio.sleep(min(float(wait), 10))
                continue
            raise _error(response.status, status, verb, resource)
        raise ServerFailed(f"{verb} {resource}: {self.server} kept putting the request off", status=429)

    async def _body(self, response: rest.RESTResponse) -> bytes:
        try:
            data: bytes = await response.read()
        except (aiohttp.ClientError, TimeoutError):
            return b""
        return data

    async def _once(
        self, method: str, url: str, body: Any, content_type: str, limits: aiohttp.ClientTimeout | None
    ) -> rest.RESTResponse:
        headers = {
            "Accept": "application/json",
            "Content-Type": content_type,
            "User-Agent": f"aiconform/{__version__}",
        }
        token = await self._target.configuration.get_api_key_with_prefix("BearerToken")
        if token:
            headers["Authorization"] = token
        limits = limits or aiohttp.ClientTimeout(total=REQUEST_SECONDS, connect=10)
        try:
            return await self._rest.request(method, url, headers=headers, body=body, _request_timeout=limits)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> Unreachable:
        if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError):
            why = f"its certificate is not trusted by this kubeconfig ({error})"
        elif isinstance(error, TimeoutError):
            why = "no answer in time"
        else:
            why = str(error) or type(error).__name__
        return Unreachable(f"The API server {self.server} (context {self.context!r}) cannot be reached: {why}")

    async def _renew(self) -> None:
        """Read the credentials again: a token may have run out during a long run."""
        self._target = await config.load(self._target.kubeconfig, self._target.context or None)
        old, self._rest = self._rest, rest.RESTClientObject(self._target.configuration)
        # Watches may still read from the old connections; they end with the process at the latest.
        self._retired.append(old)

    async def close(self) -> None:
        for client in (*self._retired, self._rest):
            await client.close()


@asynccontextmanager
async def connect(kubeconfig: str | None = None, context: str | None = None) -> AsyncIterator[Cluster]:
    """Connect as kubectl would. Raises NoCluster; the first request may raise Unreachable or Unauthorized."""
    target = await config.load(kubeconfig, context)
    try:
        client = rest.RESTClientObject(target.configuration)
    except (ssl.SSLError, OSError) as error:
        raise NoCluster(f"The certificates in {target.source} cannot be used: {error}") from error
    cluster = Cluster(target, client)
    try:
        yield cluster
    finally:
        await cluster.close()


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Whole lines of any length; aiohttp's own reader gives up on long ones."""
    rest_of_line = b""
    async for chunk in stream.iter_any():
        *lines, rest_of_line = (rest_of_line + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line


def _status(body: bytes) -> Object:
    try:
        status = json.loads(body)
    except ValueError:
        return {"message": body.decode("utf-8", "replace")[:200]}
    return status if isinstance(status, dict) else {}


def _error(code: int, status: Object, verb: str, resource: str) -> ApiError:
    """The exception for a refusal, worded with the verb and the resource that were refused."""
    said = str(status.get("message", "")).strip()
    reason = str(status.get("reason", ""))
    message = f"{verb} {resource}: {said or f'HTTP {code}'}"
    if code == 401:
        return Unauthorized(
            f"The credentials are not accepted ({said or 'Unauthorized'}): log in again or choose another context.",
            status=code,
            reason=reason,
        )
    if code == 403 and "cannot" in said and "User" in said:
        return Forbidden(f"may not {verb} {resource}: {said}", verb=verb, resource=resource, reason=reason)
    classes: dict[int, type[ApiError]] = {404: NotFound, 409: Conflict, 410: Expired}
    fallback = ServerFailed if code >= 500 or code == 429 else Rejected
    return classes.get(code, fallback)(message, status=code, reason=reason)
