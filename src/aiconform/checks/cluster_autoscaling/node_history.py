"""Follows the nodes of a platform: which are added, when each is Ready and offers accelerators, which are removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from aiconform.cluster import Cluster, Object, conditions, wait
from aiconform.kit.following import ChangeSignal
from aiconform.platform.accelerators.nodes import usable_node
from aiconform.platform.accelerators.profiles import Profiles
from aiconform.platform.autoscaling.members import offers


@dataclass
class NewNode:
    """A node that was added since the history began. Times are seconds since then; None: not so far."""

    name: str
    labels: dict[str, str]
    came: float
    ready: float | None = None
    gone: float | None = None
    offers: dict[str, int] = field(default_factory=dict)
    """The largest allocatable number of each known accelerator."""
    problem: str = ""
    """Why it is not Ready, as it reports."""


class NodeHistory:
    """The nodes that are added and removed.

    known: UIDs of the nodes that exist before. profiles: the accelerators that count.
    """

    def __init__(
        self,
        known: Iterable[str],
        changes: ChangeSignal,
        tell: Callable[[str], None] = lambda _: None,
        *,
        profiles: Profiles | None = None,
    ) -> None:
        self.new_nodes: dict[str, NewNode] = {}
        """By UID: a name can be used again."""
        self.lost: dict[str, float] = {}
        """Names of nodes that existed before and were removed, and when."""
        self._known = set(known)
        self._changes = changes
        self._tell = tell
        self._profiles = profiles
        self._begun = time.monotonic()

    @property
    def now(self) -> float:
        return time.monotonic() - self._begun

    def see(self, node: Object, *, deleted: bool = False) -> None:
        """Record one state of one node."""
        metadata = node["metadata"]
        uid, name = metadata["uid"], metadata["name"]
        if uid in self._known:
            if deleted:
                self._known.discard(uid)
                self.lost[name] = self.now
                self._tell(f"node {name} was removed")
                self._changes.notify()
            return
        entry = self.new_nodes.get(uid)
        if entry is None:
            if deleted:
                return
            entry = self.new_nodes[uid] = NewNode(name, {}, self.now)
            self._tell(f"node {name} was added")
        if deleted:
            entry.gone = self.now
            self._tell(f"node {name} was removed")
        else:
            self._update(entry, node)
        self._changes.notify()

    def _update(self, entry: NewNode, node: Object) -> None:
        entry.labels = dict(node["metadata"].get("labels") or {})
        entry.problem = "" if conditions.is_true(node, "Ready") else usable_node(node) or ""
        if not conditions.is_true(node, "Ready"):
            # Until a kubelet reports, what the node offers is an expectation of whoever created it.
            return
        if entry.ready is None:
            entry.ready = self.now
            self._tell(f"node {entry.name} is Ready")
        for name, count in offers(node, self._profiles).items():
            if name not in entry.offers:
                self._tell(f"node {entry.name} offers {count} {name}")
            entry.offers[name] = max(count, entry.offers.get(name, 0))

    async def follow(self, cluster: Cluster) -> None:
        """Follow until cancelled. Raises ClusterError."""
        async for _, events in wait.states(cluster, "v1", "Node"):
            for event in events:
                self.see(event.object, deleted=event.type == "DELETED")
