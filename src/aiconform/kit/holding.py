"""A Pod that asked for a device, or for a part of one: what became of it, and what is recorded of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiconform.cluster import Cluster, Object
from aiconform.kit import inside
from aiconform.kit.container_view import View, parse_view
from aiconform.kit.devices import DeviceRequest, given
from aiconform.kit.pods import blames_devices, container_runs, unschedulable, waits_for_devices
from aiconform.platform import Platform

HOLDER = "holder"
"""The container with the device."""


@dataclass(kw_only=True)
class HoldingPod:
    """kind: the driver or the resource; asked, memory, waits, problem, late: as in `inside.DeviceHolder`.

    running: once it runs. lines: what its container with the device printed.
    """

    kind: str
    asked: str
    memory: float
    request: DeviceRequest
    created: Object
    running: Object | None = None
    waits: str = ""
    problem: str = ""
    late: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.created["metadata"]["name"])

    async def now(self, cluster: Cluster) -> Object:
        """The Pod as it is. Raises ClusterError."""
        metadata = self.created["metadata"]
        return await cluster.get("v1", "Pod", metadata["name"], metadata["namespace"])

    async def waits_for_device(self, cluster: Cluster) -> str:
        """What the scheduler says of one that waits for its device; empty if it waits for nothing of the kind."""
        words = await self._unscheduled(cluster)
        return words if waits_for_devices(words, self.kind) else ""

    async def waits_otherwise(self, cluster: Cluster) -> str:
        """What the scheduler says of one that waits for something else than its device; empty if it does not."""
        words = await self._unscheduled(cluster)
        return "" if waits_for_devices(words, self.kind) else words

    async def _unscheduled(self, cluster: Cluster) -> str:
        found = unschedulable(await self.now(cluster))
        return found.words if found else ""

    async def look_again(self, cluster: Cluster) -> None:
        """Whether one that was not refused runs by now, or is late without a word against its device."""
        seen = await self.now(cluster)
        if container_runs(seen, HOLDER):
            self.running, self.problem = seen, ""
        elif not await blames_devices(cluster, seen, self.kind):
            self.late, self.problem = self.problem, ""

    async def recorded(
        self, platform: Platform, found: inside.Sources, control: View | None
    ) -> tuple[dict[str, Any], inside.Answer | None]:
        """(the fields of DeviceHolder, what its container shows). Raises ClusterError.

        control: what a container without a device sees; without it, nothing can be told from what this one shows.
        """
        allocated, published = await given(platform, self.request, self.running) if not self.waits else ((), ())
        about: dict[str, Any] = {
            "pod": self.name,
            "asked": self.asked,
            "memory": self.memory,
            "waits": self.waits,
            "problem": self.problem,
            "late": self.late,
            "allocated": allocated,
            "published": published,
        }
        if self.running is None:
            return about, None
        view = parse_view(self.lines)
        if control is None:
            return about | {"view": view}, None
        answer = inside.read(found, self.lines, view, control)
        shown = {"parents": answer.parents, "buses": answer.buses, "sizes": answer.sizes}
        return about | shown | {"view": inside.own(view, control)}, answer
