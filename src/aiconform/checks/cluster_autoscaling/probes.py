"""cluster_autoscaling: a Pod that waits for an accelerator leads to a node of that kind, and the node goes after it.

On the nodes of one pool, Pods hold the places where the waiting Pod must not go. It asks for one accelerator, so it is
unschedulable: that is what an autoscaler acts on. The nodes are followed from then on: one comes, becomes Ready, offers
the accelerator, and the Pod runs on it. When the Pod is gone, the node has to go as well, and the held ones stay.
"""

from __future__ import annotations

import asyncio

from pydantic import Field

from aiconform.check import (
    Access,
    Finding,
    Inspection,
    NotApplicable,
    NothingToLookAt,
    Observation,
    Options,
    Settings,
    assertion,
    holds,
    inspection,
    probe,
    undecided,
)
from aiconform.checks.cluster_autoscaling.node_history import Census
from aiconform.checks.cluster_autoscaling.waiting_pod import Waiter, holder, to_hold, users, waiting_pod
from aiconform.cluster import Object, Stuck, TimedOut, wait
from aiconform.cluster.scratch import CLEANUP_SECONDS, Scratch
from aiconform.kit.following import ChangeSignal, background
from aiconform.kit.pods import POD_ACCESS, STAY, container, pod, started
from aiconform.platform import Platform
from aiconform.platform.accelerators.profiles import load_profiles
from aiconform.platform.autoscaling.autoscaler import BY_LABEL, Autoscaling, Pool, find

# A pool whose own bounds say that it cannot grow is not given a cloud's whole time to do so.
FULL_SECONDS = 60.0


class ClusterAutoscaling(Options):
    """Which pool to try, and how long the platform may take."""

    pool: str = Field(
        "",
        pattern=r"^$|^[^=\s]+=[^=\s]+$",
        description="The node label KEY=VALUE of the pool to try; found by itself if empty.",
    )
    resource: str = Field(
        "", description="The extended resource to ask the pool for; found by itself if empty.", pattern=r"^$|^\S+/\S+$"
    )
    none: bool = Field(False, description="Says that this platform has no autoscaler of nodes: then it does not apply.")
    up_limit: float = Field(
        1200.0,
        gt=0,
        description="Seconds from the Pod being unschedulable to its running. Clouds take up to a quarter of an hour "
        "to deliver an accelerator node and to set up its driver.",
    )
    down_limit: float = Field(
        1800.0,
        gt=0,
        description="Seconds from the Pod's end to the end of its node. Usually an unneeded node is kept for ten "
        "minutes, which begin anew after every growth.",
    )


class NodeSeen(Observation):
    """A node that came. Moments are seconds from the begin; None: not as long as anybody looked.

    `of_pool` is None where the label of the pool's nodes is not known. `offers` is the most of each known accelerator
    that it had for Pods; `problem` is why it is not Ready.
    """

    name: str
    of_pool: bool | None
    came: float
    ready: float | None
    gone: float | None
    offers: dict[str, int]
    problem: str


class Scaling(Observation):
    """A Pod that waits for an accelerator, and the nodes of the platform meanwhile and afterwards.

    `size`: nodes of the pool before; `bounds`: its limits and what is wrong with it, in the autoscaler's words. `held`:
    nodes where a Pod of ours was all the time; `lost`: those that went. `unschedulable`: the scheduler's first word on
    the waiting Pod; `said`: what the autoscaler said of it. `pod_node`: where it was placed ("" if nowhere); `ran` is
    None if it did not run there, and `problem` says why. `released`: when it was gone. `waited_up`, `waited_down`: for
    how long the platform was given time.
    """

    autoscaler: str
    pool: str
    resource: str
    simulated: bool
    size: int
    bounds: str
    full: str
    held: tuple[str, ...]
    lost: tuple[str, ...]
    unschedulable: str
    said: tuple[str, ...]
    nodes: tuple[NodeSeen, ...]
    pod_node: str
    ran: float | None
    problem: str
    released: float | None
    waited_up: float
    waited_down: float


# What there is to try


async def _look(platform: Platform, options: ClusterAutoscaling) -> Autoscaling:
    return await find(platform, given=options.pool, resource=options.resource)


