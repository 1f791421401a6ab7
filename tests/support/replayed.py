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
    ready, loop = threading.Event(), asyncio.new_event_loop()
    ended, urls = asyncio.Event(), []

    async def serve() -> None:
        async with replaying(platform) as url:
            urls.append(url)
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(30), "the server does not start"
        kubeconfig.write_text(kubeconfig_text(urls[0]))
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
