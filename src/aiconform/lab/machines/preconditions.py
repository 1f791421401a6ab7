"""What must hold before a process is started."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

# A look at the API server costs both sides a TLS handshake, and it takes seconds to start.
_FIRST_LOOK_SECONDS, _LAST_LOOK_SECONDS = 0.05, 0.2


@dataclass(frozen=True)
class Precondition:
    """A condition for starting a process. One of the first four fields is set."""

    unix: str = ""
    """Path of a unix socket that accepts connections."""
    tcp: str = ""
    """host:port that accepts connections."""
    done: str = ""
    """Name of a process of the same machine, with `once`, that has succeeded."""
    https: str = ""
    """URL whose response body must be exactly `ok`."""
    ca: str = ""
    cert: str = ""
    key: str = ""


async def until_holds(condition: Precondition, is_done: Callable[[str], bool]) -> None:
    """Return when the condition holds. `is_done` tells whether a process of this name has succeeded."""
    context = _context(condition) if condition.https else None
    pause = _FIRST_LOOK_SECONDS
    while not await _holds(condition, is_done, context):
        await asyncio.sleep(pause)
        if context:
            pause = min(pause * 1.5, _LAST_LOOK_SECONDS)


async def _holds(condition: Precondition, is_done: Callable[[str], bool], context: ssl.SSLContext | None) -> bool:
    if condition.done:
        return is_done(condition.done)
    try:
        async with asyncio.timeout(2):
            if condition.unix or condition.tcp:
                host, _, port = condition.tcp.rpartition(":")
                opened = (
                    asyncio.open_unix_connection(condition.unix)
                    if condition.unix
                    else asyncio.open_connection(host, port)
                )
                (await opened)[1].close()
                return True
            return await _answers_ok(condition, context)
    except (OSError, TimeoutError, ssl.SSLError):
        return False


def _context(condition: Precondition) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=condition.ca)
    if condition.cert:
        context.load_cert_chain(condition.cert, condition.key)
    return context


async def _answers_ok(condition: Precondition, context: ssl.SSLContext | None) -> bool:
    url = urlsplit(condition.https)
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
    try:
        target = f"{url.path}?{url.query}" if url.query else url.path
        writer.write(f"GET {target} HTTP/1.0\r\nHost: {url.netloc}\r\n\r\n".encode())
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b" ", 2)[1:2] == [b"200"] and body == b"ok"
