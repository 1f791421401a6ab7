"""Requests to the API server: sends and counts them, retries while the server is busy, and explains errors."""

from __future__ import annotations

import asyncio
import json
import math
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import aiohttp
from multidict import CIMultiDict

from aiconform import __version__
from aiconform.cluster import answers, behind, config, requests
from aiconform.cluster.answers import Answer
from aiconform.cluster.behind import ProxyResponse
from aiconform.cluster.connection import Connection
from aiconform.cluster.errors import (
    ClusterError,
    Conflict,
    Forbidden,
    NoAnswer,
    NoCluster,
    ServerFailed,
    Unauthorized,
    Unreachable,
)
from aiconform.cluster.patience import Tries
from aiconform.cluster.proof import Proof
from aiconform.cluster.refusals import refusal

REQUEST_SECONDS = 30.0
CONNECT_SECONDS = 10.0
SILENT_SECONDS = 90.0
"""A watch without any event for so long is restarted."""
SHORTEST_SECRET = 4  # in characters; to hide less would make nonsense of messages
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


class Transport:
    """The connections of one `Cluster`. All failures are raised as ClusterError."""

    def __init__(self, target: config.Target) -> None:
        """Raises NoCluster if the target's certificates or its proxy cannot be used."""
        self.server: str = target.server
        self._target = target
        self._renewing = asyncio.Lock()
        self._retired: list[Connection] = []
        self._closed = False
        self._shown = Proof()
        """What the last request showed."""
        self._connection = self._connect(None)

    def _connect(self, certificate: tuple[bytes, bytes] | None) -> Connection:
        target = self._target
        try:
            return Connection(target.server, target.cluster, target.authority, certificate)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise NoCluster(f"The certificates in {target.source} cannot be used: {error}") from error

    async def json(self, request: Request) -> Any:
        try:
            text = await self.text(request)
        except Forbidden:
            answers.tell(Answer(request.verb, request.path, status=403))
            raise
        answers.tell(Answer(request.verb, request.path, request.query or {}, text))
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            what = f"{request.method} {request.path} at {self.server}"
            raise ServerFailed(f"{what} answered no JSON: {self._hidden(text)[:80]!r}") from error

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
            target = self._target
            try:
                return await self._behind_once(request, seconds, limit_bytes)
            except ClusterError as error:
                if isinstance(error, Unauthorized):
                    # Whose answer that was, the API server itself says: a refused token is read again meanwhile.
                    await self.text(Request("GET", "/version", "get", "/version"))
                    if self._target is target:
                        return ProxyResponse(401, "", "", whole=True)
                    continue
                if not (repeat and await tries.again(error)):
                    raise

    async def _behind_once(self, request: Request, seconds: float, limit_bytes: int) -> ProxyResponse:
        try:
            async with asyncio.timeout(seconds):
                response = await self._once_behind(request)
                try:
                    body, whole = await behind.bounded(response.content, limit_bytes)
                except aiohttp.ClientError as error:
                    raise Unreachable(f"{request.path} was interrupted: {error}") from error
                finally:
                    response.close()
        except TimeoutError:
            raise NoAnswer(f"no complete answer within {seconds:.0f} s") from None
        text = body.decode("utf-8", "replace")
        if response.status >= 400 and (status := behind.api_status(text)):
            raise refusal(response.status, status, request.verb, request.resource)
        kind = response.headers.get("Content-Type", "")
        query = request.query or {}
        answers.tell(Answer(request.verb, request.path, query, text, response.status, kind, proxied=True))
        return ProxyResponse(response.status, kind, text, whole, response.headers.get("Location", ""))

    async def _once_behind(self, request: Request) -> aiohttp.ClientResponse:
        """The first response that is no redirect, or the redirect if it leads elsewhere."""
        left = behind.MOST_REDIRECTS
        while True:
            requests.count(request.verb, request.resource)
            response = await self._once(request)
            to = response.headers.get("Location", "") if response.status in behind.REDIRECTS and left else ""
            path = behind.redirected(self.server, request.path, to) if to else None
            if path is None:
                return response
            response.close()
            request, left = replace(request, path=path, query=None), left - 1

    async def lines(self, request: Request) -> AsyncIterator[bytes]:
        """Complete lines of any length; ends with the stream, or after the request's seconds."""
        response, _ = await self._send(request, whole=False)
        begun = b""
        try:
            # aiohttp's own line reader fails on long lines.
            async for chunk in response.content.iter_any():
                *whole, begun = (begun + chunk).split(b"\n")
                for line in whole:
                    if line:
                        yield line
        except TimeoutError:
            return
        except aiohttp.ClientError as error:
            raise Unreachable(f"{request.verb} {request.resource} at {self.server} was interrupted: {error}") from error
        finally:
            response.close()

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
        """From now on nothing is sent: what still runs would open a connection that nobody closes."""
        self._closed = True
        await asyncio.gather(*(each.close() for each in (*self._retired, self._connection)), return_exceptions=True)

    async def _send(self, request: Request, *, whole: bool) -> tuple[aiohttp.ClientResponse, bytes]:
        """(the response, its body if `whole`); repeated while the server is busy, and as long as the task is patient.

        A Conflict after a failed try says so: that try may have been carried out all the same.
        """
        tries, busy, renewed = Tries(), 0, False
        while True:
            requests.count(request.verb, request.resource)
            target = self._target
            try:
                response = await self._once(request)
                if response.status < 300:
                    return response, await self._body(response) if whole else b""
                status = await self._status(response)
                if response.status == 401 and not renewed:
                    renewed = True
                    await self._renew(target)
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

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            data: bytes = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error
        return data

    async def _once(self, request: Request) -> aiohttp.ClientResponse:
        proof = await self._target.credentials.current()
        if proof.certificate != self._shown.certificate:
            self._retire(self._connect(proof.certificate))
        self._shown = proof
        headers = CIMultiDict(self._target.impersonation)
        headers["Accept"] = request.accept
        headers["Content-Type"] = request.content_type
        headers["User-Agent"] = f"aiconform/{__version__}"
        if proof.authorization:
            headers["Authorization"] = proof.authorization
        if self._target.cluster.disable_compression:
            headers["Accept-Encoding"] = "identity"
        # Without this, a read from a silently dropped connection would never end.
        silence = SILENT_SECONDS if request.verb == "watch" else None
        if self._closed:
            raise Unreachable(f"The connections to {self.server} are closed.", lasting=True)
        limits = aiohttp.ClientTimeout(total=request.seconds, connect=CONNECT_SECONDS, sock_read=silence)
        try:
            return await self._connection.request(
                request.method, request.url(self.server), headers, request.body, limits
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
            why = self._hidden(str(error)) or type(error).__name__
        said = f"The API server {self.server} (context {self._target.context!r}) cannot be reached: {why}"
        return Unreachable(said, lasting=lasting)

    async def _renew(self, refused: config.Target) -> None:
        """Read the credentials again: a token can expire during a long run. Of many refused requests, one does it."""
        async with self._renewing:
            if self._target is refused and config.can_be_read_again(refused):
                self._target = config.load(refused.kubeconfig, refused.context or None, again=True)
                self._retire(self._connect(self._shown.certificate))

    def _retire(self, successor: Connection) -> None:
        """From now on requests use the successor. Watches may still use the old one, which ends with the process."""
        self._retired.append(self._connection)
        self._connection = successor

    async def _status(self, response: aiohttp.ClientResponse) -> dict[str, Any]:
        """The Status object of an error response, or what was sent in its place, without our credentials."""
        try:
            text = self._hidden((await response.read()).decode("utf-8", "replace"))
        except (aiohttp.ClientError, TimeoutError):
            return {}
        try:
            status = json.loads(text)
        except (ValueError, RecursionError):
            return {"message": text[:200]}
        return status if isinstance(status, dict) else {}

    def _hidden(self, text: str) -> str:
        """The text without our credentials: a server or a proxy may repeat what it was sent."""
        for secret in (*self._target.secrets, *self._shown.secrets, *self._connection.secrets):
            if len(secret) >= SHORTEST_SECRET:
                text = text.replace(secret, "(hidden)")
        return text