def choose(found: Autoscaling, options: ClusterAutoscaling) -> Pool:
    """The pool to try. Raises NothingToLookAt, NotApplicable."""
    looked = f"looked at: {'; '.join(found.looked)}"
    problems = "".join(f"; {problem}" for problem in found.problems)
    if options.none:
        if found.autoscalers:
            named = ", ".join(found.autoscalers)
            raise NothingToLookAt(f"cluster_autoscaling.none says that there is no autoscaler, and there is {named}")
        raise NotApplicable(f"the platform is said to have no autoscaler of nodes, and none was found; {looked}")
    if found.usable:
        return found.usable[0]
    if found.pools:
        named = "; ".join(map(str, found.pools))
        raise NothingToLookAt(
            f"nothing to look at: no pool of which an accelerator is known ({named}){problems}. Give the extended "
            "resource that its nodes offer (--set cluster_autoscaling.resource=NAME)"
        )
    raise NothingToLookAt(
        f"nothing to look at: no autoscaler of nodes was found{problems}; {looked}. Give the node label of a pool "
        "(--set cluster_autoscaling.pool=KEY=VALUE), or say that there is none (--set cluster_autoscaling.none=true)"
    )


@inspection
async def looked_at(platform: Platform, settings: Settings) -> Inspection:
    """Which autoscaler and pools there are, which pool would be tried, and what is missing."""
    options = settings.of(ClusterAutoscaling)
    seen = await _look(platform, options)
    found = [f"autoscaler: {name}" for name in seen.autoscalers]
    found += [f"pool by {pool.by}: {pool}" for pool in seen.pools]
    missing = list(seen.problems)
    try:
        pool = choose(seen, options)
    except (NothingToLookAt, NotApplicable) as reason:
        return Inspection(tuple(found), (*missing, str(reason)))
    found.append(f"would order a node of pool {pool.name} for a Pod that asks for 1 {pool.resource}")
    if pool.by == BY_LABEL:
        missing.append(f"an autoscaler that speaks of pool {pool.name}: nothing shows that it is scaled")
    missing += [f"room to grow in pool {pool.name}: {text}" for text in (pool.full, pool.problem) if text]
    return Inspection(tuple(found), tuple(missing))


# The probe


async def _hold(platform: Platform, scratch: Scratch, pool: Pool, patience: float) -> tuple[str, ...]:
    """Names of the nodes on which a Pod of ours runs now. Raises ClusterError, NothingToLookAt."""
    offered = (await platform.accelerators()).offered
    free = {entry.node: entry.free for entry in offered if entry.name == pool.resource}
    nodes = to_hold(pool, await platform.nodes(), free)
    image = platform.images["shell"]
    made = [
        holder(pod(scratch.name(f"hold-{number}"), node, [container("hold", image, STAY)]))
        for number, node in enumerate(nodes)
    ]
    created = await asyncio.gather(*(scratch.create(each) for each in made))
    for running, problem in await asyncio.gather(
        *(started(platform.cluster, each, seconds=patience) for each in created)
    ):
        if running is None:
            raise Stuck(f"a Pod that asks for nothing does not start: {problem}")
    return tuple(node["metadata"]["name"] for node in nodes)


def _limit(settings: Settings) -> float:
    options = settings.of(ClusterAutoscaling)
    # Twice more the patience: for the Pods that hold places, and for the scheduler's first word.
    return options.up_limit + options.down_limit + 2 * settings.patience + CLEANUP_SECONDS


