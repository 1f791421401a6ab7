"""How far a run is with the nodes that it tries: for a run on every node of a large platform."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from aiconform.engine import events

EVERY_SECONDS = 15.0


class NodesDone:
    """Follows a run, and has a line to say now and then. A node is done when no probe is left that looks at it."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._nodes: dict[tuple[str, str, str], tuple[str, ...]] = {}
        self._left: Counter[str] = Counter()
        self._failed: set[str] = set()
        self._looks = self._before = 0
        self._begun: float | None = None
        self._said = 0.0

    def found(self, event: events.TargetsFound) -> None:
        """A probe found where it looks."""
        if self._begun is None:
            self._begun = self._said = self._now()
        for target, nodes in event.targets.items():
            if target not in event.done:
                self._nodes[event.check, event.probe, target] = nodes
            elif nodes:
                self._before += 1
            self._left.update(dict.fromkeys(nodes, int(target not in event.done)))

    def finished(self, event: events.ProbeFinished) -> str:
        """A probe looked at a target. Returns the line to show, or "" while the last one is young."""
        nodes = self._nodes.pop((event.check, event.probe, event.target), ())
        if not nodes:
            return ""
        self._looks += 1
        self._left.subtract(nodes)
        if event.outcome == "error":
            self._failed.update(nodes)
        now = self._now()
        if self._begun is None or now - self._said < EVERY_SECONDS:
            return ""
        self._said = now
        left = sum(1 for nodes in self._nodes.values() if nodes)
        return self._line((now - self._begun) / self._looks * left, left)

    def _line(self, seconds: float, left: int) -> str:
        observed = self._looks + self._before
        done = sum(1 for count in self._left.values() if count == 0)
        failed = f", {len(self._failed)} with errors" if self._failed else ""
        rest = f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"
        # All nodes may be done only at the end, where one check is through with them before the next begins.
        return f"nodes: {done} of {len(self._left)} done{failed}; observations: {observed} of {observed + left}; {rest}"
