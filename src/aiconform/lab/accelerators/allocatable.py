"""The allocatable number of the extended resource: Pods can use it only when it is in the Node's status."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from aiconform.cluster import Cluster, ClusterError, Object, quantity
from aiconform.lab.accelerators.config import AcceleratorConfig

RETRY_SECONDS = 1.0


class Allocatable:
    """Follows the Node's status; `count` is the resource's allocatable number."""

    def __init__(self, cluster: Cluster, config: AcceleratorConfig, on_change: Callable[[], None]) -> None:
        self.count = 0
        self._cluster = cluster
        self._config = config
        self._on_change = on_change

    async def keep(self) -> None:
        """Follow the Node; never returns. Errors are printed once and retried."""
        told = ""
        while True:
            try:
                fields = f"metadata.name={self._config.node_name}"
                async for event in self._cluster.watch("v1", "Node", fields=fields):
                    gone = event.type == "DELETED"
                    count = 0 if gone else allocatable(event.object, self._config.identity.extended_resource)
                    if count != self.count:
                        self.count = count
                        self._on_change()
            except ClusterError as err:
                if str(err) != told:
                    told = str(err)
                    print(f"Node: {err}; retrying", file=sys.stderr)
                await asyncio.sleep(RETRY_SECONDS)


def allocatable(node: Object, resource: str) -> int:
    """How many of an extended resource a Node has for Pods; 0 if it has no such resource."""
    return quantity.whole(((node.get("status") or {}).get("allocatable") or {}).get(resource, "0"))
