"""Coroutines at once: none goes on when one has failed, so that nothing is created after a clean-up."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

import aiconform
from aiconform.cluster import Stuck
from aiconform.kit.together import gather


async def test_results_come_in_order() -> None:
    async def late(value: int) -> int:
        await asyncio.sleep(0.01 / value)
        return value

    assert await gather(late(1), late(2)) == [1, 2]


async def test_when_one_fails_the_others_have_ended_before_the_error_is_told() -> None:
    created: list[str] = []
    ended: list[str] = []

    async def creates() -> None:
        try:
            await asyncio.sleep(0.01)
            created.append("control")
        finally:
            await asyncio.sleep(0)
            ended.append("creates")

    async def breaks() -> None:
        await asyncio.sleep(0)
        raise Stuck("no Pod starts")

    with pytest.raises(Stuck, match="no Pod starts"):
        await gather(creates(), breaks())
    assert ended == ["creates"]
    await asyncio.sleep(0.02)
    assert created == []


def test_no_probe_leaves_coroutines_behind() -> None:
    package = Path(aiconform.__file__).parent
    probes = [*package.glob("checks/**/*.py"), *package.glob("kit/*.py")]
    bare = re.compile(r"asyncio\.gather\((?!.*(?:return_exceptions=True|\*tasks\)))")
    assert [str(file) for file in probes for line in file.read_text().splitlines() if bare.search(line)] == []
