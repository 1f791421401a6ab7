"""Which probes may hold devices at the same time, and in which order they get them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from aiconform.check import Target
from aiconform.platform import NodeAccelerators

Key = tuple[str, tuple[str, str, str]]
EVERY = 1024
"""A probe that uses so many devices of a node is alone on it: no other probe uses one of another kind, either."""
_NODE = ("", "", "")


@dataclass(eq=False)
class _Waiting:
    """A probe that waits for devices. due: when it would be done at the latest, had it started on arrival."""

    wanted: dict[Key, int]
    seconds: float
    due: float
    turn: asyncio.Future[None]


class Capacity:
    """A ledger of the free devices of each kind on each node; probes wait here for their turn.

    Short probes go first, so that people see verdicts early. No probe starves: whoever arrives later than a probe's
    limit comes after it, and once the limit has passed, nobody who comes after it takes a device that it waits for.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._free: dict[Key, int] = {}
        self._queue: list[_Waiting] = []
        self._coming: list[float] = []

    @contextmanager
    def coming(self, seconds: float) -> Iterator[None]:
        """While a probe of this limit looks for its targets: longer ones do not take devices before it can.

        The tasks that will ask for its devices are made in this block: they run before it counts as over.
        """
        self._coming.append(seconds)
        try:
            yield
        finally:
            asyncio.get_running_loop().call_soon(self._came, seconds)

    @asynccontextmanager
    async def hold(self, target: Target, at_most: int, seconds: float = math.inf) -> AsyncIterator[None]:
        """Hold the most devices that the probe uses, or all that were free when the run started.

        Of a group of nodes, either all are held or none: probes that hold some and wait for others could deadlock.
        seconds: the longest time that the probe takes; by default unknown.
        """
        wanted = _wanted(target, at_most)
        if not wanted:
            yield
            return
        for member in () if target is None else target.members:
            self._free.setdefault(_key(member), member.free)
            self._free.setdefault((member.node, _NODE), EVERY)
        turn = asyncio.get_running_loop().create_future()
        waiting = _Waiting(wanted, seconds, self._now() + seconds, turn)
        self._queue.append(waiting)
        self._give()
        try:
            await turn
            yield
        finally:
            if waiting in self._queue:
                self._queue.remove(waiting)
            else:
                for key, count in wanted.items():
                    self._free[key] += count
            self._give()

    def _came(self, seconds: float) -> None:
        self._coming.remove(seconds)
        self._give()

    def _give(self) -> None:
        """Give devices to those whose turn it is."""
        now = self._now()
        kept: set[Key] = set()
        for waiting in sorted(self._queue, key=lambda each: each.due):
            late = now >= waiting.due
            if not late and any(seconds < waiting.seconds for seconds in self._coming):
                continue
            if kept.isdisjoint(waiting.wanted) and all(self._free[key] >= n for key, n in waiting.wanted.items()):
                for key, count in waiting.wanted.items():
                    self._free[key] -= count
                self._queue.remove(waiting)
                waiting.turn.set_result(None)
            elif late:
                kept |= waiting.wanted.keys()


def _wanted(target: Target, at_most: int) -> dict[Key, int]:
    """How many devices to hold of each kind on each node, the first nodes first."""
    wanted: dict[Key, int] = {}
    of_node = EVERY if at_most >= EVERY else 1
    for member in () if target is None else target.members:
        if count := min(at_most * member.unit, member.free):
            wanted[_key(member)] = count
            wanted[member.node, _NODE] = of_node
            at_most -= -(-count // member.unit)
    return wanted


def _key(member: NodeAccelerators) -> Key:
    return (member.node, member.same_as or member.kind)
