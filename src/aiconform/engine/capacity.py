"""Which probes may work on nodes at the same time, in which order they begin, and which devices each of them holds."""

from __future__ import annotations

import asyncio
import bisect
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from aiconform.check import PlatformComponent, Target
from aiconform.platform import NodeAccelerators

Key = tuple[str, tuple[str, str, str]]
EVERY = 1024
"""A probe that uses so many devices of a node is alone on it: no other probe uses one of another kind, either."""
_NODE = ("", "", "")


@dataclass(eq=False)
class _Waiting:
    """A probe that waits for its turn. due: when it would be done at the latest, had it started on arrival."""

    wanted: dict[Key, int]
    seconds: float
    due: float
    turn: asyncio.Future[None]


class Capacity:
    """A ledger of the free devices of each kind on each node; probes wait here for their turn.

    at_once: how many probes work on nodes at the same time at most, each of which has a few Pods, watches and requests.

    Short probes go first, so that people see verdicts early. No probe starves: whoever arrives later than a probe's
    limit comes after it, and once the limit has passed, nobody who comes after it takes a device that it waits for.
    """

    def __init__(self, at_once: float = math.inf, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._left = at_once
        self._free: dict[Key, int] = {}
        # Sorted by `due`.
        self._queue: list[_Waiting] = []
        self._coming: list[float] = []
        self._giving = False

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
        if target is None or not target.members:
            yield
            return
        wanted = _wanted(target, at_most)
        for member in target.members:
            self._free.setdefault(_key(member), member.free)
            self._free.setdefault((member.node, _NODE), EVERY)
        turn = asyncio.get_running_loop().create_future()
        waiting = _Waiting(wanted, seconds, self._now() + seconds, turn)
        bisect.insort(self._queue, waiting, key=lambda each: each.due)
        self._give_soon()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._left += 1
                for key, count in wanted.items():
                    self._free[key] += count
            else:
                self._queue.remove(waiting)
            self._give_soon()

    def _came(self, seconds: float) -> None:
        self._coming.remove(seconds)
        self._give_soon()

    def _give_soon(self) -> None:
        """Once for all that come or end in the same moment: there may be thousands."""
        if not self._giving:
            self._giving = True
            asyncio.get_running_loop().call_soon(self._give)

    def _give(self) -> None:
        """Let those begin whose turn it is."""
        self._giving = False
        now = self._now()
        shortest = min(self._coming, default=math.inf)
        kept: set[Key] = set()
        begun: set[int] = set()
        for position, waiting in enumerate(self._queue):
            if self._left < 1:
                break
            late = now >= waiting.due
            if waiting.turn.done() or (not late and shortest < waiting.seconds):
                continue
            if kept.isdisjoint(waiting.wanted) and all(self._free[key] >= n for key, n in waiting.wanted.items()):
                self._left -= 1
                for key, count in waiting.wanted.items():
                    self._free[key] -= count
                begun.add(position)
                waiting.turn.set_result(None)
            elif late:
                kept |= waiting.wanted.keys()
        if begun:
            self._queue = [each for position, each in enumerate(self._queue) if position not in begun]


def held(target: Target, at_most: int) -> dict[Key, int]:
    """How many devices of which kind a probe holds on which node, of what was free when it was looked at.

    at_most: how many units the probe uses at most.
    """
    return {key: count for key, count in _wanted(target, at_most).items() if key[1] != _NODE}


def _wanted(target: Target, at_most: int) -> dict[Key, int]:
    """How many devices to hold of each kind on each node, the first nodes first."""
    wanted: dict[Key, int] = {}
    of_node = EVERY if at_most >= EVERY else 1
    for member in () if target is None else target.members:
        limit = target.at_most(member) if isinstance(target, PlatformComponent) else None
        count = min(at_most * member.unit, member.free, member.free if limit is None else limit)
        if count:
            wanted[_key(member)] = count
            at_most -= -(-count // member.unit)
        # Where others hold all of one kind, there can be parts, or other kinds.
        if count or of_node == EVERY:
            wanted[member.node, _NODE] = of_node
    return wanted


def _key(member: NodeAccelerators) -> Key:
    return (member.node, member.same_as or member.kind)
