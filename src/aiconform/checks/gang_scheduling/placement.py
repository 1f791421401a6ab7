"""Where a gang runs: the accelerators that it may use, the Pods that hold the rest, and how its Pods request one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from aiconform.check import NothingToLookAt
from aiconform.checks.gang_scheduling.outcome import TOGETHER
from aiconform.checks.gang_scheduling.solutions.adapter import GANG_LABEL, WORKER, Adapter
from aiconform.cluster import Object, Stuck, TimedOut
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import request_devices, untold_taints
from aiconform.kit.meshes import without_sidecar
from aiconform.kit.pods import STAY, container, pod, pod_on_one_of, started
from aiconform.kit.priority import evicting_nobody
from aiconform.kit.together import gather
from aiconform.platform import AcceleratorGroup, NodeAccelerators, Platform
from aiconform.platform.accelerators.holders import holders
from aiconform.platform.accelerators.offered import AllocationWay, Kind

# Seconds that each Pod of a gang works: long enough that none ends before the last one starts.
WORK = 8
# Leaves one accelerator free beside a gang that fits, so that a second gang could start a Pod on it.
_ENOUGH = 4
Place = NodeAccelerators | AcceleratorGroup


@dataclass(frozen=True)
class Sizes:
    """gang: Pods of a gang. room: accelerators that two gangs compete for; one gang fits, two do not."""

    gang: int
    room: int

    @property
    def stagger(self) -> int:
        """Seconds that each Pod works longer than the previous one.

        If a gang takes all the room, its Pods must not end together: a scheduler that places Pod by Pod would then find
        room for all Pods of the next gang by luck.
        """
        return 0 if self.room > self.gang else int(2 * TOGETHER)

    @property
    def work(self) -> int:
        """Seconds from the start of a gang's Pods to the end of the last one."""
        return WORK + self.stagger * (self.gang - 1)


