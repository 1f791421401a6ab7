"""The faulty allocator of allocator-overcommits: it allocates claims that no node can satisfy.

A sound scheduler leaves them unallocated. This one writes an allocation that names devices twice.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import cycle, islice

from aiconform.cluster import Cluster, ClusterError, Object
from aiconform.lab.accelerators.config import AcceleratorConfig
from aiconform.lab.accelerators.identity import AcceleratorError
from aiconform.lab.accelerators.publisher import Publisher
from aiconform.lab.accelerators.slices import GROUP

RETRY_SECONDS = 1.0
# The API server accepts no more results in one allocation.
MOST_RESULTS = 32


class RogueAllocator:
    """Runs on every node; only the first node with this driver's devices acts."""

    def __init__(self, cluster: Cluster, config: AcceleratorConfig, publisher: Publisher) -> None:
        self._cluster = cluster
        self._config = config
        self._publisher = publisher

    async def run(self) -> None:
        """Watch all claims and allocate those that cannot be satisfied; never returns. Errors are printed once."""
        told = ""
        while True:
            try:
                version = f"{GROUP}/{await self._publisher.served_version()}"
                async for event in self._cluster.watch(version, "ResourceClaim"):
                    if event.type in ("ADDED", "MODIFIED"):
                        await self._consider(version, event.object)
            except (ClusterError, AcceleratorError) as err:
                if str(err) != told:
                    told = str(err)
                    print(f"ResourceClaims: {err}; retrying", file=sys.stderr)
                await asyncio.sleep(RETRY_SECONDS)

    async def _consider(self, version: str, claim: Object) -> None:
        asked = demands(claim, self._config.identity.device_class)
        if not asked or claim.get("status", {}).get("allocation") or claim["metadata"].get("deletionTimestamp"):
            return
        driver = self._config.identity.driver
        published = [
            slice_ async for slice_ in self._cluster.list(version, "ResourceSlice", fields=f"spec.driver={driver}")
        ]
        size = pool_sizes(published)
        if not size or self._config.node_name != min(size) or sum(asked.values()) <= max(size.values()):
            return
        allocation = overcommitted(asked, [str(d["name"]) for d in self._publisher.devices], self._config)
        await self._cluster.patch(claim, {"status": {"allocation": allocation}}, subresource="status")


def demands(claim: Object, device_class: str) -> Counter[str]:
    """Request name -> how many devices of the class it asks for; only requests for exact counts are considered."""
    asked: Counter[str] = Counter()
    for request in claim["spec"].get("devices", {}).get("requests", []):
        # v1beta1 has no `exactly`: the fields are in the request itself.
        exactly = request.get("exactly") or request
        if exactly.get("deviceClassName") == device_class:
            asked[request["name"]] = exactly.get("count", 1)
    return asked


def pool_sizes(published: Sequence[Object]) -> Counter[str]:
    """Pool (a node's name) -> number of devices in its newest generation."""
    newest: dict[str, int] = {}
    sizes: Counter[str] = Counter()
    for slice_ in published:
        pool = slice_["spec"]["pool"]
        name, generation = pool["name"], pool["generation"]
        if generation > newest.get(name, -1):
            newest[name] = generation
            sizes[name] = 0
        if generation == newest[name]:
            sizes[name] += len(slice_["spec"].get("devices") or [])
    return +sizes


def overcommitted(asked: Counter[str], devices: Sequence[str], config: AcceleratorConfig) -> Object:
    """An allocation on this node that grants every request with the same few devices."""
    wanted = [request for request, count in asked.items() for _ in range(count)]
    return {
        # A scheduler that knows this field would add it, but an allocation must not change.
        "allocationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "devices": {
            "results": [
                {"request": request, "driver": config.identity.driver, "pool": config.node_name, "device": device}
                for request, device in islice(zip(wanted, cycle(devices), strict=False), MOST_RESULTS)
            ]
        },
        "nodeSelector": {
            "nodeSelectorTerms": [
                {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [config.node_name]}]}
            ]
        },
    }
