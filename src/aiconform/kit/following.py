"""Follows a cluster while a probe works: coroutines in the background, and waiting for what they see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


class ChangeSignal:
    """Connects coroutines that follow something with those that wait until it changes."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """Something changed."""
        self._changed.set()

    async def until(self, condition: Callable[[], T | None], seconds: float) -> T | None:
        """The first result of `condition` that is neither None nor False; None if there is none within `seconds`."""
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
async def background(*coroutines: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run coroutines as long as the block runs. The first one that fails ends the block with its error."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in coroutines]
            yield
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as errors:
        # Callers handle single errors, not groups.
        raise errors.exceptions[0] from None
