"""The steps of testing an operator: creating, waiting, deleting, changing. The probe puts them in order."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from aiconform.checks.robust_controller.observations import Arrival, Changed, Child, Refusal
from aiconform.cluster import (
    Cluster,
    Object,
    Rejected,
    Stuck,
    TimedOut,
    WebhookBehind,
    WebhookUnreached,
    admission,
    wait,
)
from aiconform.cluster.scratch import Scratch
from aiconform.kit.pods import unschedulable
from aiconform.kit.together import gather
from aiconform.platform.operators import ChildKind, ExpectedState, OperatorChange

T = TypeVar("T")
# The API server's own words: a webhook cannot make a refusal by the schema look like this.
DENIED = re.compile(r'admission webhook "([^"]+)" denied the request')


# Admission


async def offer(scratch: Scratch, obj: Object, *, seconds: float) -> Refusal:
    """Try to create an invalid object, repeatedly while its webhook does not answer or is behind with its caches.

    Delete it if it is accepted.
    """
    try:
        created = await scratch.create(obj, webhook_seconds=seconds)
    except WebhookUnreached as error:
        return Refusal(accepted=False, by="", unreached=error.webhook, said=str(error))
    except WebhookBehind as error:
        return Refusal(accepted=False, by="", unreached="", behind=error.webhook, said=str(error))
    except Rejected as error:
        denied = DENIED.search(str(error))
        return Refusal(accepted=False, by=denied[1] if denied else "", unreached="", said=str(error))
    await scratch.cluster.delete(created)
    return Refusal(accepted=True, by="", unreached="", said="created")


async def created(scratch: Scratch, obj: Object) -> tuple[Object | None, str]:
    """(the object, "") or (None, the error of the API server about a webhook that was not reached or stayed behind).

    Raises Stuck if it is refused: this version or a policy of the platform does not accept the suite's object.
    """
    try:
        return await scratch.create(obj), ""
    except (WebhookUnreached, WebhookBehind) as error:
        return None, str(error)
    except Rejected as error:
        kind = f"{obj['kind']} {obj['apiVersion']}"
        raise Stuck(f"the {kind} that the suite considers valid is refused here: {error}") from error


# Objects and their children


def owned(objects: Sequence[Object], owner: Object) -> list[Object]:
    """Those that this object owns."""
    uid = owner["metadata"]["uid"]
    return [
        obj
        for obj in objects
        if any(reference["uid"] == uid for reference in obj["metadata"].get("ownerReferences") or [])
    ]


async def children(cluster: Cluster, owner: Object, kinds: Sequence[ChildKind]) -> list[Object]:
    """The objects of `kinds` that the owner owns, in this order."""
    found: list[Object] = []
    for kind in kinds:
        listed = cluster.list(kind.api_version, kind.kind, owner["metadata"]["namespace"])
        found += owned([obj async for obj in listed], owner)
    return found


def child(obj: Object) -> Child:
    return Child(kind=obj["kind"], name=obj["metadata"]["name"], uid=obj["metadata"]["uid"])


async def arrives(
    cluster: Cluster, obj: Object, state: ExpectedState, kinds: Sequence[ChildKind], *, seconds: float
) -> Arrival:
    """Watch `obj`, or its child of the kind `state.of`, until it reaches the state or the time is over.

    Raises Stuck and TimedOut if its Pods cannot run for reasons other than the operator: an image that cannot be
    pulled, no node with enough room.
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
        await _unless_stuck(cluster, obj, coming, seconds)
    except TimedOut:
        pods = _pods_of([pod async for pod in cluster.list("v1", "Pod", metadata["namespace"])], obj)
        _refuse_unplaced(pods)
        await _refuse_forbidden(cluster, obj, [pod["metadata"]["name"] for pod in pods])
        return Arrival(reached=False, wanted=str(state), last=last)
    return Arrival(reached=True, wanted=str(state), last=last)


def _pods_of(objects: Sequence[Object], obj: Object) -> list[Object]:
    """Its Pods: operators derive their names from the object's, which is unique."""
    return [pod for pod in objects if pod["metadata"]["name"].startswith(obj["metadata"]["name"])]


