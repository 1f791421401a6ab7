"""What the probes of gang_scheduling have in common: the solution, the place, and how gangs are submitted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiconform.check import NothingToLookAt
from aiconform.checks.gang_scheduling import placement as room
from aiconform.checks.gang_scheduling.choice import choose, solutions
from aiconform.checks.gang_scheduling.solutions import kueue
from aiconform.checks.gang_scheduling.solutions.adapter import Found, Order
from aiconform.checks.gang_scheduling.timeline import Timeline
from aiconform.cluster import NotFound, Object, Rejected, ServerFailed, Stuck
from aiconform.cluster.scratch import Scratch
from aiconform.platform import Platform


class Refused(NothingToLookAt):
    """The solution itself refuses: a webhook of it does not answer, or takes a gang for invalid."""


@dataclass(frozen=True)
class Stage:
    """Everything is ready for gangs on `target`. Use `prepare`."""

    platform: Platform
    scratch: Scratch
    target: room.Place
    sizes: room.Sizes
    found: Found
    why: str
    queue: str
    scheduler: str
    nodes: tuple[Object, ...]
    template: Object

    def about(self) -> dict[str, Any]:
        """What every observation says of the solution and the place."""
        return {
            "solution": self.found.adapter.name,
            "version": self.found.version,
            "api": self.found.api_version,
            "chosen": self.why,
            "down": self.found.down,
            "way": self.target.way,
            "resource": self.target.name,
            "simulated": self.target.members[0].simulated,
            "nodes": tuple(member.node for member in self.target.members),
            "free": self.target.free,
        }

    def order(self, part: str) -> Order:
        name = self.scratch.name(part)
        return Order(
            name=name,
            size=self.sizes.gang,
            api_version=self.found.api_version,
            template=room.label(self.template, name),
            resource=self.target.name if self.target.way == "device-plugin" else "",
            nodes=self.nodes,
            shared=self.scratch.cluster_name("queue"),
            local=self.scratch.name("queue"),
            queue=self.queue,
            scheduler=self.scheduler,
        )

    async def set_up(self) -> None:
        """Make what the solution needs before the first gang. Raises Refused, NothingToLookAt, ClusterError."""
        order = self.order("queue")
        if self.queue and self.found.adapter is kueue.ADAPTER:
            try:
                queue = await self.platform.cluster.get(self.found.api_version, "ClusterQueue", self.queue)
            except NotFound as error:
                raise NothingToLookAt(f"nothing to look at: there is no ClusterQueue {self.queue}") from error
            if problem := kueue.too_little_quota(queue, self.target.name, self.sizes.gang):
                raise NothingToLookAt(f"nothing to look at: {problem}")
        with self.refusals():
            for obj in self.found.adapter.setup(order):
                await self.scratch.create(obj)

    async def submit(self, *orders: Order) -> None:
        """Submit gangs at the same time. Raises Refused, ClusterError."""

        async def one(order: Order) -> None:
            first, *rest = self.found.adapter.gang(order)
            await self.scratch.create(first)
            for obj in rest:
                await self.scratch.create(obj)

        with self.refusals():
            await asyncio.gather(*(one(order) for order in orders))

    async def fill(self, count: int, seconds: float) -> list[Object]:
        """Leave room for as many as that fewer. Raises Refused, ClusterError."""
        with self.refusals():
            return await room.fill(self.platform, self.scratch, self.target, count, seconds=seconds)

    async def said(self, order: Order, timeline: Timeline) -> str:
        """What the solution says of a gang that waits; empty if it says nothing."""
        adapter = self.found.adapter
        said: dict[str, str] = {}
        if adapter.speaks:
            namespace = await self.scratch.namespace()
            async for obj in self.platform.cluster.list(self.found.api_version, adapter.speaks, namespace):
                said[adapter.speaks] = adapter.word(obj, order) or said.get(adapter.speaks, "")
        if adapter.by_pods:
            said["Pod"] = timeline.said(order.name)
        return "; ".join(f"{kind}: {text}" for kind, text in said.items() if text)

    async def insist_on_room(self, held: int) -> None:
        """The room that a gang needs is still there, `held` accelerators being held by gangs. Raises Stuck if not."""
        places = {(member.node, member.kind) for member in self.target.members}
        offered = (await self.platform.afresh().accelerators()).offered
        free = sum(entry.free for entry in offered if (entry.node, entry.kind) in places)
        if free + held < self.sizes.gang:
            by = await room.now_held(self.platform, self.target)
            raise Stuck(
                f"others took the room meanwhile: of {self.target} {free} are free, and a gang needs "
                f"{self.sizes.gang}; held by {by}"
            )

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Turn what the solution's own webhooks refuse, or do not answer, into Refused."""
        try:
            yield
        except (Rejected, ServerFailed) as error:
            said = str(error)
            if "webhook" in said and (self.found.adapter.name in said.lower() or self.found.down):
                raise Refused(f"{self.found} refuses: {said}") from error
            raise


async def prepare(
    platform: Platform, scratch: Scratch, target: room.Place, *, solution: str, queue: str, scheduler: str, size: int
) -> Stage:
    """Raises NothingToLookAt, ClusterError."""
    found, why = choose(await solutions(platform), solution)
    sizes = room.sizes(target.free, size)
    nodes = tuple([await platform.node(member.node) for member in target.members])
    made = await room.template(platform, scratch, target, nodes, sizes.stagger)
    return Stage(platform, scratch, target, sizes, found, why, queue, scheduler, nodes, made)