@probe(
    limit=_limit,
    access=(
        *POD_ACCESS,
        Access("", "nodes", ("list", "watch")),
        Access("", "configmaps", ("get",)),
        Access("karpenter.sh", "nodepools", ("list",)),
    ),
)
async def scaling(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> Scaling:
    options = settings.of(ClusterAutoscaling)
    pool = choose(await _look(platform, options), options)
    held = await _hold(platform, scratch, pool, settings.patience)
    changes = ChangeSignal()
    census = Census((node["metadata"]["uid"] for node in await platform.nodes()), changes, scratch.tell)
    created = await scratch.create(waiting_pod(scratch.name("waiting"), pool, platform.images["shell"]))
    waiter = Waiter(created, changes)
    up = min(options.up_limit, FULL_SECONDS) if pool.full else options.up_limit
    ran = released = None
    async with background(census.follow(platform.cluster)):
        async with background(waiter.follow(platform.cluster)):
            await _until_unschedulable(waiter, census, changes, settings.patience)
            scratch.tell(f"the Pod is unschedulable: waiting up to {up:.0f} s for a node of pool {pool.name}")
            await changes.until(lambda: waiter.ended, up)
            if waiter.started:
                ran = census.now
        placed = _placed(waiter, census)
        said = () if ran is not None else await _events(platform, created)
        # What the Pod came to, before it is gone.
        node, problem = waiter.node, waiter.problem
        if placed is not None:
            scratch.tell(f"waiting up to {options.down_limit:.0f} s for the end of {node}, which nothing uses any more")
            await platform.cluster.delete(created)
            await wait.gone(platform.cluster, created, seconds=CLEANUP_SECONDS)
            released = census.now
            await changes.until(lambda: census.newcomers[placed].gone is not None, options.down_limit)
            if census.newcomers[placed].gone is None:
                await _refuse_others(platform, node, created["metadata"]["namespace"])
    profile = load_profiles().by_resource(pool.resource)
    return Scaling(
        autoscaler=pool.by,
        pool=pool.name,
        resource=pool.resource,
        simulated=bool(profile and profile.simulated),
        size=pool.size,
        bounds="; ".join(text for text in (pool.limits, pool.full, pool.problem) if text),
        full=pool.full,
        held=held,
        lost=tuple(name for name in held if name in census.lost),
        unschedulable=waiter.unschedulable,
        said=said,
        nodes=tuple(
            NodeSeen(
                name=entry.name,
                of_pool=entry.labels.get(pool.label[0]) == pool.label[1] if pool.label else None,
                came=round(entry.came, 1),
                ready=_rounded(entry.ready),
                gone=_rounded(entry.gone),
                offers=dict(entry.offers),
                problem=entry.problem,
            )
            for entry in census.newcomers.values()
        ),
        pod_node=node,
        ran=_rounded(ran),
        problem=problem,
        released=_rounded(released),
        waited_up=up,
        waited_down=options.down_limit,
    )


def _rounded(moment: float | None) -> float | None:
    return None if moment is None else round(moment, 1)


async def _until_unschedulable(waiter: Waiter, census: Census, changes: ChangeSignal, patience: float) -> None:
    """Raises NothingToLookAt if the Pod found room at once, TimedOut if the scheduler says nothing."""
    if not await changes.until(lambda: bool(waiter.unschedulable or waiter.node), patience):
        raise TimedOut(f"the scheduler has said nothing of the waiting Pod in {patience:.0f} s: {waiter.problem}")
    if not waiter.unschedulable:
        raise NothingToLookAt(f"nothing to look at: the Pod found room on {waiter.node} at once, so no node was needed")


def _placed(waiter: Waiter, census: Census) -> str | None:
    """UID of the new node that the Pod was placed on, None if on none. Raises NothingToLookAt if on another."""
    if not waiter.node:
        return None
    for uid, entry in census.newcomers.items():
        if entry.name == waiter.node:
            return uid
    raise NothingToLookAt(
        f"nothing to look at: the Pod found room on {waiter.node}, which was there before; somebody has released it"
    )


async def _events(platform: Platform, created: Object) -> tuple[str, ...]:
    """What schedulers and autoscalers said of the Pod, each once."""
    metadata = created["metadata"]
    fields = f"involvedObject.uid={metadata['uid']}"
    found = [event async for event in platform.cluster.list("v1", "Event", metadata["namespace"], fields=fields)]
    return tuple(dict.fromkeys(f"{event.get('reason')}: {event.get('message')}" for event in found))[-5:]


async def _refuse_others(platform: Platform, node: str, ours: str) -> None:
    """Raises Stuck if somebody else's Pods keep the node in use."""
    pods = [each async for each in platform.cluster.list("v1", "Pod", fields=f"spec.nodeName={node}")]
    if others := users(pods, ours):
        raise Stuck(f"node {node} is still in use, so that it goes could not be seen: {', '.join(others[:5])}")


# Assertions


def subject(seen: Scaling) -> NodeSeen | None:
    """The node that came: where the Pod was placed, else the pool's first, or any first one with accelerators."""
    if seen.pod_node:
        # The same name may have come twice: the last one.
        return next((node for node in reversed(seen.nodes) if node.name == seen.pod_node), None)
    of_pool = [node for node in seen.nodes if node.of_pool or (node.of_pool is None and node.offers)]
    # One that has not gone again tells more.
    return next((node for node in of_pool if node.gone is None), of_pool[0] if of_pool else None)


NO_NODE = "no node came"


@assertion("node_is_added", "A new node comes for a Pod that no node has room for")
def node_is_added(seen: Scaling) -> Finding:
    grown = f"pool {seen.pool} ({seen.autoscaler}) had {seen.size} nodes"
    if node := subject(seen):
        return holds(True, f"{grown}; {node.name} came {node.came:.0f} s after the Pod", subjects=1)
    others = ", ".join(node.name for node in seen.nodes)
    words = [f"{grown}, and no further one came in {seen.waited_up:.0f} s"]
    words += [seen.bounds] if seen.bounds else []
    words += [f"other nodes that came: {others}"] if others else []
    words += [f"said of the Pod: {' | '.join(seen.said) or seen.unschedulable}"]
    if seen.autoscaler == BY_LABEL:
        return undecided(f"{'; '.join(words)}. Nothing shows that this pool is scaled automatically")
    return holds(False, "; ".join(words), subjects=1)


@assertion("node_is_of_right_kind", "The new node is of the kind that the Pod asks for")
def node_is_of_right_kind(seen: Scaling) -> Finding:
    node = subject(seen)
    if node is None:
        return undecided(NO_NODE)
    if node.offers and seen.resource not in node.offers:
        offered = ", ".join(f"{count} {name}" for name, count in sorted(node.offers.items()))
        return holds(False, f"asked for {seen.resource}; {node.name} offers {offered}", subjects=1)
    if node.of_pool is None and not node.offers:
        return undecided(f"{node.name} offers no accelerator, and its pool is not known")
    where = f"is of pool {seen.pool}" if node.of_pool else f"offers {seen.resource}"
    return holds(True, f"{node.name} {where}", subjects=1)


@assertion("node_becomes_ready", "The new node becomes Ready")
def node_becomes_ready(seen: Scaling) -> Finding:
    node = subject(seen)
    if node is None:
        return undecided(NO_NODE)
    if node.ready is not None:
        return holds(True, f"{node.name} was Ready {node.ready - node.came:.0f} s after it came", subjects=1)
    left = f"it went again after {node.gone - node.came:.0f} s" if node.gone is not None else node.problem
    return holds(False, f"{node.name} did not become Ready in {seen.waited_up:.0f} s: {left}", subjects=1)


@assertion("node_offers_accelerator", "The new node offers the accelerator")
def node_offers_accelerator(seen: Scaling) -> Finding:
    node = subject(seen)
    if node is None or node.ready is None:
        return undecided("no new node became Ready")
    if count := node.offers.get(seen.resource):
        return holds(True, f"{node.name} offers {count} {seen.resource}", subjects=1)
    if node.offers:
        return undecided(f"{node.name} is of another kind")
    return holds(False, f"{node.name} is Ready, and offers no {seen.resource} after {seen.waited_up:.0f} s", subjects=1)


@assertion("pod_runs_on_node", "The waiting Pod runs on the new node")
def pod_runs_on_node(seen: Scaling) -> Finding:
    node = subject(seen)
    if node is None or not node.offers.get(seen.resource):
        return undecided("no new node offered the accelerator")
    if seen.ran is not None:
        return holds(True, f"the Pod ran on {node.name} {seen.ran:.0f} s after it was made", subjects=1)
    went = [f"{each.name} after {each.gone - each.came:.0f} s" for each in seen.nodes if each.gone is not None]
    flaps = f"; nodes that came and went again: {', '.join(went)}" if went and seen.released is None else ""
    return holds(False, f"the Pod did not run on {node.name}: {seen.problem}{flaps}", subjects=1)


@assertion("node_is_removed", "The new node goes when nothing uses it any more")
def node_is_removed(seen: Scaling) -> Finding:
    node = subject(seen)
    if node is None or seen.released is None:
        return undecided("the Pod was placed on no new node, so none was released")
    if node.gone is not None:
        return holds(
            node.gone >= seen.released, f"{node.name} went {node.gone - seen.released:.0f} s after the Pod", subjects=1
        )
    return holds(False, f"{node.name} is still there {seen.waited_down:.0f} s after the Pod", subjects=1)


@assertion("used_nodes_stay", "Nodes in use stay")
def used_nodes_stay(seen: Scaling) -> Finding:
    if not seen.held:
        return undecided("there was no node before that could be followed")
    if seen.lost:
        return holds(False, f"removed although a Pod ran there: {', '.join(seen.lost)}", subjects=len(seen.held))
    return holds(True, f"there all the time: {', '.join(seen.held)}", subjects=len(seen.held))
