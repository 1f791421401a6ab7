"""Following a cluster beside a probe: waiting for changes, and coroutines in the background."""

from __future__ import annotations

import asyncio

import pytest

from aiconform.check import NothingToLookAt
from aiconform.cluster import ClusterError
from aiconform.kit.following import ChangeSignal, background


async def test_a_wait_ends_with_the_change_or_with_the_time() -> None:
    changes = ChangeSignal()
    values: list[int] = []

    def change() -> None:
        values.append(1)
        changes.notify()

    asyncio.get_running_loop().call_soon(change)
    assert await changes.until(lambda: values[:1], 30) == [1]
    assert await changes.until(lambda: None, 0.01) is None


async def test_what_breaks_beside_ends_the_block_with_its_own_error() -> None:
    async def breaks() -> None:
        await asyncio.sleep(0)
        raise ClusterError("refused")

    with pytest.raises(ClusterError, match="refused"):
        async with background(breaks()):
            await asyncio.sleep(30)

    async def goes_on() -> None:
        await asyncio.sleep(30)

    async with background(goes_on()):
        pass
    with pytest.raises(NothingToLookAt, match="ours"):
        async with background(goes_on()):
            raise NothingToLookAt("ours")