def sizes(free: int, most: int) -> Sizes:
    """Sizes for `free` accelerators (2 or more) and gangs of at most `most` Pods."""
    gang = min(most, free // 2 + 1)
    return Sizes(gang, min(free, gang + 1, 2 * gang - 1))


async def places(platform: Platform, adapter: Adapter) -> list[Place]:
    """Where gangs can run, the best first. Raises NothingToLookAt, which names the Pods that hold accelerators."""
    offered = (await platform.accelerators()).by_ways(adapter.ways)
    if not offered:
        passed = "; ".join((await platform.accelerators()).passed_over[:3])
        raise NothingToLookAt(
            f"nothing to look at: no accelerators that a gang of {adapter.title} can request"
            + (f"; {adapter.needs}" if adapter.needs and "dra" not in adapter.ways else "")
            + (f" ({passed})" if passed else "")
        )
    found = choose_places(offered, adapter)
    if not found:
        held = await holders(platform, offered)
        free = sum(entry.free for entry in offered)
        raise NothingToLookAt(
            f"nothing to look at: a gang needs two free accelerators of one kind; on {len(offered)} node(s) with "
            f"accelerators {free} are free; held by {held}"
        )
    return found


def choose_places(offered: Sequence[NodeAccelerators], adapter: Adapter) -> list[Place]:
    """Nodes with enough free accelerators, else several nodes of one kind together; those that are well come first.

    It takes as few accelerators as possible and leaves the others to what else runs at the same time.
    """
    return next((found for way in adapter.ways if (found := _places_by(way, offered))), [])


def _places_by(way: AllocationWay, offered: Sequence[NodeAccelerators]) -> list[Place]:
    alike = [entry for entry in offered if entry.way == way and entry.room]
    large = sorted(
        (entry for entry in alike if entry.room >= _ENOUGH), key=lambda entry: (len(entry.worries), entry.room)
    )
    if large:
        return list(large)
    # Pods of one template ask for as many devices each.
    kinds: dict[tuple[Kind, int], list[NodeAccelerators]] = defaultdict(list)
    for entry in sorted(alike, key=lambda entry: -entry.room):
        kinds[entry.kind, entry.unit].append(entry)
    groups = [_group(members) for members in kinds.values()]
    best = max(groups, key=lambda group: group.room, default=None)
    if best and best.room > 1:
        return [best if len(best.members) > 1 else best.members[0]]
    return []


async def ways(platform: Platform) -> set[AllocationWay]:
    """How the platform offers accelerators: the ways with room for a gang, or all if none has room."""
    offered = (await platform.accelerators()).offered
    every = {entry.way for entry in offered}
    return {way for way in every if _places_by(way, offered)} or every


def _group(members: Sequence[NodeAccelerators]) -> AcceleratorGroup:
    """The first of these nodes that have enough together, or all."""
    taken: list[NodeAccelerators] = []
    for member in members:
        if sum(entry.room for entry in taken) >= _ENOUGH:
            break
        taken.append(member)
    return AcceleratorGroup(tuple(taken))


async def template(
    platform: Platform, scratch: Scratch, target: Place, nodes: Sequence[Object], stagger: int
) -> Object:
    """Metadata and spec of a gang's Pod: it requests one accelerator on one of the nodes, and works for a while."""
    request = await request_devices(platform, scratch, target.members[0], template=True)
    # If it is terminated early, it must not look like a success.
    number = "${JOB_COMPLETION_INDEX:-$MEMBER}"
    script = f'trap "exit 143" TERM INT; sleep $(({WORK} + {number} * {stagger})) & wait $!'
    worker = container(WORKER, platform.images["shell"], script, resources=request.resources)
    priority = await evicting_nobody(scratch)
    made = pod_on_one_of("", nodes, [worker], priorityClassName=priority, **request.pod_spec)
    return await scratch.fitted(without_sidecar({"metadata": {"labels": scratch.labels}, "spec": made["spec"]}))


def label(order_template: Object, gang: str) -> Object:
    """The template for the Pods of one gang."""
    metadata = order_template["metadata"]
    return {**order_template, "metadata": {**metadata, "labels": {**metadata["labels"], GANG_LABEL: gang}}}


def shares(target: Place, count: int) -> list[tuple[NodeAccelerators, int]]:
    """How many accelerators to hold on each node, the last nodes first, so that `count` are held in total."""
    filled = []
    for member in reversed(target.members):
        if here := min(count, member.room):
            filled.append((member, here))
            count -= here
    return filled


async def fill(platform: Platform, scratch: Scratch, target: Place, count: int, *, seconds: float) -> list[Object]:
    """Start Pods of no gang that hold `count` accelerators. Raises ClusterError, naming the Pods that do."""
    scratch.tell(f"filling {count} accelerator(s) of {target}")
    made = await gather(*(_filler(platform, scratch, member, here) for member, here in shares(target, count)))
    try:
        outcomes = await gather(*(started(platform.cluster, each, seconds=seconds) for each in made))
    except TimedOut as error:
        raise TimedOut(
            f"{error}; the accelerators of {target} are held by {await now_held(platform, target)}"
            f"{await untold_taints(platform, target.way)}"
        ) from error
    for _, problem in outcomes:
        if problem:
            raise Stuck(f"a Pod that holds accelerators of {target} did not start: {problem}")
    return made


async def _filler(platform: Platform, scratch: Scratch, member: NodeAccelerators, count: int) -> Object:
    name = scratch.name(f"filler-{member.node}".replace(".", "-"))[:63].rstrip("-")
    request = await request_devices(platform, scratch, member, count=count, name=name)
    holder = container("holder", platform.images["shell"], STAY, resources=request.resources)
    node, priority = await platform.node(member.node), await evicting_nobody(scratch)
    return await scratch.create(pod(name, node, [holder], priorityClassName=priority, **request.pod_spec))


async def now_held(platform: Platform, target: Place) -> str:
    """The Pods that hold the target's accelerators now, read again."""
    return await holders(platform.afresh(), target.members)
