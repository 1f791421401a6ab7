"""The allocatable numbers of the extended resources: Pods can use them only when they are in the Node's status."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection

from aiconform.cluster import Cluster, ClusterError, Object, quantity
from aiconform.lab.accelerators.config import AcceleratorConfig

RETRY_SECONDS = 1.0


class Allocatable:
    """Follows the Node's status; `counts` are the allocatable numbers of these resources."""

    def __init__(
        self, cluster: Cluster, config: AcceleratorConfig, resources: Collection[str], on_change: Callable[[], None]
    ) -> None:
        self.counts = dict.fromkeys(resources, 0)
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
                    counts = {name: 0 if gone else allocatable(event.object, name) for name in self.counts}
                    if counts != self.counts:
                        self.counts = counts
                        self._on_change()
            except ClusterError as err:
                if str(err) != told:
                    told = str(err)
                    print(f"Node: {err}; retrying", file=sys.stderr)
                await asyncio.sleep(RETRY_SECONDS)


def allocatable(node: Object, resource: str) -> int:
    """How many of an extended resource a Node has for Pods; 0 if it has no such resource."""
    return quantity.whole(((node.get("status") or {}).get("allocatable") or {}).get(resource, "0"))
