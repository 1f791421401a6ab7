"""Keeps the published ResourceSlices and the Node's labels up to date.

The kubelet deletes all slices of its node when it starts, and a driver's when that driver is gone for long: so this
watches, and publishes again.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence

from aiconform.cluster import Cluster, ClusterError, Conflict, NotFound, Object
from aiconform.lab.accelerators import objects, slices
from aiconform.lab.accelerators.config import AcceleratorConfig
from aiconform.lab.accelerators.identity import AcceleratorError

RETRY_SECONDS = (0.2, 0.5, 1, 2)
WATCH_SECONDS = 300


class Publisher:
    """Publishes devices (entries of a ResourceSlice) as this node's pool."""

    def __init__(self, cluster: Cluster, config: AcceleratorConfig, on_change: Callable[[], None]) -> None:
        """`on_change` is called when `published` or `problem` may have changed."""
        self.config = config
        self.published = False
        self.problem = ""
        self._devices: Sequence[Object] = ()
        self._counters: Sequence[Object] = ()
        self.generation = 0
        self.version: str | None = None
        self._cluster = cluster
        self._on_change = on_change
        self._own_writes: set[str] = set()
        self._lock = asyncio.Lock()

    @property
    def names(self) -> list[str]:
        """Names of the devices to publish."""
        return [str(device["name"]) for device in self._devices]

    def show(self, devices: Sequence[Object], counters: Sequence[Object]) -> None:
        """Set the devices to publish, and what they share; `published` is False until the API server has them."""
        if (list(devices), list(counters)) != (list(self._devices), list(self._counters)):
            self.published = False
        self._devices, self._counters = devices, counters

    async def publish(self) -> None:
        """Publish what is wanted now. Raises ClusterError, AcceleratorError."""
        async with self._lock:
            for _attempt in range(5):
                try:
                    return await self._publish_once()
                except Conflict:
                    # Another write happened between the read and this write.
                    continue
            raise AcceleratorError(
                f"the ResourceSlices of {self.config.node_name} are changed faster than we can publish"
            )

    async def _publish_once(self) -> None:
        node = await self._cluster.get("v1", "Node", self.config.node_name)
        if labels := objects.changed_labels(self.config, node["metadata"].get("labels") or {}):
            await self._cluster.patch({"apiVersion": "v1", "kind": "Node", **node}, {"metadata": {"labels": labels}})
        if self._devices or await self._find_version():
            await self._publish_slices(node["metadata"]["uid"])
        self.published, self.problem = True, ""
        self._on_change()

    async def _publish_slices(self, node_uid: str) -> None:
        version = await self.served_version()
        existing = [
            slice_
            async for slice_ in self._cluster.list(f"{slices.GROUP}/{version}", "ResourceSlice", fields=self._fields)
        ]
        plan = slices.plan(
            existing,
            self._devices,
            self._counters,
            config=self.config,
            version=version,
            node_uid=node_uid,
            last_generation=self.generation,
        )
        self._own_writes.clear()
        for old, changes in plan.change:
            try:
                self._remember(await self._cluster.patch(old, changes))
            except NotFound as err:
                raise Conflict(str(err), status=409) from err
        for new in plan.create:
            self._remember(await self._cluster.create(new))
        for old in plan.delete:
            await self._cluster.delete(old)
        self.generation = max(plan.generation, self.generation)

    async def keep(self) -> None:
        """Publish, and again whenever the slices change; never returns. Errors are printed and retried."""
        tries = 0
        while True:
            try:
                await self.publish()
                tries = 0
                async for event in self._cluster.watch(
                    f"{slices.GROUP}/{await self.served_version()}",
                    "ResourceSlice",
                    fields=self._fields,
                    seconds=WATCH_SECONDS,
                ):
                    if event.type == "BOOKMARK" or event.object["metadata"].get("resourceVersion") in self._own_writes:
                        continue
                    await self.publish()
            except (ClusterError, AcceleratorError) as err:
                self.version = None
                self.published = False
                if str(err) != self.problem:
                    self.problem = str(err)
                    print(f"ResourceSlices: {err}; retrying", file=sys.stderr)
                self._on_change()
                await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                tries += 1

    async def served_version(self) -> str:
        """The version of resource.k8s.io to use. Raises AcceleratorError if the API server serves no known one."""
        version = await self._find_version()
        if version is None:
            raise AcceleratorError(f"the API server serves no known version of {slices.GROUP}")
        return version

    async def _find_version(self) -> str | None:
        if self.version is None:
            served = (await self._cluster.groups()).get(slices.GROUP, ())
            self.version = slices.best_version(served)
        return self.version

    @property
    def _fields(self) -> str:
        return f"spec.nodeName={self.config.node_name},spec.driver={self.config.identity.driver}"

    def _remember(self, written: Object) -> None:
        self._own_writes.add(written["metadata"]["resourceVersion"])
