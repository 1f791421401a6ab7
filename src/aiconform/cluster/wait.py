"""Waits by watches, with a deadline, and fails fast on unrecoverable states."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from aiconform.cluster import conditions, patience
from aiconform.cluster.api import Cluster, Object, WatchEvent
from aiconform.cluster.errors import (
    AdmissionBehind,
    Expired,
    NotCreated,
    NotFound,
    OverQuota,
    ServerFailed,
    Stuck,
    TimedOut,
    Unreachable,
    WebhookUnreached,
)

T = TypeVar("T")
_RETRY_SECONDS = 0.5
_WATCH_SECONDS = 300.0
_WEBHOOK_RETRY_SECONDS = 1.0

# The kubelet retries these forever, but a Pod rarely recovers from them within a check's deadline.
UNRECOVERABLE = {
    "InvalidImageName": Stuck,
    "ErrImageNeverPull": Stuck,
    "CreateContainerConfigError": Stuck,
    "CreateContainerError": NotCreated,
    "RunContainerError": NotCreated,
}
# The kubelet pulls again after 10 s, 20 s, 40 s, ...: a registry that fails for a moment is waited for.
PULLING_AGAIN = {"ErrImagePull", "ImagePullBackOff"}
# What registries and runtimes say of a pull that no repetition mends: there is no such image, nobody may have it, it
# is not for this machine, or the registry's certificate is not trusted.
_NEVER_PULLED = re.compile(
    r"not found|notfound|manifest unknown|name unknown|repository does not exist"
    r"|no matching manifest|no match for platform"
    r"|unauthori[sz]ed|authentication required|authorization failed|no basic auth|denied|forbidden"
    r"|invalid reference|invalid image|x509|server gave http response to https",
    re.IGNORECASE,
)


async def states(
    cluster: Cluster, api_version: str, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
) -> AsyncIterator[tuple[Mapping[str, Object], Sequence[WatchEvent]]]:
    """(all objects of a kind by UID, what changed) now and after each change; never ends.

    A lost connection, or a server that fails for a while, is not an error: once it is back, the changes since then are
    reported. Raises ClusterError.
    """
    there: dict[str, Object] = {}
    while True:
        try:
            items, version = await cluster.snapshot(api_version, kind, namespace, labels=labels, fields=fields)
            now = {item["metadata"]["uid"]: item for item in items}
            events = [WatchEvent("DELETED", obj) for uid, obj in there.items() if uid not in now]
            events += [WatchEvent("MODIFIED" if uid in there else "ADDED", obj) for uid, obj in now.items()]
            there = now
            yield there, events
            async for event in cluster.watch(
                api_version, kind, namespace, labels=labels, fields=fields, since=version, seconds=_WATCH_SECONDS
            ):
                if event.type == "BOOKMARK":
                    continue
                if event.type == "DELETED":
                    there.pop(event.object["metadata"]["uid"], None)
                else:
                    there[event.object["metadata"]["uid"]] = event.object
                yield there, [event]
        except Expired:
            continue
        except (ServerFailed, Unreachable):
            pass
        # Also after a watch that ended normally, so that requests are not sent in a tight loop.
        await asyncio.sleep(_RETRY_SECONDS)


async def reaching_webhooks(request: Callable[[], Awaitable[T]], *, seconds: float | None = None) -> T:
    """The result of `request`, which is retried while a webhook for it is not reached, admission is behind, or a quota
    has no room.

    Controllers restart now and then, caches take a moment to know a new Namespace or PriorityClass, and other probes'
    Pods end. seconds: by default the patience of the task. Raises WebhookUnreached, AdmissionBehind and OverQuota when
    the time is over.
    """
    deadline = asyncio.get_running_loop().time() + (patience.seconds() if seconds is None else seconds)
    while True:
        try:
            return await request()
        except (WebhookUnreached, AdmissionBehind, OverQuota):
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_WEBHOOK_RETRY_SECONDS)


async def until(
    cluster: Cluster, obj: Object, condition: Callable[[Object], T | None], *, seconds: float, what: str
) -> T:
    """The first result of `condition` that is not None, over all states of `obj` from now on.

    `condition` can raise Stuck. Raises TimedOut (with `what` and the last state), or Stuck if the object is deleted.
    When the time is over, the object is read once more: a watch may be behind, or never have begun.
    """
    metadata = obj["metadata"]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                try:
                    async for event in cluster.watch(
                        obj["apiVersion"],
                        obj["kind"],
                        metadata.get("namespace"),
                        fields=f"metadata.name={metadata['name']}",
                        seconds=seconds,
                    ):
                        if event.type == "DELETED":
                            raise _deleted(obj, what)
                        result = condition(event.object)
                        if result is not None:
                            return result
                except (Expired, ServerFailed, Unreachable):
                    await asyncio.sleep(_RETRY_SECONDS)
                    # If the object was deleted while nobody watched it, a new watch would not say so.
                    with contextlib.suppress(ServerFailed, Unreachable):
                        await _still_there(cluster, obj, what)
    last = await _still_there(cluster, obj, what)
    if (result := condition(last)) is not None:
        return result
    raise TimedOut(f"{what}: not within {seconds:.0f} s; last seen: {describe(last)}")


async def _still_there(cluster: Cluster, obj: Object, what: str) -> Object:
    """The object as it is now. Raises Stuck if it was deleted."""
    try:
        return await _get(cluster, obj)
    except NotFound:
        raise _deleted(obj, what) from None


def _deleted(obj: Object, what: str) -> Stuck:
    return Stuck(f"{what}: {obj['kind']} {obj['metadata']['name']} was deleted by someone else")


async def _get(cluster: Cluster, obj: Object) -> Object:
    metadata = obj["metadata"]
    return await cluster.get(obj["apiVersion"], obj["kind"], metadata["name"], metadata.get("namespace"))


async def among(
    cluster: Cluster,
    api_version: str,
    kind: str,
    namespace: str | None,
    condition: Callable[[Sequence[Object]], T | None],
    *,
    labels: str = "",
    seconds: float,
    what: str,
) -> T:
    """The first result of `condition` that is not None, over all objects of a kind, after each change to any of them.

    `condition` can raise Stuck. Raises TimedOut (with `what` and the names of the objects). When the time is over, the
    objects are read once more.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for there, _ in states(cluster, api_version, kind, namespace, labels=labels):
                if (result := condition(tuple(there.values()))) is not None:
                    return result
    last, _ = await cluster.snapshot(api_version, kind, namespace, labels=labels, fields="")
    if (result := condition(last)) is not None:
        return result
    names = ", ".join(sorted(item["metadata"]["name"] for item in last)) or "none"
    raise TimedOut(f"{what}: not within {seconds:.0f} s; {kind} objects: {names}")


