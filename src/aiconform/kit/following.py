"""Following what happens on a cluster: works that go on beside a probe, and waiting for what they see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


class Board:
    """Where those who follow something say that it changed, for those who wait for a change."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def tell(self) -> None:
        self._changed.set()

    async def until(self, condition: Callable[[], T | None], seconds: float) -> T | None:
        """The first result of `condition` that is neither None nor False; None if there is none in time."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self._changed.clear()
                    if result := condition():
                        return result
                    await self._changed.wait()
        except TimeoutError:
            return None


@asynccontextmanager
async def beside(*works: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Works that go on while the block runs; the first that breaks ends the block with its error."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
            yield
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as errors:
        # Nobody outside is to care that there were several at work.
        raise errors.exceptions[0] from None
