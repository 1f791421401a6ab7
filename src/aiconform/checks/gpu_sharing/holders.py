"""The Pods that hold shares of one place: started together, looked into, and one more that must wait."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from aiconform.checks.gpu_sharing.observations import Share
from aiconform.checks.gpu_sharing.options import GpuSharing
from aiconform.cluster import NotFound, Object, OverQuota, Stuck, TimedOut
from aiconform.cluster.amounts import LARGE, with_amounts
from aiconform.cluster.scratch import Scratch
from aiconform.kit import inside
from aiconform.kit.container_view import LOOKED, View, look_script, parse_view
from aiconform.kit.devices import DeviceRequest, request_devices
from aiconform.kit.holding import HOLDER, HoldingPod
from aiconform.kit.logs import read_until
from aiconform.kit.pods import (
    container,
    container_runs,
    pod,
    started,
    trouble_of_the_node,
)
from aiconform.kit.priority import for_waiting
from aiconform.kit.starting import blame_device
from aiconform.kit.starting_at_once import each_started
from aiconform.kit.together import gather
from aiconform.platform import Platform
from aiconform.platform.accelerators.shares import SharedHardware, Shares

# How many containers are read at the same time, each by a connection, while other places are tried.
_AT_ONCE = 4
NEEDED = 2
"""The fewest Pods that show sharing."""


@dataclass(kw_only=True)
class Holder(HoldingPod):
    """A Pod with a share. refused: it does not start, and it is not only late."""

    shares: Shares
    refused: bool = True


class Holders:
    """Makes the Pods of one place. seconds: the longest time until one runs."""

    def __init__(
        self,
        platform: Platform,
        scratch: Scratch,
        hardware: SharedHardware,
        found: inside.Sources,
        options: GpuSharing,
        seconds: float,
    ) -> None:
        self._platform, self._scratch, self._hardware = platform, scratch, hardware
        self._found, self._seconds = found, seconds
        self._options = options
        self._shared: DeviceRequest | None = None
        self._reading = asyncio.Semaphore(_AT_ONCE)
        self.fewer = ""
        """What kept it from making all Pods that were wanted; empty if nothing did."""

    async def start(self, wanted: Sequence[Shares]) -> list[Holder]:
        """A Pod for each of these shares. The first has a container without a share, too.

        Raises ClusterError for what keeps the first two from running that is not their share's fault.
        """
        made = await self._all_made(wanted)
        cluster, labels = self._platform.cluster, self._scratch.selector
        pods = [holder.created for holder in made]
        found = await each_started(cluster, pods, labels=labels, seconds=self._seconds)
        for holder, became in zip(made, found, strict=True):
            holder.running, holder.problem, holder.refused = became.running, became.problem, not became.late
        placed = sum(bool(holder.running or holder.problem) for holder in made)
        for holder, became in zip(made, found, strict=True):
            if became.error:
                holder.waits = await holder.waits_for_device(cluster) if isinstance(became.error, TimedOut) else ""
                if not holder.waits and placed < NEEDED:
                    raise became.error
                # What two Pods show stays: more of them wait for a place, for CPU, for what may be over soon.
                holder.waits = holder.waits or str(became.error)
        blamed = False
        for holder in (each for each in made if each.problem):
            # Once a share was the reason, a Pod without one shows nothing new beside the next.
            if not blamed:
                holder.running = await blame_device(self._platform, self._scratch, holder.created, holder.problem)
                holder.problem = "" if holder.running else holder.problem
                blamed = holder.running is None
            if holder.problem and not holder.refused:
                await holder.look_again(cluster)
        return made

    async def _all_made(self, wanted: Sequence[Shares]) -> list[Holder]:
        """The Pods, as many of them as a quota leaves. Raises ClusterError, OverQuota if it does not leave two."""
        made: list[Holder] = []
        for number, shares in enumerate(wanted):
            try:
                made.append(await self._made(shares, f"share-{number}", first=number == 0))
            except OverQuota as error:
                if len(made) < NEEDED:
                    raise
                self.fewer = str(error)
                break
        return made

    async def one_more(self, shares: Shares, beside: Holder) -> Holder:
        """A Pod for one share more, for which nobody's Pod is evicted. Raises ClusterError."""
        priority = await for_waiting(self._scratch, beside.running or beside.created)
        return await self._made(shares, "excess", {"priorityClassName": priority} if priority else {})

    async def _made(
        self, shares: Shares, part: str, about: Mapping[str, str] = MappingProxyType({}), *, first: bool = False
    ) -> Holder:
        request = self._shared or await request_devices(
            self._platform,
            self._scratch,
            shares.entry,
            name=self._scratch.name(part),
            selector=shares.selector,
        )
        if self._hardware.way == "shared-claim":
            self._shared = request
        script = inside.holder_script(self._found)
        image, asked = self._options.image, self._asked(shares, request)
        both = [container(HOLDER, image or self._platform.images["shell"], script, resources=asked)]
        if image:
            # What its programs need is not known.
            both[0]["resources"] = with_amounts(asked, LARGE)
        if first:
            both.append(self._control())
        node = await self._platform.node(self._hardware.node)
        made = pod(self._scratch.name(part), node, both, **request.pod_spec, **about)
        return Holder(
            kind=shares.entry.name,
            asked=shares.name,
            memory=shares.memory,
            request=request,
            created=await self._scratch.create(made),
            shares=shares,
        )

    def _asked(self, shares: Shares, request: DeviceRequest) -> Object:
        """The `resources` of a container with a share: what is asked for besides comes with those of device plugins."""
        if shares.entry.way == "dra":
            return request.resources
        besides = self._options.besides or dict(shares.besides)
        return {**request.resources, "limits": {**request.resources["limits"], **besides}}

    async def look(self, holders: Sequence[Holder]) -> View | None:
        """Read what the containers print; returns what the one without a share sees. Raises ClusterError."""
        running = [holder for holder in holders if holder.running]
        told = await gather(*(self._lines(holder) for holder in running))
        for holder, lines in zip(running, told, strict=True):
            holder.lines = lines
        if not running:
            return None
        beside = holders[0].created if holders[0].running else await self._alone()
        return parse_view(await self._printed(beside, "control"))

    async def _alone(self) -> Object:
        """A Pod without a share, where the one that has such a container does not run. Raises ClusterError."""
        node = await self._platform.node(self._hardware.node)
        made = await self._scratch.create(pod(self._scratch.name("control"), node, [self._control()]))
        found, problem = await started(self._platform.cluster, made, seconds=self._seconds)
        if found is None:
            raise Stuck(f"a Pod without a device does not start beside those with shares: {problem}")
        return made

    def _control(self) -> Object:
        return container("control", self._platform.images["shell"], look_script())

    async def _lines(self, holder: Holder) -> list[str]:
        async with self._reading:
            return await self._printed(holder.created, HOLDER)

    async def _printed(self, made: Object, name: str) -> list[str]:
        return await read_until(self._platform.cluster, made, name, LOOKED, seconds=self._seconds)

    async def together(self, holders: Sequence[Holder]) -> tuple[str, ...]:
        """The names of those that run now. Raises Stuck for one that somebody else ended."""

        async def name(holder: Holder) -> str:
            try:
                seen = await holder.now(self._platform.cluster)
            except NotFound:
                raise Stuck(f"Pod {holder.name} was deleted by someone else") from None
            if trouble := trouble_of_the_node(seen):
                raise Stuck(f"Pod {holder.name}: {trouble}")
            return holder.name if container_runs(seen, HOLDER) else ""

        return tuple(filter(None, await gather(*(name(holder) for holder in holders if holder.running))))

    async def recorded(self, holder: Holder, control: View | None) -> Share:
        """The holder as it is recorded. Raises ClusterError."""
        return Share(**(await holder.recorded(self._platform, self._found, control))[0])