async def gone(cluster: Cluster, obj: Object, *, seconds: float) -> None:
    """Wait until this object (by UID) is deleted. Raises TimedOut if it is still there when the time is over."""
    metadata = obj["metadata"]
    what = f"deletion of {obj['kind']} {metadata['name']}"
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    found = await _get(cluster, obj)
                    if found["metadata"]["uid"] != metadata["uid"]:
                        return
                    async for event in cluster.watch(
                        obj["apiVersion"],
                        obj["kind"],
                        metadata.get("namespace"),
                        fields=f"metadata.name={metadata['name']}",
                        since=found["metadata"]["resourceVersion"],
                        seconds=seconds,
                    ):
                        if event.type == "DELETED":
                            return
                except NotFound:
                    return
                except (Expired, ServerFailed, Unreachable):
                    await asyncio.sleep(_RETRY_SECONDS)
    except TimeoutError:
        pass
    try:
        if (await _get(cluster, obj))["metadata"]["uid"] == metadata["uid"]:
            raise TimedOut(f"{what}: not within {seconds:.0f} s")
    except NotFound:
        return


async def all_gone(
    cluster: Cluster, api_version: str, kind: str, namespace: str | None, labels: str, *, seconds: float
) -> None:
    """Wait until no object with these labels is left. Raises TimedOut with the names of the remaining ones."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for there, _ in states(cluster, api_version, kind, namespace, labels=labels):
                if not there:
                    return
    left, _ = await cluster.snapshot(api_version, kind, namespace, labels=labels, fields="")
    if left:
        names = ", ".join(sorted(obj["metadata"]["name"] for obj in left))
        raise TimedOut(f"not deleted after {seconds:.0f} s: {kind} {names}")


# Pods


def running(pod: Object) -> Object | None:
    """The Pod, if all its containers run or have finished. Raises Stuck if one is in an unrecoverable state."""
    refuse_unrecoverable(pod)
    phase = pod.get("status", {}).get("phase")
    statuses = container_statuses(pod)
    if ended(pod):
        return pod
    if phase == "Running" and statuses and all("waiting" not in status["state"] for status in statuses):
        return pod
    return None


def finished(pod: Object) -> Object | None:
    """The Pod, if it has finished. Raises Stuck if a container is in an unrecoverable state."""
    refuse_unrecoverable(pod)
    return pod if ended(pod) else None


def ended(pod: Object) -> bool:
    """Whether the Pod has finished, successfully or not."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def refuse_unrecoverable(pod: Object) -> None:
    """Raises Stuck, with the kubelet's message, if a container is in an unrecoverable state.

    NotCreated if the runtime could not create or start it.
    """
    for status in container_statuses(pod):
        waiting = status.get("state", {}).get("waiting") or {}
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        if reason in UNRECOVERABLE or (reason in PULLING_AGAIN and _NEVER_PULLED.search(message)):
            raise UNRECOVERABLE.get(reason, Stuck)(
                f"Pod {pod['metadata']['name']}: container {status['name']}: {reason}"
                + (f": {message}" if message else "")
                + (f" (image {status['image']})" if "Image" in reason else "")
            )


def container_statuses(pod: Object) -> list[Object]:
    """What the kubelet says of the Pod's init containers and containers."""
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def describe(obj: Object) -> str:
    """The state of an object in one line: phase, waiting containers, conditions that are not True."""
    status = obj.get("status") or {}
    parts = [str(status["phase"])] if "phase" in status else []
    if obj.get("kind") == "Pod":
        if gates := ", ".join(gate["name"] for gate in obj.get("spec", {}).get("schedulingGates") or []):
            parts.append(f"held by scheduling gates: {gates}")
        for container in container_statuses(obj):
            waiting = container.get("state", {}).get("waiting")
            if waiting:
                why = f"{waiting.get('reason')} {waiting.get('message', '')}".strip()
                parts.append(f"container {container['name']} is waiting: {why}")
    for condition in conditions.read(status):
        if not condition.is_true and condition.message:
            parts.append(f"{condition.type}: {condition.reason}: {condition.message}")
    return "; ".join(parts) or "no status yet"
