"""A cluster that has nothing: what a run reads of it is answered without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from aiconform.cluster import NotFound


class EmptyCluster:
    """Answers what a run reads of a cluster that has nothing."""

    server, context = "https://cluster.test:6443", "here"

    async def version(self) -> str:
        return "v1.37.2"

    async def groups(self) -> dict[str, tuple[str, ...]]:
        return {}

    async def resources(self, api_version: str) -> dict[str, Any]:
        return {}

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        if name != "kube-system":
            raise NotFound(f"{kind} {name} does not exist")
        return {"metadata": {"name": "kube-system", "uid": "0000-1111"}}

    async def may(self, *_: object, **__: object) -> bool:
        return True

    async def list(self, *_: object, **__: object) -> AsyncIterator[dict[str, Any]]:
        for item in ():
            yield item
