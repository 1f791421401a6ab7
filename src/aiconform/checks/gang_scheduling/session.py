"""One session of a probe with a gang scheduling solution: where gangs run, and how they are submitted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiconform.check import NothingToLookAt, Settings
from aiconform.checks.gang_scheduling import placement
from aiconform.checks.gang_scheduling.choice import choose, solutions
from aiconform.checks.gang_scheduling.options import GangScheduling
from aiconform.checks.gang_scheduling.outcome import Gang
from aiconform.checks.gang_scheduling.solutions import kueue
from aiconform.checks.gang_scheduling.solutions.adapter import InstalledSolution, Order
from aiconform.checks.gang_scheduling.timeline import Timeline
from aiconform.cluster import NotFound, Object, Rejected, ServerFailed, Stuck, admission
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import untold_taints
from aiconform.kit.pods import waits_for_devices
from aiconform.kit.together import gather
from aiconform.platform import Platform
from aiconform.platform.accelerators.nodes import usable_node

_UNCOVERED = re.compile(r"resource (\S+) unavailable in ClusterQueue")
# Webhooks of policy engines: what these refuse may name the solution all the same, as in a label or a scheduler's name.
_POLICIES = re.compile(r'webhook "[^"]*(kyverno|gatekeeper|kubewarden|polic)[^"]*"', re.IGNORECASE)


class Refused(NothingToLookAt):
    """The solution refuses a gang: its webhook does not answer or rejects the gang."""


@dataclass(frozen=True)
class Session:
    """A solution and a place for gangs. Use `prepare`."""

    platform: Platform
    scratch: Scratch
    target: placement.Place
    sizes: placement.Sizes
    found: InstalledSolution
    why: str
    queue: str
    scheduler: str
    nodes: tuple[Object, ...]
    template: Object

    def about(self) -> dict[str, Any]:
        """The fields of `Setting`."""
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
            "free": self.target.room,
        }

    def patience(self, settings: Settings) -> float:
        """Seconds for a gang to start once it fits."""
        return settings.patience + self.found.adapter.retries

    def order(self, part: str) -> Order:
        name = self.scratch.name(part)
        return Order(
            name=name,
            size=self.sizes.gang,
            api_version=self.found.api_version,
            template=placement.label(self.template, name),
            resource=self.target.name if self.target.way == "device-plugin" else "",
            nodes=self.nodes,
            shared=self.scratch.cluster_name("queue"),
            local=self.scratch.name("queue"),
            queue=self.queue,
            scheduler=self.scheduler,
        )

    async def set_up(self) -> None:
        """Create what the solution needs before the first gang. Raises Refused, NothingToLookAt, ClusterError."""
        order = self.order("queue")
        if self.queue and self.found.adapter is kueue.ADAPTER:
            try:
                queue = await self.platform.cluster.get(self.found.api_version, "ClusterQueue", self.queue)
            except NotFound as error:
                raise NothingToLookAt(f"nothing to look at: ClusterQueue {self.queue} does not exist") from error
            if problem := kueue.unfit_queue(queue, self.target.name, self.sizes.gang):
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
            await gather(*(one(order) for order in orders))

    async def fill(self, count: int, seconds: float) -> list[Object]:
        """Hold `count` accelerators of the target with Pods of no gang. Raises Refused, ClusterError."""
        with self.refusals():
            return await placement.fill(self.platform, self.scratch, self.target, count, seconds=seconds)

    async def reported(self, order: Order, timeline: Timeline) -> str:
        """What the solution reports about a gang that waits; empty if nothing."""
        adapter = self.found.adapter
        reports: dict[str, str] = {}
        if adapter.speaks:
            namespace = await self.scratch.namespace()
            async for obj in self.platform.cluster.list(self.found.api_version, adapter.speaks, namespace):
                reports[adapter.speaks] = adapter.word(obj, order) or reports.get(adapter.speaks, "")
        if adapter.by_pods:
            reports["Pod"] = timeline.reported(order.name)
        return "; ".join(f"{kind}: {text}" for kind, text in reports.items() if text)

    async def require_room(self, held: int) -> None:
        """Raises Stuck if a gang no longer fits. held: accelerators that gangs hold now."""
        await self.require_nodes()
        places = {(member.node, member.kind) for member in self.target.members}
        offered = (await self.platform.afresh().accelerators()).by_ways((self.target.way,))
        free = sum(entry.room for entry in offered if (entry.node, entry.kind) in places)
        if free + held < self.sizes.gang:
            by = await placement.now_held(self.platform, self.target)
            raise Stuck(
                f"other Pods took accelerators of {self.target} meanwhile: {free} are free, a gang needs "
                f"{self.sizes.gang}; held by {by}"
            )

    async def require_nodes(self) -> None:
        """Raises Stuck if a node of the target cannot run Pods any more."""
        names = {member.node for member in self.target.members}
        nodes = [node for node in await self.platform.afresh().nodes() if node["metadata"]["name"] in names]
        lost = [problem for node in nodes if (problem := usable_node(node, self.platform.said.tolerated))]
        lost += [f"node {name} is gone" for name in sorted(names - {node["metadata"]["name"] for node in nodes})]
        if lost:
            raise Stuck(f"gangs could not run on {self.target}: {'; '.join(lost)}")

    async def require_pods(self, gang: Gang) -> None:
        """Raises Stuck if the platform refuses Pods that a controller creates for the gang."""
        if len(gang.members) >= gang.size:
            return
        namespace = await self.scratch.namespace()
        found = self.platform.cluster.list("v1", "Event", namespace, fields="reason=FailedCreate")
        said = [str(each.get("message")) async for each in found if each["involvedObject"].get("name") == gang.name]
        if said:
            raise Stuck(f"the platform refuses Pods of a gang: {said[-1]}. What helps: {admission.way_out(said[-1])}")

    async def require_known_taints(self) -> None:
        """Raises Stuck if a gang may have too little room because of taints of devices that nobody can tell."""
        if untold := await untold_taints(self.platform, self.target.way):
            raise Stuck(f"a gang does not run on {self.target}, and it is not known whether it fits{untold}")

    def require_quota(self, said: str) -> None:
        """Raises Stuck if, by what the solution reports, a queue and not the nodes keeps a gang from running."""
        adapter = self.found.adapter
        patterns = [adapter.uncovered, adapter.quota if self.queue else ""]
        if any(pattern and re.search(pattern, said) for pattern in patterns):
            other = next((name for name in _UNCOVERED.findall(said) if name != self.target.name), "")
            also = f", and that covers {other}" if other else ""
            raise Stuck(
                f"{adapter.title} keeps the gang waiting for its queue, not for nodes: {said}. Name a queue with "
                f"quota for {self.sizes.gang} of {self.target.name}{also} (--set gang_scheduling.queue=NAME)"
            )

    async def require_managed(self, *orders: Order) -> None:
        """Raises Stuck if Kueue does nothing with Jobs of this Namespace: what their Pods do says nothing of it."""
        if self.found.adapter is not kueue.ADAPTER or self.found.down:
            return
        listed = self.platform.cluster.list(self.found.api_version, "Workload", await self.scratch.namespace())
        managed = {name for workload in [each async for each in listed] for name in kueue.owners(workload)}
        if not managed & {order.name for order in orders}:
            raise Stuck(
                f"Kueue does not manage Jobs of the run's Namespaces: it made no Workload for Job {orders[0].name}. "
                "Let it manage Jobs (batch/job in integrations.frameworks of its configuration), and give the "
                "Namespaces the labels that it asks for (managedJobsNamespaceSelector; --namespace-labels, on "
                "OpenShift kueue.openshift.io/managed=true)"
            )

    def require_scheduler(self, said: str) -> None:
        """Raises Stuck if nobody says anything of a gang, and nothing shows that its scheduler is there."""
        adapter = self.found.adapter
        if said or self.found.controllers or not adapter.images or not adapter.by_pods:
            return
        raise Stuck(
            f"no scheduler has looked at the Pods of the gang, and no Deployment of {adapter.title} was found. Name "
            "its scheduler (--set gang_scheduling.scheduler=NAME), or another solution (gang_scheduling.solution=NAME)"
        )

    def require_short_devices(self, said: str) -> None:
        """Raises Stuck if, by what is reported, nodes are short of something else than the target's devices."""
        if not waits_for_devices(said, self.target.name):
            raise Stuck(f"gangs could not run on {self.target}, which is short of something else than devices: {said}")

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Turn errors of the solution's own webhooks into Refused, and refusals by others into Stuck."""
        try:
            yield
        except (Rejected, ServerFailed) as error:
            text = str(error)
            of_queue = self.found.adapter.queue_refused
            if self._is_its_own(text) and of_queue and re.search(of_queue, text):
                raise Stuck(
                    f"the queue takes no gang: {text}. Name another one (--set gang_scheduling.queue=NAME)"
                ) from error
            if self._is_its_own(text):
                raise Refused(f"{self.found} refuses: {text}") from error
            if isinstance(error, Rejected):
                helps = "" if "What helps: " in text else f". What helps: {admission.way_out(text)}"
                raise Stuck(f"the platform refuses what a gang needs: {text}{helps}") from error
            raise

    def _is_its_own(self, refusal: str) -> bool:
        """Whether a webhook of the solution is meant. Without controllers of its own it has none."""
        adapter = self.found.adapter
        named = "webhook" in refusal and adapter.name in refusal.lower()
        return bool(adapter.images) and named and not _POLICIES.search(refusal)


async def prepare(platform: Platform, scratch: Scratch, target: placement.Place, options: GangScheduling) -> Session:
    """Raises NothingToLookAt, ClusterError."""
    found, why = choose(await solutions(platform), options.solution, (target.way,))
    sizes = placement.sizes(target.room, options.size)
    nodes = tuple([await platform.node(member.node) for member in target.members])
    made = await placement.template(platform, scratch, target, nodes, sizes.stagger)
    return Session(platform, scratch, target, sizes, found, why, options.queue, options.scheduler, nodes, made)
