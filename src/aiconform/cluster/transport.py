"""Requests to the API server: sends and counts them, retries while the server is busy, and explains errors."""

from __future__ import annotations

import asyncio
import json
import math
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import rest

from aiconform import __version__
from aiconform.cluster import config, requests
from aiconform.cluster.errors import (
    AdmissionBehind,
    ApiError,
    ClusterError,
    Conflict,
    Expired,
    Forbidden,
    NoAnswer,
    NoCluster,
    NotFound,
    Rejected,
    ServerFailed,
    Unauthorized,
    Unreachable,
    WebhookBehind,
    WebhookUnreached,
)
from aiconform.cluster.patience import Tries

REQUEST_SECONDS = 30.0
CONNECT_SECONDS = 10.0
SILENT_SECONDS = 90.0
"""A watch without any event for so long is restarted."""
BUSY_TRIES = 4  # how often a request is repeated while the server is busy (429, 503 with Retry-After)


@dataclass(frozen=True)
class Request:
    """One request. `verb` and `resource` are those of RBAC; `seconds` is None for a stream without an end."""

    method: str
    path: str
    verb: str
    resource: str
    query: dict[str, str] | None = None
    body: Any = None
    content_type: str = "application/json"
    seconds: float | None = REQUEST_SECONDS
    accept: str = "application/json"

    def url(self, server: str) -> str:
        parameters = {key: value for key, value in (self.query or {}).items() if value}
        return server + self.path + (f"?{urlencode(parameters)}" if parameters else "")


@dataclass(frozen=True)
class ProxyResponse:
    """A response through the API server's proxy. `whole` is false if it is longer than what was read."""

    status: int
    content_type: str
    text: str
    whole: bool


class Transport:
    """The connections of one `Cluster`. All failures are raised as ClusterError."""

    def __init__(self, target: config.Target) -> None:
        """Raises NoCluster if the target's certificates cannot be used."""
        self.server: str = target.configuration.host
        self._target = target
        self._retired: list[Any] = []
        try:
            self._rest = rest.RESTClientObject(target.configuration)
        except (ssl.SSLError, OSError) as error:
            raise NoCluster(f"The certificates in {target.source} cannot be used: {error}") from error

    async def json(self, request: Request) -> Any:
        text = await self.text(request)
        try:
            return json.loads(text)
        except ValueError as error:
            what = f"{request.method} {request.path} at {self.server}"
            raise ServerFailed(f"{what} answered no JSON: {text[:80]!r}") from error

    async def text(self, request: Request) -> str:
        _, data = await self._send(request, whole=True)
        return data.decode("utf-8", "replace")

    async def behind(self, request: Request, *, seconds: float, limit_bytes: int, repeat: bool) -> ProxyResponse:
        """The response of a Pod or Service through the API server's proxy, whatever its HTTP status.

        Raises NoAnswer after `seconds`, and the same errors as other requests if the API server itself refuses. With
        `repeat` it is repeated as long as the task is patient.
        """
        tries = Tries()
        while True:
            try:
                return await self._behind_once(request, seconds, limit_bytes)
            except ClusterError as error:
                if not (repeat and await tries.again(error)):
                    raise

    async def _behind_once(self, request: Request, seconds: float, limit_bytes: int) -> ProxyResponse:
        requests.count(request.verb, request.resource)
        try:
            async with asyncio.timeout(seconds):
                response = await self._once(request)
                try:
                    body, whole = await _bounded(response.response.content, limit_bytes)
                except aiohttp.ClientError as error:
                    raise Unreachable(f"{request.path} was interrupted: {error}") from error
                finally:
                    response.response.close()
        except TimeoutError:
            raise NoAnswer(f"no complete answer within {seconds:.0f} s") from None
        text = body.decode("utf-8", "replace")
        if response.status >= 400 and (status := _api_status(text)):
            raise refusal(response.status, status, request.verb, request.resource)
        return ProxyResponse(response.status, response.headers.get("Content-Type", ""), text, whole)

    async def lines(self, request: Request) -> AsyncIterator[bytes]:
        """Complete lines of any length; ends with the stream, or after the request's seconds."""
        response, _ = await self._send(request, whole=False)
        begun = b""
        try:
            # aiohttp's own line reader fails on long lines.
            async for chunk in response.response.content.iter_any():
                *whole, begun = (begun + chunk).split(b"\n")
                for line in whole:
                    if line:
                        yield line
        except TimeoutError:
            return
        except aiohttp.ClientError as error:
            raise Unreachable(f"{request.verb} {request.resource} at {self.server} was interrupted: {error}") from error
        finally:
            response.response.close()

    async def all_lines(self, request: Request) -> AsyncIterator[bytes]:
        """Lines of a text that only grows, for the request's seconds.

        After a lost connection it is read again from its start, without the lines that were read before.
        """
        end, seen, tries = asyncio.get_running_loop().time() + (request.seconds or math.inf), 0, Tries()
        while (left := end - asyncio.get_running_loop().time()) > 0:
            number = 0
            try:
                async for line in self.lines(replace(request, seconds=left if request.seconds else None)):
                    number += 1
                    if number > seen:
                        seen, tries = number, Tries()
                        yield line
                return
            except ClusterError as error:
                if not await tries.again(error):
                    raise

    async def close(self) -> None:
        for client in (*self._retired, self._rest):
            await client.close()

    async def _send(self, request: Request, *, whole: bool) -> tuple[rest.RESTResponse, bytes]:
        """(the response, its body if `whole`); repeated while the server is busy, and as long as the task is patient.

        A Conflict after a failed try says so: that try may have been carried out all the same.
        """
        tries, busy, renewed = Tries(), 0, False
        while True:
            requests.count(request.verb, request.resource)
            try:
                response = await self._once(request)
                if response.status < 400:
                    return response, await self._body(response) if whole else b""
                status = await _status(response)
                if response.status == 401 and not renewed:
                    renewed = True
                    await self._renew()
                    continue
                wait = response.headers.get("Retry-After", "")
                if response.status in (429, 503) and wait.isdigit() and busy < BUSY_TRIES:
                    busy += 1
                    await asyncio.sleep(min(float(wait), 10))
                    continue
                raise refusal(response.status, status, request.verb, request.resource)
            except ClusterError as error:
                if isinstance(error, Conflict):
                    error.repeated = tries.failed > 0
                if not await tries.again(error):
                    raise

    async def _body(self, response: rest.RESTResponse) -> bytes:
        try:
            data: bytes = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error
        return data

    async def _once(self, request: Request) -> rest.RESTResponse:
        headers = {
            "Accept": request.accept,
            "Content-Type": request.content_type,
            "User-Agent": f"aiconform/{__version__}",
        }
        token = await self._target.configuration.get_api_key_with_prefix("BearerToken")
        if token:
            headers["Authorization"] = token
        # Without this, a read from a silently dropped connection would never end.
        silence = SILENT_SECONDS if request.verb == "watch" else None
        limits = aiohttp.ClientTimeout(total=request.seconds, connect=CONNECT_SECONDS, sock_read=silence)
        try:
            return await self._rest.request(
                request.method, request.url(self.server), headers=headers, body=request.body, _request_timeout=limits
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> Unreachable:
        lasting = isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError)
        if lasting:
            why = f"its certificate is not trusted by this kubeconfig ({error})"
        elif isinstance(error, TimeoutError):
            why = "no answer in time"
        else:
            why = str(error) or type(error).__name__
        said = f"The API server {self.server} (context {self._target.context!r}) cannot be reached: {why}"
        return Unreachable(said, lasting=lasting)

    async def _renew(self) -> None:
        """Read the credentials again: a token can expire during a long run."""
        self._target = await config.load(self._target.kubeconfig, self._target.context or None)
        # Watches may still use the old connections, which end with the process at the latest.
        self._retired.append(self._rest)
        self._rest = rest.RESTClientObject(self._target.configuration)


