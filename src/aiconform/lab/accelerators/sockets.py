"""gRPC servers and channels on unix sockets, as the kubelet expects them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from aiconform.lab.accelerators.identity import AcceleratorError

_LONGEST_PATH = 107  # sun_path of Linux, without its final NUL


async def listen(path: Path, *services: Callable[[Any], None]) -> Any:
    """A started `grpc.aio` server on a new socket; each of `services` adds itself to the server.

    Raises AcceleratorError where none can be made.
    """
    if len(str(path)) > _LONGEST_PATH:
        raise AcceleratorError(f"the socket path {path} is longer than the {_LONGEST_PATH} characters Linux allows")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A process that was killed leaves its socket behind.
        path.unlink(missing_ok=True)
    except OSError as err:
        raise AcceleratorError(f"cannot make the socket {path}: {err.strerror}") from err
    server = grpc.aio.server()
    for add in services:
        add(server)
    try:
        server.add_insecure_port(f"unix:{path}")
        await server.start()
    except RuntimeError as err:
        raise AcceleratorError(f"cannot listen on the socket {path}: {err}") from err
    return server


async def close(server: Any, path: Path) -> None:
    """Stop a server at once and remove its socket, which is how the kubelet learns of it."""
    path.unlink(missing_ok=True)
    await server.stop(grace=None)


def channel(path: Path) -> Any:
    """A `grpc.aio` channel to a socket; servers in Go want an authority that is no path."""
    return grpc.aio.insecure_channel(f"unix:{path}", options=[("grpc.default_authority", "localhost")])
