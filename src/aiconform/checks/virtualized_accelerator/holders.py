"""The Pods of one place: with virtual devices, with what is compared, and one more that has to wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from aiconform.checks.virtualized_accelerator.observations import Opened
from aiconform.checks.virtualized_accelerator.options import VirtualizedAccelerator
from aiconform.cluster import ClusterError, Object, Stuck, TimedOut
from aiconform.cluster.amounts import LARGE, with_amounts
from aiconform.cluster.scratch import Scratch
from aiconform.kit import inside
from aiconform.kit.as_root import AsRoot
from aiconform.kit.container_view import LOOKED, OPEN_OWN, View, look_script, parse_attempts, parse_view
from aiconform.kit.devices import given, request_devices
from aiconform.kit.holding import HOLDER, HoldingPod
from aiconform.kit.logs import read_until
from aiconform.kit.pods import container, pod
from aiconform.kit.priority import for_waiting
from aiconform.kit.starting import blame_device
from aiconform.kit.starting_at_once import each_started
from aiconform.kit.together import gather
from aiconform.platform import Platform
from aiconform.platform.accelerators.virtual_devices import Asked

CONTROL = "control"


@dataclass(kw_only=True)
class Holder(HoldingPod):
    """A Pod with a device. device: what it asked for."""

    device: Asked


class Holders:
    """Makes the Pods. common: the DeviceClass by which each asks, if one selects all; seconds: until a Pod runs."""

    def __init__(
        self,
        platform: Platform,
        scratch: Scratch,
        found: inside.Sources,
        options: VirtualizedAccelerator,
        common: str,
        seconds: float,
    ) -> None:
        self._platform, self._scratch, self._found, self._options = platform, scratch, found, options
        self._common, self._seconds = common, seconds
        self._as_root = AsRoot(scratch)

    @property
    def unprivileged(self) -> str:
        """Why the containers do not run as root; empty if they do."""
        return self._as_root.unprivileged

    @property
    def readable(self) -> tuple[str, ...]:
        """The programs and files that would show whether a device is virtual."""
        return tuple(each.program or self._found.path(each) for each in self._found.virtual)

    async def made(
        self, asked: Asked, part: str, about: Mapping[str, str] = MappingProxyType({}), *, count: int = 1
    ) -> Holder:
        """A Pod for so many of these devices; where one device is asked for, with a container without one.

        All are made from one manifest: only the selector, or the name of the resource, differs. Raises ClusterError.
        """
        shares = asked.shares
        request = await request_devices(
            self._platform,
            self._scratch,
            replace(asked.entry, device_class=self._common or next(iter(asked.classes), "")),
            count=count,
            name=self._scratch.name(part),
            selector=shares.selector,
        )
        node = await self._platform.node(asked.entry.node)
        image = self._options.image or self._platform.images["shell"]
        script = f"{OPEN_OWN}{inside.holder_script(self._found)}"
        resources = request.resources
        if "limits" in resources:
            resources = {**resources, "limits": {**resources["limits"], **dict(shares.besides)}}

        def manifest(security: Object) -> Object:
            both = [
                container(HOLDER, image, script, **security),
                container(CONTROL, self._platform.images["shell"], look_script(), **security),
            ]
            both[0]["resources"] = with_amounts(resources, LARGE) if self._options.image else with_amounts(resources)
            return pod(self._scratch.name(part), node, both, **request.pod_spec, **about)

        return Holder(
            kind=asked.entry.name,
            asked=shares.name,
            memory=shares.memory,
            request=request,
            created=await self._as_root.create(manifest),
            device=asked,
        )

    async def one_more(self, asked: Asked, beside: Holder) -> Holder:
        """A Pod for a device that another has, for which nobody's Pod is evicted. Raises ClusterError."""
        priority = await for_waiting(self._scratch, beside.running or beside.created)
        return await self.made(asked, "waiting", {"priorityClassName": priority} if priority else {})

    async def started(self, made: Sequence[Holder]) -> None:
        """Wait until each of them runs, or why it does not. Raises ClusterError if the first did for other reasons."""
        cluster, labels = self._platform.cluster, self._scratch.selector
        pods = [holder.created for holder in made]
        found = await each_started(cluster, pods, labels=labels, seconds=self._seconds)
        for holder, became in zip(made, found, strict=True):
            holder.running, holder.problem = became.running, became.problem
            if became.error:
                holder.waits = await holder.waits_for_device(cluster) if isinstance(became.error, TimedOut) else ""
                if not holder.waits and holder is made[0]:
                    raise became.error
                holder.waits = holder.waits or str(became.error)
        for holder, became in zip(made, found, strict=True):
            if holder.problem:
                await self._blamed(holder, late=became.late)

    async def _blamed(self, holder: Holder, *, late: bool) -> None:
        """Whether its device is the reason why a Pod does not run. Raises Stuck if no Pod runs there."""
        holder.running = await blame_device(self._platform, self._scratch, holder.created, holder.problem)
        if holder.running:
            holder.problem = ""
        elif late:
            await holder.look_again(self._platform.cluster)

    async def looked(self, holders: Sequence[Holder]) -> View | None:
        """Read what those that run print; returns what the container without a device sees. Raises ClusterError."""
        running = [holder for holder in holders if holder.running]
        if not running:
            return None
        *told, control = await gather(
            *(self._printed(holder.created, HOLDER) for holder in running), self._printed(running[0].created, CONTROL)
        )
        for holder, lines in zip(running, told, strict=True):
            holder.lines = lines
        return parse_view(control)

    async def _printed(self, made: Object, name: str) -> list[str]:
        return await read_until(self._platform.cluster, made, name, LOOKED, seconds=self._seconds)

    async def recorded(self, holder: Holder, control: View | None) -> Opened:
        """The holder as it is recorded. Raises ClusterError."""
        about, answer = await holder.recorded(self._platform, self._found, control)
        if answer is None:
            return Opened(**about)
        told = {name: getattr(answer, name) for name in ("virtual", "physical", "machine", "functions")}
        return Opened(**about, **told, own=parse_attempts(holder.lines, "own"))

    async def still_held(self, holder: Holder) -> str:
        """What of a deleted Pod's claims is still allocated; empty if nothing is. Raises Stuck, ClusterError."""
        allocated, _ = await given(self._platform, holder.request)
        return ", ".join(allocated)


async def removed(platform: Platform, holder: Holder) -> None:
    """Delete a Pod. Raises Stuck if that is refused."""
    try:
        await platform.cluster.delete(holder.created)
    except ClusterError as error:
        raise Stuck(f"Pod {holder.name} cannot be deleted: {error}") from error
