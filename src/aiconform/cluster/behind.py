"""Paths behind the API server's proxy to a Pod or Service, which must not lead anywhere else.

Paths and ports come from annotations and monitors of anybody, and redirects from any Pod. A request that left the proxy
would read the API itself, with the rights of the run.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote, urljoin, urlsplit

import aiohttp

from aiconform.cluster.errors import Stuck

MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
# NAME, NAME:PORT or SCHEME:NAME:PORT.
_TARGET = re.compile(r"[A-Za-z0-9.:_-]+")
_OF_A_PATH = ' cannot get path "'
_ROUTE = re.compile(r"/api/v1/namespaces/[^/]+/(pods|services)/[^/]+/proxy/")


@dataclass(frozen=True)
class ProxyResponse:
    """A response through the API server's proxy. `whole` is false if it is longer than what was read.

    location: where a redirect leads that was not followed.
    """

    status: int
    content_type: str
    text: str
    whole: bool
    location: str = ""


def route(kind: Literal["pods", "services"], namespace: str, name: str, path: str) -> str:
    """The path of a request to a Pod or Service. Raises Stuck if it would lead elsewhere."""
    inside = path.lstrip("/")
    if not _TARGET.fullmatch(name) or _climbs(name) or _climbs(inside):
        raise Stuck(f"{namespace}/{name} names {path!r}, which is no place behind it")
    return f"/api/v1/namespaces/{namespace}/{kind}/{name}/proxy/{inside}"


def redirected(server: str, path: str, location: str) -> str | None:
    """The path that a redirect of `path` names, if it is behind the same proxy; None if it leads elsewhere.

    The API server writes the proxy into the redirects of what is behind it, without what `server` has before /api.
    """
    try:
        asked, there = urlsplit(server + path), urlsplit(urljoin(server + path, location))
    except ValueError:
        return None
    prefix, found = _ROUTE.search(path), _ROUTE.search(there.path)
    if (there.scheme, there.netloc) != (asked.scheme, asked.netloc) or not prefix or not found:
        return None
    before, inside = there.path[: found.start()], there.path[found.end() :]
    if found[0] != prefix[0] or before not in ("", urlsplit(server).path) or _climbs(inside):
        return None
    return prefix[0] + inside + (f"?{there.query}" if there.query else "")


def _climbs(path: str) -> bool:
    """Whether a segment leads to its parent, in any spelling that a client or a server may undo."""
    plain = path.partition("?")[0]
    for _ in range(3):
        plain = unquote(plain)
    return any(segment in (".", "..") for segment in re.split(r"[/\\]", plain))


async def bounded(content: aiohttp.StreamReader, limit_bytes: int) -> tuple[bytes, bool]:
    """(at most so many bytes, whether these are all)."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > limit_bytes:
            return bytes(body[:limit_bytes]), False
    return bytes(body), True


def api_status(text: str) -> dict[str, Any] | None:
    """The API server's own error response, as opposed to one from behind its proxy."""
    try:
        status = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        return None
    # What is made with the API server's libraries answers as that does: a Pod has paths where the API has resources.
    return None if _OF_A_PATH in str(status.get("message", "")) else status
