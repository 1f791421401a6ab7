"""Which probes may hold devices at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiconform.platform import NodeAccelerators


class Capacity:
    """A ledger of the free devices of each kind on each node; probes wait here for their turn."""

    def __init__(self) -> None:
        self._free: dict[tuple[str, tuple[str, str, str]], int] = {}
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, target: NodeAccelerators | None, at_most: int) -> AsyncIterator[None]:
        """Hold as many devices as the probe uses at most, or all that were free when the run began."""
        count = min(at_most, target.free) if target else 0
        if target is None or count == 0:
            yield
            return
        key = (target.node, target.kind)
        async with self._changed:
            self._free.setdefault(key, target.free)
            await self._changed.wait_for(lambda: self._free[key] >= count)
            self._free[key] -= count
        try:
            yield
        finally:
            async with self._changed:
                self._free[key] += count
                self._changed.notify_all()
