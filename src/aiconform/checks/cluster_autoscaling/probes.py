"""Scaling up and down one pool of accelerator nodes, and following its nodes meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from aiconform.check import (
    Access,
    Inspection,
    NothingToLookAt,
    Settings,
    inspection,
    probe,
)
from aiconform.checks.cluster_autoscaling.choice import choose, look
from aiconform.checks.cluster_autoscaling.node_history import NodeHistory
from aiconform.checks.cluster_autoscaling.observations import NodeSeen, Scaling
from aiconform.checks.cluster_autoscaling.options import ClusterAutoscaling
from aiconform.checks.cluster_autoscaling.waiting_pod import (
    WaitingPod,
    nodes_to_hold,
    placeholder,
    pods_in_the_way,
    waiting_pod_manifest,
)
from aiconform.cluster import Forbidden, Object, Stuck, TimedOut, wait
from aiconform.cluster.removal import CLEANUP_SECONDS
from aiconform.cluster.scratch import Scratch
from aiconform.kit.following import ChangeSignal, background
from aiconform.kit.pods import POD_ACCESS, STAY, container, pod, started
from aiconform.kit.priority import PRIORITY_ACCESS, evicting_nobody
from aiconform.kit.starting import BLAME_SECONDS, blame_device
from aiconform.kit.together import gather
from aiconform.platform import Platform
from aiconform.platform.autoscaling.cluster_autoscaler import BACKS_OFF, STATUS_NAME
from aiconform.platform.autoscaling.discovery import discover, known_with
from aiconform.platform.autoscaling.pools import BY_LABEL, Pool
from aiconform.platform.autoscaling.providers import KINDS
from aiconform.platform.autoscaling.shortages import reported, shortage


@inspection
async def inspect(platform: Platform, settings: Settings) -> Inspection:
    """Which autoscaler and pools exist, which pool a run would scale, and what is missing."""
    options = settings.of(ClusterAutoscaling)
    seen = await look(platform, options)
    found = [f"autoscaler: {name}" for name in seen.autoscalers]
    found += [f"pool by {pool.by}: {pool}" for pool in seen.pools]
    try:
        pool = choose(seen, options)
    except NothingToLookAt as reason:
        # It names the problems, too.
        return Inspection(tuple(found), (str(reason),))
    found.append(f"would scale up pool {pool.name} for a Pod that requests {pool.amount} {pool.resource}")
    problems = list(seen.problems)
    if pool.by == BY_LABEL:
        problems.append(f"nothing shows that an autoscaler scales pool {pool.name}")
    problems += [f"pool {pool.name} may not grow: {pool.problem}"] if pool.problem else []
    return Inspection(tuple(found), problems=tuple(problems))


# The probe


async def _hold(platform: Platform, scratch: Scratch, pool: Pool, patience: float) -> tuple[str, ...]:
    """Start placeholder Pods; return the names of their nodes. Raises ClusterError, NothingToLookAt."""
    offered = (await platform.all_accelerators()).offered
    free = {entry.node: entry.free for entry in offered if entry.name == pool.resource}
    nodes = nodes_to_hold(pool, await platform.nodes(), free)
    image, priority = platform.images["shell"], await evicting_nobody(scratch)
    holder = container("hold", image, STAY)
    made = [
        placeholder(pod(scratch.name(f"hold-{number}"), node, [holder], priorityClassName=priority))
        for number, node in enumerate(nodes)
    ]
    created = await gather(*(scratch.create(each) for each in made))
    for running, problem in await gather(*(started(platform.cluster, each, seconds=patience) for each in created)):
        if running is None:
            raise Stuck(f"a Pod that requests no accelerator does not start: {problem}")
    return tuple(node["metadata"]["name"] for node in nodes)


def _limit(settings: Settings) -> float:
    options = settings.of(ClusterAutoscaling)
    # Patience twice more: for the placeholder Pods, and for the scheduler to report the Pod as unschedulable.
    waits = 2 * settings.patience + CLEANUP_SECONDS + BLAME_SECONDS
    return options.node_added_seconds + options.node_removed_seconds + waits


@probe(
    limit=_limit,
    access=(
        *POD_ACCESS,
        *PRIORITY_ACCESS,
        Access("", "nodes", ("list", "watch"), everywhere=True),
        Access("", "configmaps", ("get", "list"), names=(STATUS_NAME,), everywhere=True),
        # Those of Karpenter's NodeClaims.
        Access("", "events", ("list",), everywhere=True, optional=True),
        Access("apps", "deployments", ("list",), everywhere=True),
        Access("karpenter.sh", "nodepools", ("list",), everywhere=True),
        Access("cloud.google.com", "computeclasses", ("list",), everywhere=True, optional=True),
        *(Access(kind.group, "nodepools", ("list",), everywhere=True, optional=True) for kind in KINDS),
        Access("machine.openshift.io", "machinesets", ("list",), everywhere=True, optional=True),
        *(
            Access("cluster.x-k8s.io", name, ("list",), everywhere=True, optional=True)
            for name in ("machinedeployments", "machinesets", "machinepools")
        ),
    ),
)
async def scaling(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> Scaling:
    options = settings.of(ClusterAutoscaling)
    pool = choose(await look(platform, options), options)
    held = await _hold(platform, scratch, pool, settings.patience)
    changes = ChangeSignal()
    profiles = known_with(platform.said.profiles, pool.resource)
    before = await platform.nodes()
    history = NodeHistory((node["metadata"]["uid"] for node in before), changes, scratch.tell, profiles=profiles)
    priority, tolerated = await evicting_nobody(scratch), platform.said.tolerated
    made = waiting_pod_manifest(scratch.name("waiting"), pool, platform.images["shell"], priority, tolerated)
    created = await scratch.create(made)
    waiting = WaitingPod(created, changes)
    up = options.node_added_seconds
    ran = released = None
    async with background(history.follow(platform.cluster)):
        async with background(waiting.follow(platform.cluster)):
            await _until_unschedulable(waiting, before, changes, settings.patience)
            scratch.tell(f"the Pod is unschedulable: waiting up to {up:.0f} s for a node of pool {pool.name}")
            await changes.until(lambda: waiting.ended, up)
            if waiting.started:
                ran = history.now
        placed = await _placed(waiting, history, before, changes, settings.patience)
        said, unknown = ((), "") if ran is not None else await _said(platform, created, pool, options)
        # The Pod's state before it is deleted.
        node, problem = waiting.node, waiting.problem
        if placed is not None and ran is None and not waiting.deleted:
            ran = history.now if await blame_device(platform, scratch, created, problem) else None
        if placed is not None:
            scratch.tell(
                f"waiting up to {options.node_removed_seconds:.0f} s until {node}, which is now unused, is removed"
            )
            await platform.cluster.delete(created)
            await wait.gone(platform.cluster, created, seconds=CLEANUP_SECONDS)
            released = history.now
            await changes.until(lambda: history.new_nodes[placed].gone is not None, options.node_removed_seconds)
            if history.new_nodes[placed].gone is None:
                await _expect_unused(platform, node, created["metadata"]["namespace"])
    profile = profiles.by_resource(pool.resource)
    return Scaling(
        autoscaler=pool.by,
        pool=pool.name,
        resource=pool.resource,
        simulated=bool(profile and profile.simulated),
        size=pool.size,
        bounds="; ".join(text for text in (pool.limits, pool.problem) if text),
        held=held,
        lost=tuple(name for name in held if name in history.lost),
        unschedulable=waiting.unschedulable,
        said=said,
        unknown=unknown,
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
            for entry in history.new_nodes.values()
        ),
        pod_node=node,
        ran=_rounded(ran),
        problem=problem,
        released=_rounded(released),
        waited_up=up,
        waited_down=options.node_removed_seconds,
    )


def _rounded(moment: float | None) -> float | None:
    return None if moment is None else round(moment, 1)


async def _until_unschedulable(
    waiting: WaitingPod, before: Sequence[Object], changes: ChangeSignal, patience: float
) -> None:
    """Raises NothingToLookAt if the Pod is scheduled at once, TimedOut if the scheduler reports nothing."""
    if not await changes.until(lambda: bool(waiting.unschedulable or waiting.node), patience):
        raise TimedOut(f"the scheduler did not report on the waiting Pod within {patience:.0f} s: {waiting.problem}")
    # On a slow machine a node may be there before its being unschedulable is observed.
    if not waiting.unschedulable and _is_named(waiting.node, before):
        raise NothingToLookAt(
            f"nothing to look at: the Pod was scheduled to {waiting.node} at once, so no node was needed"
        )


def _is_named(name: str, nodes: Sequence[Object]) -> bool:
    """Whether one of these nodes has this name."""
    return any(node["metadata"]["name"] == name for node in nodes)


async def _placed(
    waiting: WaitingPod, history: NodeHistory, before: Sequence[Object], changes: ChangeSignal, patience: float
) -> str | None:
    """UID of the new node that the Pod was placed on, None if on none. Raises NothingToLookAt if on another."""
    if not waiting.node:
        return None

    def found() -> str | None:
        return next((uid for uid, entry in history.new_nodes.items() if entry.name == waiting.node), None)

    # The watch of nodes may be behind that of the Pod. A node that was there before may have been replaced.
    await changes.until(found, 0 if _is_named(waiting.node, before) else patience)
    if uid := found():
        return uid
    raise NothingToLookAt(
        f"nothing to look at: the Pod was scheduled to {waiting.node}, an existing node that others freed meanwhile"
    )


async def _said(
    platform: Platform, created: Object, pool: Pool, options: ClusterAutoscaling
) -> tuple[tuple[str, ...], str]:
    """What is reported about the Pod, and about machines for the pool meanwhile; and why the latter is not known."""
    again = (await discover(platform, status=options.status)).pools
    problems = [each.problem for each in again if each.problem and _same(each, pool)]
    try:
        since = created["metadata"]["creationTimestamp"]
        machines, unknown = [text for text in await reported(platform, pool, since) if shortage([text])], ""
    except Forbidden as error:
        machines, unknown = [], str(error)
    if BACKS_OFF in "; ".join(problems):
        unknown = BACKS_OFF
    new = [text for text in problems if text != pool.problem]
    return (*(await _events(platform, created)), *machines[-3:], *new), unknown


def _same(group: Pool, pool: Pool) -> bool:
    """A managed pool can have a node group in each zone: any of them may get the node."""
    return group.name == pool.name if pool.label is None else group.label == pool.label


async def _events(platform: Platform, created: Object) -> tuple[str, ...]:
    """What is reported about the Pod, each message once."""
    metadata = created["metadata"]
    fields = f"involvedObject.uid={metadata['uid']}"
    found = [event async for event in platform.cluster.list("v1", "Event", metadata["namespace"], fields=fields)]
    return tuple(dict.fromkeys(f"{event.get('reason')}: {event.get('message')}" for event in found))[-5:]


async def _expect_unused(platform: Platform, node: str, ours: str) -> None:
    """Raises Stuck if Pods of others keep the node in use."""
    pods = [each async for each in platform.cluster.list("v1", "Pod", fields=f"spec.nodeName={node}")]
    if others := pods_in_the_way(pods, ours):
        raise Stuck(f"node {node} is still in use, so its removal could not be observed: {', '.join(others[:5])}")
