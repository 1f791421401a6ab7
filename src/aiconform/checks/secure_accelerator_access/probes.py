"""secure_accelerator_access: only the container that was given a device can reach it.

On a node with accelerators two Pods each hold a device; one of them has a sibling container without it, and a third
Pod, a stranger, has nothing. What they see is compared (device nodes, environment, mounts), whoever made the
accelerator. The stranger, told the device numbers, makes device nodes of its own and tries to open them.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from aiconform.check import (
    Finding,
    NothingToLookAt,
    Observation,
    Settings,
    accelerators,
    assertion,
    holds,
    probe,
    undecided,
)
from aiconform.cluster import Object, conditions, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.container_view import (
    FORGE,
    LOOK,
    LOOKED,
    OPEN_OWN,
    OpenAttempt,
    View,
    family,
    granted,
    other_signs,
    parse_attempts,
    parse_view,
    special,
)
from aiconform.kit.devices import CLAIM_ACCESS, request_devices
from aiconform.kit.logs import read_until
from aiconform.kit.pods import POD_ACCESS, STAY, container, pod, started
from aiconform.platform import NodeAccelerators, Platform

# The stranger has to make device nodes, so these Pods are baseline; root, so that file modes do not decide.
AS_ROOT: Object = {
    "runAsUser": 0,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"], "add": ["MKNOD"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


class Isolation(Observation):
    """What containers on one node see, two of them holding one device each.

    Without `holder` no Pod started with a device, and `problem` says why. `served_by` says which way really gave them.
    `second` is None if the node had only one device to give: then `second_waited` says that the second Pod was not
    started meanwhile. `own` are the first holder's attempts to open its own device nodes, `forged` the stranger's
    attempts with nodes that it made itself.
    """

    node: str
    way: Literal["dra", "device-plugin"]
    served_by: Literal["dra", "device-plugin"]
    name: str
    product: str
    simulated: bool
    problem: str = ""
    holder: View | None = None
    second: View | None = None
    second_waited: bool = False
    sibling: View | None = None
    stranger: View | None = None
    own: tuple[OpenAttempt, ...] = ()
    forged: tuple[OpenAttempt, ...] = ()


# The probe


async def _holder_pod(platform: Platform, scratch: Scratch, target: NodeAccelerators, name: str) -> Object:
    """A Pod whose container `holder` is given one device; its container `sibling` is not."""
    name = scratch.name(name)
    request = await request_devices(platform, scratch, target, name=name)
    image = platform.images["shell"]
    look = f"{LOOK}{OPEN_OWN}echo {LOOKED}; {STAY}"
    holder = container("holder", image, look, resources=request.resources, securityContext=AS_ROOT)
    sibling = container("sibling", image, f"{LOOK}echo {LOOKED}; {STAY}", securityContext=AS_ROOT)
    node = await platform.node(target.node)
    return await scratch.create(pod(name, node, [holder, sibling], **request.pod_spec))


async def _started_pair(
    platform: Platform, scratch: Scratch, target: NodeAccelerators, patience: float
) -> tuple[list[Object], str, bool]:
    """(the running holders, what kept one from starting, whether the second had to wait for a device)."""
    cluster = platform.cluster
    if target.free > 1:
        made = await asyncio.gather(*(_holder_pod(platform, scratch, target, name) for name in ("holder", "second")))
        outcomes = await asyncio.gather(*(started(cluster, each, seconds=patience) for each in made))
        problems = dict.fromkeys(problem for _, problem in outcomes if problem)
        return [running for running, _ in outcomes if running], "; ".join(problems), False
    first = await _holder_pod(platform, scratch, target, "holder")
    running, problem = await started(cluster, first, seconds=patience)
    if running is None:
        return [], problem, False
    second = await _holder_pod(platform, scratch, target, "second")
    placed = await wait.until(cluster, second, _placed, seconds=patience, what="a verdict of the scheduler")
    if not placed:
        return [running], "", True
    also, problem = await started(cluster, second, seconds=patience)
    return [running, also] if also else [running], "", not also


def _placed(seen: Object) -> bool | None:
    if seen["spec"].get("nodeName"):
        return True
    scheduled = conditions.find(seen, "PodScheduled")
    return False if scheduled and scheduled.is_false else None


@probe(
    limit=120,
    targets=accelerators,
    devices=(1, 2),
    security="baseline",
    access=(*CLAIM_ACCESS, *POD_ACCESS),
)
async def isolation(platform: Platform, scratch: Scratch, settings: Settings, target: NodeAccelerators) -> Isolation:
    if target.free < 1:
        raise NothingToLookAt(f"nothing to look at: every device of {target} is taken")
    cluster, patience = platform.cluster, settings.patience
    pods, problem, waited = await _started_pair(platform, scratch, target, patience)
    by_dra = target.way == "dra" or any(each["status"].get("extendedResourceClaimStatus") for each in pods)
    about: dict[str, Any] = {
        "node": target.node,
        "way": target.way,
        "served_by": "dra" if by_dra else "device-plugin",
        "name": target.name,
        "product": target.product,
        "simulated": target.simulated,
        "second_waited": waited,
    }
    if problem or not pods:
        return Isolation(**about, problem=problem)
    *holders, sibling = await asyncio.gather(
        *(read_until(cluster, each, "holder", LOOKED, seconds=patience) for each in pods),
        read_until(cluster, pods[0], "sibling", LOOKED, seconds=patience),
    )
    views = [parse_view(lines) for lines in holders]
    numbers = sorted({node.number for view in views for node in special(view)})
    forge = f"{LOOK}{FORGE}echo {LOOKED}"
    environment = [{"name": "NUMBERS", "value": " ".join(numbers)}]
    look = container("stranger", platform.images["shell"], forge, env=environment, securityContext=AS_ROOT)
    stranger = await scratch.create(pod(scratch.name("stranger"), await platform.node(target.node), [look]))
    await wait.until(cluster, stranger, wait.running, seconds=patience, what="the stranger Pod to start")
    told = await read_until(cluster, stranger, "stranger", LOOKED, seconds=patience)
    return Isolation(
        **about,
        holder=views[0],
        second=views[1] if len(views) > 1 else None,
        sibling=parse_view(sibling),
        stranger=parse_view(told),
        own=parse_attempts(holders[0], "own"),
        forged=parse_attempts(told, "forged"),
    )


# What the views mean


def leaked(view: View, seen: Isolation) -> list[str]:
    """Paths of accelerators that a container without a claim sees.

    Those are its nodes of the same family as a granted node. If the holders have no node with an index of their own,
    the devices are among the nodes that all share: those with an index, or, where nothing at all is granted, any.
    """
    holders = [entry for entry in (seen.holder, seen.second) if entry]
    own = [node for entry in holders if seen.stranger for node in granted(entry, seen.stranger)]
    families = {family(node) for node in own} - {None}
    shared = set()
    if not families:
        shared = {node.number for entry in holders for node in special(entry) if family(node) or not own}
    return [node.path for node in special(view) if family(node) in families or node.number in shared]


NOT_STARTED = "no Pod started with a device, so nothing was seen"


@assertion("holder_starts", "A Pod that asks for a device starts with it")
def holder_starts(seen: Isolation) -> Finding:
    if seen.holder is None:
        return holds(False, f"{seen.name} on {seen.node}: {seen.problem}", subjects=1)
    return holds(True, f"{seen.name} on {seen.node}, served by {seen.served_by}", subjects=1)


@assertion("holder_sees_device", "The holder sees a device that a Pod without a claim does not see")
def holder_sees_device(seen: Isolation) -> Finding:
    if seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    own = [node.path for node in granted(seen.holder, seen.stranger)]
    if own:
        return holds(True, f"only the holder sees {', '.join(own)}", subjects=len(own))
    signs = other_signs(seen.holder, seen.stranger)
    if signs:
        return holds(True, f"no device node, but only the holder has {', '.join(signs)}", subjects=1)
    return holds(False, f"the holder on {seen.node} sees nothing that a Pod without a claim does not see", subjects=1)


@assertion("holder_sees_exactly_one", "Each holder sees exactly the device it asked for")
def holder_sees_exactly_one(seen: Isolation) -> Finding:
    if seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    crowds = []
    judged = 0
    for name, view in (("the holder", seen.holder), ("the second holder", seen.second)):
        if view is None:
            continue
        own = granted(view, seen.stranger)
        judged += len(own)
        for each in sorted({family(node) or "" for node in own} - {""}):
            members = [node.path for node in own if family(node) == each]
            if len(members) > 1:
                crowds.append(f"{name} asked for one device and sees {', '.join(members)}")
    if not judged:
        return undecided("the holders have no device nodes of their own to count")
    return holds(not crowds, "; ".join(crowds) or "one node of each family for each holder", subjects=judged)


@assertion("sibling_sees_none", "A sibling container without the claim sees no device")
def sibling_sees_none(seen: Isolation) -> Finding:
    return _sees_none(seen.sibling, seen, "the sibling in the holder's Pod")


@assertion("stranger_sees_none", "A Pod without a claim on the same node sees no device")
def stranger_sees_none(seen: Isolation) -> Finding:
    return _sees_none(seen.stranger, seen, "the Pod without a claim")


def _sees_none(view: View | None, seen: Isolation, who: str) -> Finding:
    if view is None or seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    if not granted(seen.holder, seen.stranger) and not leaked(view, seen):
        return undecided("the holder has no device node, so its absence elsewhere says nothing")
    paths = leaked(view, seen)
    return holds(not paths, f"{who} sees {', '.join(paths) or 'no device'}", subjects=1)


@assertion("holders_are_disjoint", "Two holders see disjoint devices")
def holders_are_disjoint(seen: Isolation) -> Finding:
    if seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    if seen.second is None:
        if seen.second_waited:
            return holds(True, "the node had one free device: the second Pod was not started with it", subjects=2)
        return undecided("there was no second holder to compare with")
    one, two = special(seen.holder), special(seen.second)
    only_one = {node.number for node in one} - {node.number for node in two}
    only_two = {node.number for node in two} - {node.number for node in one}
    if not only_one or not only_two:
        both = ", ".join(node.path for node in one if node.number not in only_one) or "no device node"
        return holds(False, f"the holders have no device of their own each; both see {both}", subjects=2)
    families = {family(node) for node in one if node.number in only_one} - {None}
    common = [node.path for node in one if node.number not in only_one and family(node) in families]
    return holds(not common, f"both holders see {', '.join(common)}" if common else "no device in common", subjects=2)


@assertion("holder_opens_device", "The holder can open its device")
def holder_opens_device(seen: Isolation) -> Finding:
    if seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    own = {node.path for node in granted(seen.holder, seen.stranger)}
    attempts = [attempt for attempt in seen.own if attempt.device in own]
    if not attempts:
        return undecided("the holder has no device node of its own to open")
    refused = [attempt for attempt in attempts if "not permitted" in attempt.outcome]
    told = ", ".join(f"{attempt.device}: {attempt.outcome}" for attempt in attempts)
    return holds(not refused, told, subjects=len(attempts))


@assertion("forged_is_refused", "The kernel refuses a Pod without a claim that makes its own node for a held device")
def forged_is_refused(seen: Isolation) -> Finding:
    if seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    holders = [view for view in (seen.holder, seen.second) if view]
    own = {node.number for view in holders for node in granted(view, seen.stranger)}
    attempts = [attempt for attempt in seen.forged if attempt.device in own or not own]
    if not attempts:
        return undecided("the holders have no device node whose number a stranger could use")
    unmade = [attempt for attempt in attempts if not attempt.made or "Permission denied" in attempt.outcome]
    if unmade:
        return undecided(f"the stranger could not try: {unmade[0].device}: {unmade[0].outcome}")
    # Any other answer than EPERM (also ENXIO, "No such device") came from beyond the device cgroup.
    reached = [attempt for attempt in attempts if "not permitted" not in attempt.outcome]
    told = ", ".join(f"{attempt.device}: {attempt.outcome}" for attempt in reached or attempts)
    return holds(not reached, f"opening forged nodes: {told}", subjects=len(attempts))
