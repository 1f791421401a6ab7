"""Requests to a supervisor or to a machine's init: one line of JSON each way over a unix socket."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiconform.lab.config import LabError

Handler = Callable[[dict[str, Any]], Awaitable[Any]]


async def serve(path: Path, handle: Handler) -> asyncio.Server:
    """Answer requests at a socket in a folder that only root can enter.

    A KeyError, ValueError or OSError of `handle` is returned to the client.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await reader.readline())
            try:
                reply = {"result": await handle(request)}
            except (KeyError, ValueError, OSError) as error:
                reply = {"error": f"{type(error).__name__}: {error}"}
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        except (ConnectionError, json.JSONDecodeError):
            pass  # the client has gone, or sent something else
        finally:
            writer.close()

    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return await asyncio.start_unix_server(answer, str(path))


def ask(path: Path, seconds: float = 30.0, **request: Any) -> Any:
    """The answer to a request.

    Raises ConnectionError or FileNotFoundError if nothing serves the socket, LabError if the request is refused or not
    answered in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("r") as lines:
                line = lines.readline()
        except TimeoutError as error:
            raise LabError(f"no answer at {path} within {seconds:.0f} s to {request}") from error
    if not line:
        raise ConnectionResetError(f"{path} closed without an answer")
    reply = json.loads(line)
    if "error" in reply:
        raise LabError(f"{request.get('do')} was refused: {reply['error']}")
    return reply["result"]
