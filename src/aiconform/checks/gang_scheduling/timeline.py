"""Follows gangs: one watch over all their Pods, and waiting for what it shows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiconform.checks.gang_scheduling.outcome import Gang, Member
from aiconform.checks.gang_scheduling.solutions.adapter import GANG_LABEL, WORKER
from aiconform.cluster import Cluster, Object, Stuck, WatchEvent, wait
from aiconform.kit.following import ChangeSignal, background
from aiconform.kit.meshes import advice, injected
from aiconform.kit.pods import trouble_of_the_node, unschedulable

# Conditions depend on time, too: without events they are evaluated once in this many seconds. No request is sent.
_TICK = 0.5


class Timeline:
    """The Pods of the gangs of one probe. Use `watching`."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._members: dict[str, dict[str, Any]] = {}
        self._gangs: dict[str, str] = {}
        self._unschedulable: dict[str, str] = {}
        self._changes = ChangeSignal()
        self._broken: Stuck | None = None

    def begin(self) -> None:
        """Count times from now."""
        self._begun = time.monotonic()

    @property
    def now(self) -> float:
        return round(time.monotonic() - self._begun, 3)

    def gang(self, name: str, size: int) -> Gang:
        """A gang as observed so far."""
        members = [Member(**fields) for uid, fields in self._members.items() if self._gangs[uid] == name]
        return Gang(name=name, size=size, watched=self.now, members=tuple(members))

    def reported(self, name: str) -> str:
        """Why the scheduler could not place a Pod of this gang; empty if it reports nothing."""
        return next((text for uid, text in self._unschedulable.items() if text and self._gangs[uid] == name), "")

    async def until(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        """Whether the condition becomes true within `seconds`. Raises Stuck if a Pod fails for a reason of its own."""

        def holds() -> bool:
            if self._broken:
                raise self._broken
            return condition()

        return bool(await self._changes.until(holds, seconds))

    async def tick(self) -> None:
        """Have conditions evaluated from time to time, until cancelled."""
        while True:
            await asyncio.sleep(_TICK)
            self._changes.notify()

    async def follow(self, cluster: Cluster, namespace: str, labels: str) -> None:
        """Follow the Pods until cancelled. Raises ClusterError."""
        async for _, events in wait.states(cluster, "v1", "Pod", namespace, labels=labels):
            for event in events:
                self.take(event)

    def take(self, event: WatchEvent) -> None:
        """Record one event of the watch."""
        pod: Object = event.object
        metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
        uid = metadata["uid"]
        self._gangs[uid] = metadata["labels"][GANG_LABEL]
        seen = self._members.setdefault(uid, {"name": metadata["name"], "created": self.now})
        phase = status.get("phase")
        if spec.get("nodeName"):
            seen["node"] = spec["nodeName"]
            seen.setdefault("scheduled", self.now)
        going = event.type == "DELETED" or "deletionTimestamp" in metadata
        if wait.ended(pod):
            seen.setdefault("ended", self.now)
            seen["succeeded"] = phase == "Succeeded"
            if phase == "Succeeded":
                seen.setdefault("running", self.now)
        if going and "ended" not in seen:
            seen.setdefault("gone", self.now)
        try:
            if phase == "Running" and wait.running(pod):
                seen.setdefault("running", self.now)
            wait.refuse_unrecoverable(pod)
            if trouble := trouble_of_the_node(pod):
                raise Stuck(f"Pod {metadata['name']} was ended by others: {trouble}")
            if _kept_running(pod):
                raise Stuck(f"Pod {metadata['name']} does not end with its work: {advice(injected(pod, {WORKER}))}")
            if phase == "Failed" and not going:
                raise Stuck(f"Pod {metadata['name']} failed: {status.get('reason', '')} {wait.describe(pod)}")
        except Stuck as error:
            self._broken = self._broken or error
        waits = unschedulable(pod)
        self._unschedulable[uid] = waits.message if waits else ""
        self._changes.notify()


def _kept_running(pod: Object) -> bool:
    """Whether a container that was put into the Pod keeps it, and its accelerator, after its work."""
    status = pod.get("status") or {}
    states = {entry["name"]: entry["state"] for entry in status.get("containerStatuses") or []}
    others = any("running" in state for name, state in states.items() if name != WORKER)
    return others and "terminated" in states.get(WORKER, {})


@asynccontextmanager
async def watching(cluster: Cluster, namespace: str, labels: str) -> AsyncIterator[Timeline]:
    """A timeline over the Pods of gangs with these labels, as long as the block runs. Raises ClusterError."""
    timeline = Timeline()
    async with background(timeline.follow(cluster, namespace, f"{labels},{GANG_LABEL}"), timeline.tick()):
        yield timeline
