"""How long a check works, and how long it only waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class WorkClock:
    """Runs from its creation. A check works while at least one of its probes does; otherwise it waits for its turn."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._begun = self._since = now()
        self._active = 0
        self._worked = 0.0

    @contextmanager
    def working(self) -> Iterator[None]:
        """One of its probes works during this block."""
        if not self._active:
            self._since = self._now()
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1
            if not self._active:
                self._worked += self._now() - self._since

    def measured(self) -> tuple[float, float]:
        """(seconds worked, seconds waited), to be read while no probe works."""
        return round(self._worked, 3), round(max(0.0, self._now() - self._begun - self._worked), 3)
