"""Probes that disturb others begin when all others are done, and wait for nobody who never comes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiconform.check import PlatformComponent, Target
from aiconform.engine.outstanding import Outstanding


@dataclass(frozen=True)
class Disturbing(PlatformComponent):
    @property
    def disturbs(self) -> bool:
        return True


QUIET, LOUD = PlatformComponent("quiet"), Disturbing("loud")


async def begins(outstanding: Outstanding, target: Target) -> bool:
    """Whether the probe of this target begins without waiting."""
    turn = asyncio.ensure_future(outstanding.turn(target))
    await asyncio.sleep(0)
    return turn.done() or not turn.cancel()


def test_what_disturbs_nobody_begins_at_once() -> None:
    async def story() -> None:
        outstanding = Outstanding(3)
        outstanding.found([QUIET, LOUD])
        assert await begins(outstanding, QUIET)
        assert await begins(outstanding, None)

    asyncio.run(story())


def test_what_disturbs_waits_for_probes_whose_targets_are_not_known_yet() -> None:
    async def story() -> None:
        outstanding = Outstanding(2)
        outstanding.found([LOUD])
        assert not await begins(outstanding, LOUD)
        outstanding.found([QUIET, QUIET])
        outstanding.observed()
        assert not await begins(outstanding, LOUD)
        outstanding.observed()
        assert await begins(outstanding, LOUD)
        assert not outstanding.none
        outstanding.observed()
        assert outstanding.none

    asyncio.run(story())


def test_what_disturbs_does_not_wait_for_its_like() -> None:
    async def story() -> None:
        outstanding = Outstanding(1)
        outstanding.found([LOUD, LOUD])
        assert await begins(outstanding, LOUD)

    asyncio.run(story())


def test_a_probe_without_targets_keeps_nobody_waiting() -> None:
    async def story() -> None:
        outstanding = Outstanding(2)
        outstanding.found([LOUD])
        outstanding.observed()
        assert await begins(outstanding, LOUD)

    asyncio.run(story())
