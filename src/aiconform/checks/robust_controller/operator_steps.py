"""What is done to an operator to see whether it works, step by step; robust_controller puts the steps in order."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from aiconform.check import Observation
from aiconform.cluster import Cluster, Object, Rejected, Stuck, TimedOut, WebhookUnreached, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.pods import unschedulable
from aiconform.platform.operators import Change, Kind, State

T = TypeVar("T")
# The words of the API server itself: a webhook cannot put them in front of a refusal of the schema.
DENIED = re.compile(r'admission webhook "([^"]+)" denied the request')
# What the Job or ReplicaSet controller says of a Pod that admission refuses it.
FORBIDDEN_PODS = re.compile(r"Error creating: (pods \"|admission webhook )")


class Refusal(Observation):
    """What became of an object that must be refused: `by` is the webhook that refused it, empty if none did.

    `unreached` is the webhook that the API server could not ask, and let the request fail for.
    """

    accepted: bool
    by: str
    unreached: str
    said: str


class Arrival(Observation):
    """Whether an object came to a state: `wanted` and what was `last` seen of it."""

    reached: bool
    wanted: str
    last: str


class Child(Observation):
    kind: str
    name: str
    uid: str


class Made(Observation):
    """The valid object: whether it could be created (`problem` says why not), and what it came to."""

    created: bool
    problem: str
    arrival: Arrival | None


class Loss(Observation):
    """A child that was deleted, and the one that came in its place."""

    lost: Child
    new: Child | None


class Changed(Observation):
    """A change after the restart: what the API server said if it could not be made, and what came of it."""

    problem: str
    arrival: Arrival | None


# Admission


async def offer(scratch: Scratch, obj: Object, *, seconds: float) -> Refusal:
    """Try to create what must be refused, again while its webhook is away. Where it is let in, it is deleted."""
    try:
        created = await scratch.create(obj, webhook_seconds=seconds)
    except WebhookUnreached as error:
        return Refusal(accepted=False, by="", unreached=error.webhook, said=str(error))
    except Rejected as error:
        denied = DENIED.search(str(error))
        return Refusal(accepted=False, by=denied[1] if denied else "", unreached="", said=str(error))
    await scratch.cluster.delete(created)
    return Refusal(accepted=True, by="", unreached="", said="created")


async def created(scratch: Scratch, obj: Object) -> tuple[Object | None, str]:
    """(the object, "") or (None, what the API server said of a webhook that it did not reach).

    Raises Stuck if it is refused: what is valid for us is not for this version, or for a policy of the platform.
    """
    try:
        return await scratch.create(obj), ""
    except WebhookUnreached as error:
        return None, str(error)
    except Rejected as error:
        kind = f"{obj['kind']} {obj['apiVersion']}"
        raise Stuck(f"the {kind} that the suite takes for valid is refused here: {error}") from error


# Objects and their children


def owned(objects: Sequence[Object], owner: Object) -> list[Object]:
    """Those whose owner is this very object."""
    uid = owner["metadata"]["uid"]
    return [
        obj
        for obj in objects
        if any(reference["uid"] == uid for reference in obj["metadata"].get("ownerReferences") or [])
    ]


async def children(cluster: Cluster, owner: Object, kinds: Sequence[Kind]) -> list[Object]:
    """What the owner has made, in the order of `kinds`."""
    found: list[Object] = []
    for kind in kinds:
        listed = cluster.list(kind.api_version, kind.kind, owner["metadata"]["namespace"])
        found += owned([obj async for obj in listed], owner)
    return found


def child(obj: Object) -> Child:
    return Child(kind=obj["kind"], name=obj["metadata"]["name"], uid=obj["metadata"]["uid"])


async def arrives(cluster: Cluster, obj: Object, state: State, kinds: Sequence[Kind], *, seconds: float) -> Arrival:
    """Watch `obj`, or its child of the kind `state.of`, until it comes to the state or the time is over.

    Raises Stuck and TimedOut for what keeps its Pods from running and is not the operator's doing: an image that
    cannot be pulled, no room.
    """
    metadata = obj["metadata"]
    kind = next((kind for kind in kinds if kind.kind == state.of), None)
    api_version, what = (kind.api_version, kind.kind) if kind else (obj["apiVersion"], obj["kind"])
    last = "nothing"

    def condition(objects: Sequence[Object]) -> bool | None:
        nonlocal last
        mine = owned(objects, obj) if kind else [each for each in objects if each["metadata"]["uid"] == metadata["uid"]]
        for each in mine:
            last = state.seen(each) or "no such field yet"
            if state.holds(each):
                return True
        return None

    coming = wait.among(
        cluster, api_version, what, metadata["namespace"], condition, seconds=seconds, what=f"{what} {state}"
    )
    try:
        await _unless_hopeless(cluster, obj, coming, seconds)
    except TimedOut:
        await _refuse_unplaced(cluster, obj)
        await _refuse_forbidden(cluster, obj)
        return Arrival(reached=False, wanted=str(state), last=last)
    return Arrival(reached=True, wanted=str(state), last=last)


def _pods_of(objects: Sequence[Object], obj: Object) -> list[Object]:
    """Its Pods: all that operators make of an object are called after it, and its name is one of our own."""
    return [pod for pod in objects if pod["metadata"]["name"].startswith(obj["metadata"]["name"])]


async def _unless_hopeless(cluster: Cluster, obj: Object, coming: Coroutine[Any, Any, T], seconds: float) -> T:
    """The result of `coming`. Raises Stuck as soon as a Pod of `obj` waits for what will not come."""

    def hopeless(objects: Sequence[Object]) -> None:
        for pod in _pods_of(objects, obj):
            wait.refuse_unrecoverable(pod)

    namespace = obj["metadata"]["namespace"]
    main = asyncio.ensure_future(coming)
    guard: asyncio.Future[None] = asyncio.ensure_future(
        wait.among(cluster, "v1", "Pod", namespace, hopeless, seconds=seconds + 5, what="its Pods")
    )
    try:
        await asyncio.wait((main, guard), return_when=asyncio.FIRST_COMPLETED)
        if guard.done() and not main.done():
            guard.result()
        return await main
    finally:
        for task in (main, guard):
            task.cancel()
        await asyncio.gather(main, guard, return_exceptions=True)


async def _refuse_unplaced(cluster: Cluster, obj: Object) -> None:
    """Raises TimedOut if the scheduler has no place for a Pod of `obj`: that says nothing of the operator."""
    pods = [pod async for pod in cluster.list("v1", "Pod", obj["metadata"]["namespace"])]
    for pod in _pods_of(pods, obj):
        if waits := unschedulable(pod):
            raise TimedOut(f"no node took Pod {pod['metadata']['name']}: {waits.explanation}")


async def _refuse_forbidden(cluster: Cluster, obj: Object) -> None:
    """Raises Stuck if the platform's policies let nobody make the Pods of `obj`: that says nothing of the operator."""
    name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
    async for event in cluster.list("v1", "Event", namespace, fields="type=Warning"):
        said = event.get("message") or ""
        if event["involvedObject"].get("name", "").startswith(name) and FORBIDDEN_PODS.search(said):
            raise Stuck(f"the platform refuses the Pods of {obj['kind']} {name}: {said}")


