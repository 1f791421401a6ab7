"""Whether a Pod of a sandbox starts, or its runtime refuses it for good: a trouble of the moment is neither."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass

from aiconform.cluster import ClusterError, NotCreated, Object, Stuck, TimedOut, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.pods import lost_node, refused, start_of, warnings
from aiconform.kit.starting import blame_device
from aiconform.platform import Platform

# What containerd, CRI-O and cri-dockerd say of a handler that their configuration does not have.
NO_HANDLER = re.compile(
    r"no runtime for .* is configured|failed to find runtime handler|unknown runtime handler"
    r"|RuntimeHandler .* not supported",
    re.IGNORECASE,
)
_LOOK_SECONDS = 3.0
# For how long a runtime refuses a Pod again and again before that is its answer: some wait for what a DaemonSet brings.
_REFUSED_SECONDS = 45.0


@dataclass(frozen=True)
class Refusal:
    """Why no Pod of a class runs, where that is what the platform offers. node: where it was tried."""

    said: str
    node: str


@dataclass
class _Refusals:
    """What a runtime said of a Pod: how often, the first and the last time, in seconds."""

    count: int = 0
    first: float = 0.0
    last: float = 0.0
    said: str = ""

    def heard(self, count: int, said: str) -> None:
        """Of so many refusals in all. What was said once, before the runtime tried again, is not said again by that."""
        if count > self.count:
            now = time.monotonic()
            self.count, self.first, self.last, self.said = count, self.first or now, now, said


class Starts:
    """Waits for Pods, for `seconds` each."""

    def __init__(self, platform: Platform, scratch: Scratch, seconds: float) -> None:
        self._platform, self._scratch, self._seconds = platform, scratch, seconds

    async def running(self, created: Object) -> Object | Refusal:
        """The running Pod, or why its runtime does not run it. Raises ClusterError where the runtime is not why."""
        begun, heard, what = time.monotonic(), _Refusals(), start_of(created)
        while True:
            left = begun + self._seconds - time.monotonic()
            try:
                found = await wait.until(
                    self._platform.cluster, created, wait.running, seconds=min(_LOOK_SECONDS, left), what=what
                )
                if not (problem := refused(found)):
                    return found
                return await self._blamed(found, problem)
            except NotCreated as error:
                # The kubelet tries again.
                heard.heard(heard.count + 1, str(error))
                late = TimedOut(str(error))
                await asyncio.sleep(max(0.0, min(_LOOK_SECONDS, left)))
            except TimedOut as error:
                late = error
                heard.heard(*await self._refusals(created))
            if NO_HANDLER.search(heard.said):
                return Refusal(heard.said, await self._node_of(created))
            if heard.count and (heard.last - heard.first > _REFUSED_SECONDS or left <= _LOOK_SECONDS):
                return await self._blamed(created, heard.said)
            if left <= _LOOK_SECONDS:
                raise await self._late(created, late)

    async def _refusals(self, created: Object) -> tuple[int, str]:
        """(how often the runtime refused the Pod, what it answered last), by what the kubelet says."""
        found = [
            each
            for each in await warnings(self._platform.cluster, created)
            if each.get("reason") == "FailedCreatePodSandBox"
        ]
        return sum(each.get("count") or 1 for each in found), (found[-1].get("message") or "") if found else ""

    async def _node_of(self, created: Object) -> str:
        about = created["metadata"]
        seen = await self._platform.cluster.get("v1", "Pod", about["name"], about["namespace"])
        return str(seen["spec"].get("nodeName", ""))

    async def _blamed(self, created: Object, said: str) -> Object | Refusal:
        what = f"RuntimeClass {created['spec']['runtimeClassName']}"
        runs = await blame_device(self._platform, self._scratch, created, said, what)
        return runs or Refusal(said, await self._node_of(created))

    async def _late(self, created: Object, error: TimedOut) -> ClusterError:
        node = await self._node_of(created)
        if node and (lost := await lost_node(self._platform.cluster, node)):
            return Stuck(f"{start_of(created)}: {lost}")
        return TimedOut(f"{error}; if it only needs longer: --set workload_sandboxing.start_seconds=N")
