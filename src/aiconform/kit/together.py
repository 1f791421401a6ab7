"""Several coroutines of a probe at once, of which none outlives the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any


async def gather(*awaitables: Awaitable[Any]) -> list[Any]:
    """All results in order. When cancelled, or when one fails, the others are cancelled and awaited.

    `asyncio.gather` lets them go on: what they create after the clean-up, nobody deletes.
    """
    tasks = [asyncio.ensure_future(each) for each in awaitables]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