async def _unless_stuck(cluster: Cluster, obj: Object, coming: Coroutine[Any, Any, T], seconds: float) -> T:
    """The result of `coming`. Raises Stuck as soon as a Pod of `obj` is in an unrecoverable state."""

    def stuck(objects: Sequence[Object]) -> None:
        for pod in _pods_of(objects, obj):
            wait.refuse_unrecoverable(pod)

    namespace = obj["metadata"]["namespace"]
    main = asyncio.ensure_future(coming)
    guard: asyncio.Future[None] = asyncio.ensure_future(
        wait.among(cluster, "v1", "Pod", namespace, stuck, seconds=seconds + 5, what="its Pods")
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


def _refuse_unplaced(pods: Sequence[Object]) -> None:
    """Raises TimedOut if the scheduler finds no node for one of these Pods, or others hold it back from the scheduler.

    The operator is not the cause.
    """
    for pod in pods:
        if pod["spec"].get("schedulingGates"):
            raise TimedOut(f"Pod {pod['metadata']['name']} is not scheduled: {wait.describe(pod)}")
        if waits := unschedulable(pod):
            raise TimedOut(f"no node has room for Pod {pod['metadata']['name']}: {waits.explanation}")


async def _refuse_forbidden(cluster: Cluster, obj: Object, pods: Sequence[str]) -> None:
    """Raises Stuck if policies of the platform refuse the Pods of `obj`: the operator is not the cause.

    pods: the names of those that there are.
    """
    async for event in cluster.list("v1", "Event", obj["metadata"]["namespace"], fields="type=Warning"):
        said = event.get("message") or ""
        if refuses_pods(said, of=event["involvedObject"].get("name", ""), obj=obj, pods=pods):
            about = f"{obj['kind']} {obj['metadata']['name']}"
            raise Stuck(f"the platform refuses the Pods of {about}: {said}. What helps: {admission.way_out(said)}")


def refuses_pods(said: str, *, of: str, obj: Object, pods: Sequence[str]) -> bool:
    """Whether an event of the controller of `of` says that the platform refuses the Pods of `obj`.

    pods: the names of its Pods that there are. Those of `of` begin with its name: then its refusal is over. A webhook
    that does not find what has just been made is behind with its caches, and the controller tries again.
    """
    name, namespace = (re.escape(obj["metadata"][key]) for key in ("name", "namespace"))
    behind = re.search(rf'"(?:{namespace}|(?:{namespace}/)?{name}[^"]*)" not found', said)
    return (
        of.startswith(obj["metadata"]["name"])
        and admission.refuses_pods(said)
        and not behind
        and not any(pod.startswith(of) for pod in pods)
    )


async def replaced(cluster: Cluster, owner: Object, lost: Object, *, seconds: float) -> Child | None:
    """Delete a child of `owner` and wait for a new one of its kind; None if there is none in time."""
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
    """Delete `owner`, and wait until it and what it `made` are deleted; what remains, as `Kind name`."""
    await cluster.delete(owner)

    async def stays(obj: Object) -> str | None:
        try:
            await wait.gone(cluster, obj, seconds=seconds)
        except TimedOut:
            return f"{obj['kind']} {obj['metadata']['name']}"
        return None

    return [name for name in await gather(*map(stays, (owner, *made))) if name]


async def change(
    cluster: Cluster, obj: Object, subject: Object, what: OperatorChange, kinds: Sequence[ChildKind], *, seconds: float
) -> Changed:
    """Patch `subject` and wait for the effect on `obj`. The patch is repeated while a webhook is away or behind.

    Raises Stuck if the patch is refused.
    """
    try:
        await wait.reaching_webhooks(lambda: cluster.patch(subject, dict(what.patch)), seconds=seconds)
    except (WebhookUnreached, WebhookBehind) as error:
        return Changed(problem=str(error), arrival=None)
    except Rejected as error:
        raise Stuck(f"the change of {subject['kind']} that the suite considers valid is refused: {error}") from error
    return Changed(problem="", arrival=await arrives(cluster, obj, what.ready, kinds, seconds=seconds))