async def replaced(cluster: Cluster, owner: Object, lost: Object, *, seconds: float) -> Child | None:
    """Delete a child of `owner` and wait for another one of its kind in its place; None if there is none in time."""
    kind, namespace = lost["kind"], owner["metadata"]["namespace"]
    before = {obj["metadata"]["uid"] async for obj in cluster.list(lost["apiVersion"], kind, namespace)}
    await cluster.delete(lost)

    def condition(objects: Sequence[Object]) -> Child | None:
        for obj in owned(objects, owner):
            metadata = obj["metadata"]
            if metadata["uid"] not in before and not metadata.get("deletionTimestamp"):
                return child(obj)
        return None

    try:
        return await wait.among(
            cluster, lost["apiVersion"], kind, namespace, condition, seconds=seconds, what=f"another {kind}"
        )
    except TimedOut:
        return None


async def left_after(cluster: Cluster, owner: Object, made: Sequence[Object], *, seconds: float) -> list[str]:
    """Delete `owner` and wait for its end and that of what it `made`; those that stayed, as `Kind name`."""
    await cluster.delete(owner)

    async def stays(obj: Object) -> str | None:
        try:
            await wait.gone(cluster, obj, seconds=seconds)
        except TimedOut:
            return f"{obj['kind']} {obj['metadata']['name']}"
        return None

    return [name for name in await asyncio.gather(*map(stays, (owner, *made))) if name]


async def change(
    cluster: Cluster, obj: Object, subject: Object, what: Change, kinds: Sequence[Kind], *, seconds: float
) -> Changed:
    """Patch `subject` and wait for what has to come of it in `obj`; the patch is sent again while a webhook is away.

    Raises Stuck if the patch is refused.
    """
    try:
        await wait.reaching_webhooks(lambda: cluster.patch(subject, dict(what.patch)), seconds=seconds)
    except Rejected as error:
        raise Stuck(f"the change of {subject['kind']} that the suite takes for valid is refused: {error}") from error
    except WebhookUnreached as error:
        return Changed(problem=str(error), arrival=None)
    return Changed(problem="", arrival=await arrives(cluster, obj, what.ready, kinds, seconds=seconds))
