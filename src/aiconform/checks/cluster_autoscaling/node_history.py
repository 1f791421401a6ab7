"""Following the nodes of a platform over time: which ones came, when each was Ready and offered what, which went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from aiconform.cluster import Cluster, Object, conditions, wait
from aiconform.kit.following import ChangeSignal
from aiconform.platform.accelerators.offered import usable_node
from aiconform.platform.autoscaling.autoscaler import offers


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

    def __init__(
        self, known: Iterable[str], changes: ChangeSignal, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self.newcomers: dict[str, Newcomer] = {}
        """By UID: a name may come again."""
        self.lost: dict[str, float] = {}
        """Names of nodes that were there before and went, with the moment."""
        self._known = set(known)
        self._changes = changes
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
                self._changes.notify()
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
        self._changes.notify()

    def _update(self, entry: Newcomer, node: Object) -> None:
        entry.labels = dict(node["metadata"].get("labels") or {})
        entry.problem = "" if conditions.is_true(node, "Ready") else usable_node(node) or ""
        if not conditions.is_true(node, "Ready"):
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
