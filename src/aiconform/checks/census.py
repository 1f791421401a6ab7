"""Following the nodes of a platform over time: which ones came, when each was Ready and offered what, which went."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from aiconform.cluster import Cluster, Object, wait
from aiconform.platform.accelerators import usable_node
from aiconform.platform.autoscaler import offers

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


@dataclass
class Newcomer:
    """A node that came while the census went on. Moments are seconds since its begin; None: not so far."""

    name: str
    labels: dict[str, str]
    came: float
    ready: float | None = None
    gone: float | None = None
    offers: dict[str, int] = field(default_factory=dict)
    """The most of each known accelerator that it had for Pods."""
    problem: str = ""
    """Why it is not Ready, in its own words."""


class Census:
    """The nodes that come and go. `known` are the UIDs of those that were there before."""

    def __init__(self, known: Iterable[str], board: Board, tell: Callable[[str], None] = lambda _: None) -> None:
        self.newcomers: dict[str, Newcomer] = {}
        """By UID: a name may come again."""
        self.lost: dict[str, float] = {}
        """Names of nodes that were there before and went, with the moment."""
        self._known = set(known)
        self._board = board
        self._tell = tell
        self._begun = time.monotonic()

    @property
    def now(self) -> float:
        return time.monotonic() - self._begun

    def see(self, node: Object, *, deleted: bool = False) -> None:
        """Take note of one state of one node."""
        metadata = node["metadata"]
        uid, name = metadata["uid"], metadata["name"]
        if uid in self._known:
            if deleted:
                self._known.discard(uid)
                self.lost[name] = self.now
                self._tell(f"node {name} is gone")
                self._board.tell()
            return
        entry = self.newcomers.get(uid)
        if entry is None:
            if deleted:
                return
            entry = self.newcomers[uid] = Newcomer(name, {}, self.now)
            self._tell(f"node {name} came")
        if deleted:
            entry.gone = self.now
            self._tell(f"node {name} is gone")
        else:
            self._update(entry, node)
        self._board.tell()

    def _update(self, entry: Newcomer, node: Object) -> None:
        entry.labels = dict(node["metadata"].get("labels") or {})
        entry.problem = "" if wait.is_true(node, "Ready") else usable_node(node) or ""
        if not wait.is_true(node, "Ready"):
            # What it says it has is made up as long as no kubelet speaks for it.
            return
        if entry.ready is None:
            entry.ready = self.now
            self._tell(f"node {entry.name} is Ready")
        for name, count in offers(node).items():
            if name not in entry.offers:
                self._tell(f"node {entry.name} offers {count} {name}")
            entry.offers[name] = max(count, entry.offers.get(name, 0))

    async def follow(self, cluster: Cluster) -> None:
        """Follow until cancelled. Raises ClusterError."""
        async for _, events in wait.states(cluster, "v1", "Node"):
            for event in events:
                self.see(event.object, deleted=event.type == "DELETED")


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
