"""Waiting for objects to come and go, by a watch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from aiconform.cluster import connect
from aiconform.cluster.wait import states


def until(
    kubeconfig: Path,
    api_version: str,
    kind: str,
    holds: Callable[[Sequence[str]], bool],
    *,
    labels: str = "",
    fields: str = "",
    seconds: float = 900,
) -> None:
    """Wait until `holds` is true of the names of all objects of a kind. Raises TimeoutError."""

    async def watch() -> None:
        async with asyncio.timeout(seconds), connect(str(kubeconfig)) as cluster:
            async for there, _ in states(cluster, api_version, kind, labels=labels, fields=fields):
                if holds([obj["metadata"]["name"] for obj in there.values()]):
                    return

    asyncio.run(watch())
