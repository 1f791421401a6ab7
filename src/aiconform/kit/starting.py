"""Whose fault it is that a Pod with a device does not start: the device's, or the platform's at the moment.

A control Pod without a device on the same node tells them apart. If it starts, the device is the reason. If it does not
either (no address is left, the runtime is down, the node is full), that says nothing of devices and is an error.
"""

from __future__ import annotations

from aiconform.cluster import ClusterError, NotCreated, NotFound, Object, Stuck, TimedOut, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import untold_taints
from aiconform.kit.pods import STAY, container, pod, refused_by_kubelet, started
from aiconform.platform import Platform

# Its image is on the node already, or is being pulled.
CONTROL_SECONDS = 40.0
# What kept the other Pod may be over: the kubelet tries again within 10 seconds to make a sandbox.
LATE_SECONDS = 15.0
BLAME_SECONDS = CONTROL_SECONDS + LATE_SECONDS
"""What finding out takes at most, beside the time that the Pod with the device had."""


async def holder_started(
    platform: Platform, scratch: Scratch, created: Object, *, seconds: float
) -> tuple[Object | None, str]:
    """(the running Pod, "") or (None, how its device kept it from starting).

    Raises ClusterError for what is not the device's fault.
    """
    try:
        running, problem = await started(platform.cluster, created, seconds=seconds)
    except TimedOut as error:
        # It was not scheduled.
        if created["spec"].get("resourceClaims") and (untold := await untold_taints(platform, "dra")):
            raise TimedOut(f"{error}{untold}") from error
        raise
    except NotCreated as error:
        running, problem = None, str(error)
    if running is None:
        running = await blame_device(platform, scratch, created, problem)
    return running, "" if running else problem


async def blame_device(
    platform: Platform, scratch: Scratch, created: Object, problem: str, what: str = "a device"
) -> Object | None:
    """The Pod if it runs after all; None if its device is the reason (`problem`) why it does not.

    what: what the Pod has that others lack, where that is no device. Raises Stuck, with the reason, if a Pod without it
    does not start on its node either.
    """
    cluster, metadata = platform.cluster, created["metadata"]
    try:
        seen = await cluster.get("v1", "Pod", metadata["name"], metadata["namespace"])
    except NotFound:
        raise Stuck(f"Pod {metadata['name']} was deleted by someone else; before: {problem}") from None
    if await _is_pulling(platform, seen):
        raise Stuck(f"the image of Pod {metadata['name']} is still being pulled; use a larger --patience: {problem}")
    await _start_without(platform, scratch, seen, problem, what)
    if refused_by_kubelet(seen):
        return None
    try:
        return await wait.until(cluster, seen, _runs, seconds=LATE_SECONDS, what="a Pod that starts late")
    except TimedOut:
        return None


async def _start_without(platform: Platform, scratch: Scratch, seen: Object, problem: str, what: str) -> None:
    """Raises Stuck if a Pod without this does not start on the node of `seen`."""
    name = seen["spec"]["nodeName"]
    nodes = [node async for node in platform.cluster.list("v1", "Node", fields=f"metadata.name={name}")]
    if not nodes:
        raise Stuck(f"node {name} is gone; before: {problem}")
    scratch.tell(f"a Pod with {what} does not start on {name}; does one without?")
    control = pod(
        f"{seen['metadata']['name']}-control", nodes[0], [container("control", platform.images["shell"], STAY)]
    )
    try:
        made = await scratch.create(control)
        running, why = await started(platform.cluster, made, seconds=CONTROL_SECONDS)
        # It would keep the node in use.
        await platform.cluster.delete(made)
    except ClusterError as error:
        running, why = None, str(error)
    if running is None:
        raise Stuck(f"no Pod starts on {name} at the moment, not even one without {what}: {why}; with one: {problem}")


def _runs(seen: Object) -> Object | None:
    """The Pod, if all its containers run; unlike `wait.running` it does not mind that one failed to start before."""
    status = seen.get("status") or {}
    each = status.get("containerStatuses") or []
    return seen if status.get("phase") == "Running" and all("running" in entry["state"] for entry in each) else None


async def _is_pulling(platform: Platform, seen: Object) -> bool:
    """Whether the kubelet has begun to pull an image of the Pod and has not ended: its devices are prepared by then."""
    waiting = [entry["state"].get("waiting") or {} for entry in seen["status"].get("containerStatuses") or []]
    if any(each.get("reason") in wait.PULLING_AGAIN for each in waiting):
        return True
    metadata = seen["metadata"]
    found = platform.cluster.list("v1", "Event", metadata["namespace"], fields=f"involvedObject.uid={metadata['uid']}")
    reasons = [event.get("reason") async for event in found]
    return "Pulling" in reasons and "Pulled" not in reasons
