"""What still runs when the connections to an API server are closed opens none."""

from __future__ import annotations

import asyncio
import gc
import threading
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from support.api_server import serving, usual, write_kubeconfig

from aiconform.cluster import Unreachable, connect


@pytest.mark.parametrize("status", [200, 401])
async def test_a_request_that_is_answered_after_the_end(status: int, tmp_path: Path) -> None:
    """A refused one would read the credentials again and connect anew; a new one would, too."""
    arrived, go = threading.Event(), threading.Event()

    def answer(path: str, _: Message) -> tuple[int, Any]:
        arrived.set()
        go.wait(60)
        return usual(path) if status == 200 else (401, {"kind": "Status", "message": "Unauthorized"})

    left_open: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: left_open.append(context))
    with serving() as server:
        server.answer = answer
        async with connect(str(write_kubeconfig(tmp_path / "k", server.url, {"token": "of-a-user"}))) as cluster:
            late = asyncio.create_task(cluster.version())
            await asyncio.to_thread(arrived.wait, 60)
        go.set()
        for asked in (late, cluster.version(), cluster.proxied("pods", "ns", "p:80", "/metrics")):
            with pytest.raises(Unreachable):
                await asked
        assert len(server.seen) == 1
    del late, asked, cluster
    gc.collect()
    assert left_open == []