async def _bounded(content: aiohttp.StreamReader, limit_bytes: int) -> tuple[bytes, bool]:
    """(at most so many bytes, whether these are all)."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > limit_bytes:
            return bytes(body[:limit_bytes]), False
    return bytes(body), True


def _api_status(text: str) -> dict[str, Any] | None:
    """The API server's own error response, as opposed to one from behind its proxy."""
    try:
        status = json.loads(text)
    except ValueError:
        return None
    return status if isinstance(status, dict) and status.get("kind") == "Status" else None


async def _status(response: rest.RESTResponse) -> dict[str, Any]:
    """The Status object of an error response, or what was sent in its place."""
    try:
        body: bytes = await response.read()
        status = json.loads(body)
    except (aiohttp.ClientError, TimeoutError):
        return {}
    except ValueError:
        return {"message": body.decode("utf-8", "replace")[:200]}
    return status if isinstance(status, dict) else {}


_UNREACHED = re.compile(r'failed calling webhook "([^"]+)"')
# A webhook that reads from a cache does not know a new Namespace yet (Kueue's webhook for Pods).
_BEHIND = re.compile(r'admission webhook "([^"]+)" denied the request: .*?[Nn]amespaces? "[^"]+" not found', re.DOTALL)
# The API server finds PriorityClasses in a cache; each replica of it has its own.
_NO_CLASS_YET = re.compile(r"no PriorityClass with name \S+ was found")


def refusal(code: int, status: dict[str, Any], verb: str, resource: str) -> ApiError:
    """The exception for an error response, with the verb and the resource of the request."""
    said = str(status.get("message", "")).strip()
    reason = str(status.get("reason", ""))
    if code == 401:
        return Unauthorized(
            f"The credentials are not accepted ({said or 'Unauthorized'}): log in again or choose another context.",
            status=code,
            reason=reason,
        )
    if code == 403 and "cannot" in said and "User" in said:
        return Forbidden(f"no permission to {verb} {resource}: {said}", verb=verb, resource=resource, reason=reason)
    if behind := _BEHIND.search(said):
        return WebhookBehind(f"{verb} {resource}: {said}", webhook=behind[1], status=code, reason=reason)
    if _NO_CLASS_YET.search(said):
        return AdmissionBehind(f"{verb} {resource}: {said}", status=code, reason=reason)
    if unreached := code >= 500 and _UNREACHED.search(said):
        return WebhookUnreached(f"{verb} {resource}: {said}", webhook=unreached[1], status=code, reason=reason)
    classes: dict[int, type[ApiError]] = {404: NotFound, 409: Conflict, 410: Expired}
    fallback = ServerFailed if code >= 500 or code == 429 else Rejected
    return classes.get(code, fallback)(f"{verb} {resource}: {said or f'HTTP {code}'}", status=code, reason=reason)
