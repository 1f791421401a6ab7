"""Following an autoscaler and the Pods that it scales over time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiconform.check import Observation
from aiconform.checks.pod_autoscaling.scaled_workload import SCALED
from aiconform.cluster import Cluster, Object, conditions, quantity, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.following import ChangeSignal


class Sample(Observation):
    """One state of the autoscaler. `at`: seconds since the begin. `average`: the metric for each Pod as it read it.

    `desired` and `current` are numbers of Pods; `average` is None where it has read nothing.
    """

    at: float
    desired: int
    current: int
    average: float | None


class Watch:
    """What the autoscaler and the Pods were, from now on."""

    def __init__(self, scratch: Scratch, name: str) -> None:
        self.samples: list[Sample] = []
        self.pods: dict[str, Object] = {}
        """The Pods that are there now, by name."""
        self.said = ""
        """Why the autoscaler cannot work, in its own words."""
        self._changes = ChangeSignal()
        self._scratch = scratch
        self._name = name
        self._begun = time.monotonic()

    @property
    def now(self) -> float:
        return round(time.monotonic() - self._begun, 1)

    @property
    def last(self) -> Sample | None:
        return self.samples[-1] if self.samples else None

    def running(self) -> list[Object]:
        """The Pods all of whose containers run and that nobody asked to end. Raises Stuck, as `wait.running`."""
        return [
            each
            for each in self.pods.values()
            if "deletionTimestamp" not in each["metadata"]
            and each.get("status", {}).get("phase") == "Running"
            and wait.running(each)
        ]

    async def until(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Whether the condition came to hold in time."""
        return bool(await self._changes.until(condition, seconds))

    def see(self, autoscaler: Object) -> None:
        """Take note of one state of the autoscaler."""
        status = autoscaler.get("status") or {}
        active = conditions.find(autoscaler, "ScalingActive")
        self.said = "" if active is None or active.is_true else active.message
        sample = Sample(
            at=self.now,
            desired=status.get("desiredReplicas", 0),
            current=status.get("currentReplicas", 0),
            average=read(status),
        )
        before = self.last
        if before is None or (before.desired, before.current, before.average) != (
            sample.desired,
            sample.current,
            sample.average,
        ):
            self.samples.append(sample)
            self._scratch.tell(f"the autoscaler read {_shown(sample.average)} for each Pod and wants {sample.desired}")
        self._changes.notify()

    async def autoscaler(self, cluster: Cluster, namespace: str) -> None:
        """Follow until cancelled. Raises ClusterError."""
        kind = ("autoscaling/v2", "HorizontalPodAutoscaler", namespace)
        async for there, _ in wait.states(cluster, *kind, fields=f"metadata.name={self._name}"):
            for obj in there.values():
                self.see(obj)

    async def scaled(self, cluster: Cluster, namespace: str) -> None:
        """Follow until cancelled. Raises ClusterError."""
        async for there, _ in wait.states(cluster, "v1", "Pod", namespace, labels=f"{SCALED}={self._name}"):
            self.pods = {obj["metadata"]["name"]: obj for obj in there.values()}
            self._changes.notify()


def read(status: Object) -> float | None:
    """The metric for each Pod that a HorizontalPodAutoscaler's status says it read; None if it says nothing."""
    for entry in status.get("currentMetrics") or []:
        source = entry.get("pods") or entry.get("external") or {}
        if text := (source.get("current") or {}).get("averageValue"):
            return round(quantity.number(text), 3)
    return None


def _shown(average: float | None) -> str:
    return "nothing" if average is None else f"{average:g}"
