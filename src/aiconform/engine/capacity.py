"""Which probes may hold devices at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiconform.check import Target

Key = tuple[str, tuple[str, str, str]]


class Capacity:
    """A ledger of the free devices of each kind on each node; probes wait here for their turn."""

    def __init__(self) -> None:
        self._free: dict[Key, int] = {}
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, target: Target, at_most: int) -> AsyncIterator[None]:
        """Hold the most devices that the probe uses, or all that were free when the run started.

        Of a group of nodes, either all are held or none: probes that hold some and wait for others could deadlock.
        """
        wanted = _wanted(target, at_most)
        if not wanted:
            yield
            return
        async with self._changed:
            for member in () if target is None else target.members:
                self._free.setdefault((member.node, member.kind), member.free)
            await self._changed.wait_for(lambda: all(self._free[key] >= count for key, count in wanted.items()))
            for key, count in wanted.items():
                self._free[key] -= count
        try:
            yield
        finally:
            async with self._changed:
                for key, count in wanted.items():
                    self._free[key] += count
                self._changed.notify_all()


def _wanted(target: Target, at_most: int) -> dict[Key, int]:
    """How many devices to hold of each kind on each node, the first nodes first."""
    wanted: dict[Key, int] = {}
    for member in () if target is None else target.members:
        if count := min(at_most, member.free):
            wanted[member.node, member.kind] = count
            at_most -= count
    return wanted
