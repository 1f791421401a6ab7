"""Follows an autoscaler and the Pods that it scales."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aiconform.checks.pod_autoscaling.observations import Sample, shown
from aiconform.checks.pod_autoscaling.scaled_workload import SCALED
from aiconform.cluster import Cluster, Object, conditions, quantity, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.following import ChangeSignal


class ScalingHistory:
    """The statuses of the autoscaler, and the Pods, since this object was created."""

    def __init__(self, scratch: Scratch, name: str) -> None:
        self.samples: list[Sample] = []
        self.pods: dict[str, Object] = {}
        """The existing Pods, by name."""
        self.said = ""
        """Why the autoscaler cannot scale, in its own words."""
        self._changes = ChangeSignal()
        self._scratch = scratch
        self.name = name
        """That of the Deployment and of its autoscaler."""
        self._begun = time.monotonic()
        self._told = ""

    @property
    def now(self) -> float:
        """Seconds since the begin."""
        return round(time.monotonic() - self._begun, 1)

    @property
    def last(self) -> Sample | None:
        return self.samples[-1] if self.samples else None

    def running(self) -> list[Object]:
        """The Pods whose containers all run and that are not being deleted. Raises Stuck, as `wait.running`."""
        return [
            each
            for each in self.pods.values()
            if "deletionTimestamp" not in each["metadata"]
            and each.get("status", {}).get("phase") == "Running"
            and wait.running(each)
        ]

    async def until(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Whether the condition becomes true in time."""
        return bool(await self._changes.until(condition, seconds))

    def add(self, autoscaler: Object) -> None:
        """Record one state of the autoscaler."""
        status = autoscaler.get("status") or {}
        active = conditions.find(autoscaler, "ScalingActive")
        self.said = "" if active is None or active.is_true else active.message
        sample = Sample(
            at=self.now,
            desired=status.get("desiredReplicas", 0),
            current=status.get("currentReplicas", 0),
            average=average_read(status),
            written=written(autoscaler),
        )
        before = self.last
        if before is None or (before.desired, before.current, before.average) != (
            sample.desired,
            sample.current,
            sample.average,
        ):
            self.samples.append(sample)
            read = "nothing" if sample.average is None else shown(sample.average)
            told, self._told = self._told, f"the autoscaler read {read} for each Pod and wants {sample.desired}"
            if self._told != told:
                self._scratch.tell(self._told)
        self._changes.notify()

    async def follow_autoscaler(self, cluster: Cluster, namespace: str) -> None:
        """Follow until cancelled. Raises ClusterError."""
        kind = ("autoscaling/v2", "HorizontalPodAutoscaler", namespace)
        async for there, _ in wait.states(cluster, *kind, fields=f"metadata.name={self.name}"):
            for obj in there.values():
                self.add(obj)

    async def follow_pods(self, cluster: Cluster, namespace: str) -> None:
        """Follow until cancelled. Raises ClusterError."""
        async for there, _ in wait.states(cluster, "v1", "Pod", namespace, labels=f"{SCALED}={self.name}"):
            self.pods = {obj["metadata"]["name"]: obj for obj in there.values()}
            self._changes.notify()


def average_read(status: Object) -> float | None:
    """The metric for each Pod that the status of a HorizontalPodAutoscaler reports; None if it reports none."""
    for entry in status.get("currentMetrics") or []:
        source = entry.get("pods") or entry.get("external") or {}
        if text := (source.get("current") or {}).get("averageValue"):
            return round(quantity.number(text), 3)
    return None


def written(autoscaler: Object) -> float | None:
    """When the API server stored this status, in whole seconds since the object was created; None if unknown.

    The API server notes for each manager of fields when it last changed any of them.
    """
    about = autoscaler.get("metadata") or {}
    times = [
        datetime.fromisoformat(entry["time"])
        for entry in about.get("managedFields") or []
        if entry.get("subresource") == "status" and entry.get("time")
    ]
    if not times or not about.get("creationTimestamp"):
        return None
    return (max(times) - datetime.fromisoformat(about["creationTimestamp"])).total_seconds()
