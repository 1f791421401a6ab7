"""A recorded platform, served for commands that are called in the same process or in another one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiconform.cli.replay import kubeconfig_text
from aiconform.recorded import RecordedPlatform, replaying


@contextmanager
def replayed(platform: RecordedPlatform, kubeconfig: Path) -> Iterator[str]:
    """Serve the platform from a thread, write its kubeconfig, and yield the server's URL."""
    ready, ended = threading.Event(), asyncio.Event()
    urls: list[str] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with replaying(platform) as url:
            urls.append(url)
            ready.set()
            await ended.wait()

    # asyncio.run: connections that a client left open are closed with it, not found by whichever test collects garbage.
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30), "the server does not start"
        kubeconfig.write_text(kubeconfig_text(urls[0]))
        yield urls[0]
    finally:
        loops[0].call_soon_threadsafe(ended.set)
        thread.join()
