"""Counts the observations that a run still waits for, and delays the probes that would disturb others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiconform.check import PlatformComponent, Target


class Outstanding:
    """The observations still to come: one for each probe, then one for each of its targets."""

    def __init__(self, probes: int) -> None:
        self._all = probes
        self._disturbing = 0
        self._quiet = asyncio.Event()

    @property
    def none(self) -> bool:
        return self._all == 0

    def found(self, targets: Sequence[Target]) -> None:
        """A probe found the targets that it has to look at: none where an interrupted run did."""
        self._all += len(targets) - 1
        self._disturbing += sum(map(_disturbs, targets))
        self._look()

    def observed(self) -> None:
        self._all -= 1
        self._look()

    async def turn(self, target: Target) -> None:
        """If the probe of this target disturbs others, wait until all of them are done."""
        if _disturbs(target):
            await self._quiet.wait()

    def _look(self) -> None:
        if self._all <= self._disturbing:
            self._quiet.set()


def _disturbs(target: Target) -> bool:
    return isinstance(target, PlatformComponent) and target.disturbs
