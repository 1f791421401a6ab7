"""Reading a container's output up to the line that ends its work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiconform.cluster import Object, TimedOut
from aiconform.kit.logs import read_until

POD: Object = {"metadata": {"namespace": "ns", "name": "p"}}


class FakeCluster:
    def __init__(self, *lines: str) -> None:
        self.lines = lines

    async def follow(self, *about: Any, seconds: float) -> AsyncIterator[str]:
        for line in self.lines:
            yield line


async def read(*lines: str) -> list[str]:
    return await read_until(FakeCluster(*lines), POD, "c", "done", seconds=1)  # type: ignore[arg-type]


async def test_the_lines_before_the_last_one_are_read() -> None:
    assert await read("a", "b", "done", "c") == ["a", "b"]
    assert await read("done") == []


@pytest.mark.parametrize(("lines", "tail"), [((), "nothing"), (("a", "b", "c", "d"), "b / c / d")])
async def test_an_output_that_ends_early_is_quoted(lines: tuple[str, ...], tail: str) -> None:
    with pytest.raises(TimedOut, match=f"container c of Pod p did not print 'done'; its last output: {tail}"):
        await read(*lines)
