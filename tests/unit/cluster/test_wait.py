"""Waiting over all objects of a kind: what was there, what comes and goes, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from aiconform.cluster import (
    AdmissionBehind,
    Expired,
    NotFound,
    Object,
    Rejected,
    Stuck,
    TimedOut,
    Unreachable,
    WatchEvent,
    WebhookBehind,
    wait,
)
from aiconform.cluster.transport import refusal


def named(name: str, **fields: Any) -> Object:
    return {"kind": "Job", "metadata": {"name": name, "uid": name}, **fields}


class FakeCluster:
    """Each list answers with the next of `lists`, each watch with the next of `watches`; the last watch never ends."""

    def __init__(self, lists: list[list[Object]], watches: list[list[WatchEvent | Exception]]) -> None:
        self.lists, self.watches = lists, watches

    async def snapshot(self, *kind: Any, labels: str, fields: str) -> tuple[tuple[Object, ...], str]:
        return tuple(self.lists.pop(0)), "1"

    async def watch(
        self, *kind: Any, labels: str, fields: str, since: str, seconds: float
    ) -> AsyncIterator[WatchEvent]:
        for event in self.watches.pop(0):
            if isinstance(event, Exception):
                raise event
            yield event
        if not self.watches:
            await asyncio.sleep(60)


async def two_there(cluster: FakeCluster, seconds: float = 5) -> str:
    def condition(objects: Sequence[Object]) -> str | None:
        names = sorted(obj["metadata"]["name"] for obj in objects)
        if "broken" in names:
            raise Stuck("broken")
        return "".join(names) if len(names) == 2 else None

    return await wait.among(cluster, "batch/v1", "Job", "ns", condition, seconds=seconds, what="two")  # type: ignore[arg-type]


async def test_what_is_there_already_counts() -> None:
    assert await two_there(FakeCluster([[named("a"), named("b")]], [])) == "ab"


async def test_what_comes_counts_and_what_went_does_not() -> None:
    events: list[WatchEvent | Exception] = [
        WatchEvent("DELETED", named("a")),
        WatchEvent("ADDED", named("b")),
        WatchEvent("MODIFIED", named("b")),
        WatchEvent("ADDED", named("c")),
    ]
    assert await two_there(FakeCluster([[named("a")]], [events])) == "bc"


async def test_a_watch_that_is_too_old_begins_anew() -> None:
    expired = Expired("too old", status=410, reason="Expired")
    assert await two_there(FakeCluster([[], [named("a"), named("b")]], [[expired], []])) == "ab"


async def test_what_went_while_the_connection_was_lost_is_told() -> None:
    lists = [[named("a"), named("b")], [named("b"), named("c")]]
    cluster = FakeCluster(
        lists, [[Unreachable("lost")], [WatchEvent("BOOKMARK", {}), WatchEvent("DELETED", named("c"))]]
    )
    told: list[str] = []
    async for there, events in wait.states(cluster, "batch/v1", "Job", "ns"):  # type: ignore[arg-type]
        told += [f"{event.type} {event.object['metadata']['name']}" for event in events]
        if sorted(there) == ["b"]:
            break
    assert told == ["ADDED a", "ADDED b", "DELETED a", "MODIFIED b", "ADDED c", "DELETED c"]


async def test_a_condition_may_end_the_wait() -> None:
    with pytest.raises(Stuck, match="broken"):
        await two_there(FakeCluster([[]], [[WatchEvent("ADDED", named("broken"))]]))


async def test_the_end_of_time_tells_what_was_there() -> None:
    with pytest.raises(TimedOut, match="two: not within 0 s; Job objects: a"):
        await two_there(FakeCluster([[named("a")], [named("a")]], [[]]), seconds=0.1)


async def test_when_the_time_is_over_the_objects_are_read_once_more() -> None:
    assert await two_there(FakeCluster([[], [named("a"), named("b")]], [[]]), seconds=0.1) == "ab"


class Silent:
    """A cluster whose watches say nothing; `now` is the object that it has."""

    def __init__(self, now: Object | None) -> None:
        self.now = now

    async def watch(self, *kind: Any, **words: Any) -> AsyncIterator[WatchEvent]:
        await asyncio.sleep(60)
        yield WatchEvent("ADDED", {})

    async def get(self, *words: Any) -> Object:
        if self.now is None:
            raise NotFound("not there")
        return self.now


OBJECT = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a", "uid": "1", "resourceVersion": "1"}}


async def done(now: Object | None) -> Any:
    def condition(seen: Object) -> Any:
        return seen.get("status")

    return await wait.until(Silent(now), OBJECT, condition, seconds=0.1, what="it")  # type: ignore[arg-type]


async def test_a_watch_that_says_nothing_is_no_proof_that_nothing_happened() -> None:
    assert await done({**OBJECT, "status": "done"}) == "done"
    with pytest.raises(TimedOut, match="it: not within 0 s; last seen: no status yet"):
        await done(OBJECT)
    with pytest.raises(Stuck, match="it: Job a was deleted by someone else"):
        await done(None)


async def test_an_object_that_went_unseen_is_gone() -> None:
    cluster: Any = Silent(OBJECT)
    waiting = asyncio.ensure_future(wait.gone(cluster, OBJECT, seconds=0.1))
    await asyncio.sleep(0.01)
    cluster.now = {**OBJECT, "metadata": {**OBJECT["metadata"], "uid": "2"}}  # type: ignore[dict-item]
    await waiting
    with pytest.raises(TimedOut, match="deletion of Job a: not within 0 s"):
        await wait.gone(Silent(OBJECT), OBJECT, seconds=0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", [403, 404, 500])
def test_a_webhook_that_does_not_know_the_namespace_yet_is_one_to_ask_again(code: int) -> None:
    for said in ('Namespace "aiconform-635d4970-baseline" not found', 'reading: namespaces "aiconform-1" not found'):
        message = f'admission webhook "mpod.kb.io" denied the request: {said}'
        behind = refusal(code, {"message": message}, "create", "pods")
        assert isinstance(behind, WebhookBehind)
        assert behind.webhook == "mpod.kb.io"


@pytest.mark.parametrize(
    ("said", "behind"),
    [
        ('localqueues.kueue.x-k8s.io "gang-queue" not found', True),
        ('spec.queueName: Invalid value: "q": LocalQueue "q" was not found', True),
        ("the TrainJob's runtime must be created before the TrainJob", True),
        ("the parent has to exist first", True),
        ('spec.replicas: Invalid value: 0: must be greater than the number before "it"', False),
        ('spec.runtimeRef: Not found: "x"', False),
    ],
)
def test_a_webhook_that_does_not_know_yet_what_was_just_made_is_one_to_ask_again(said: str, behind: bool) -> None:
    message = f'admission webhook "v.kb.io" denied the request: {said}'
    found = refusal(403, {"message": message}, "create", "jobs")
    assert isinstance(found, AdmissionBehind) is behind
    # It may as well be what the webhook has to say of the object.
    assert isinstance(found, Rejected)
    assert not isinstance(found, WebhookBehind)


@pytest.mark.parametrize(
    ("resource", "says", "helps"),
    [
        ("pods", "every Pod needs the labels team and cost-center", "--pod-template"),
        ("pods", "every container needs requests and limits", "--pod-template"),
        ("pods", "every image needs a digest", "--image-"),
        ("namespaces", "every Namespace needs the label team", "--namespace-labels"),
    ],
)
def test_what_a_policy_denies_as_invalid_is_told_with_what_helps(resource: str, says: str, helps: str) -> None:
    said = f"{resource} \"p\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: {says}"
    found = refusal(422, {"message": said, "reason": "Invalid"}, "create", resource)
    assert isinstance(found, Rejected)
    words, _, way = str(found).partition(". What helps: ")
    assert words == f"create {resource}: {said}"
    assert helps in way


def test_what_the_schema_refuses_has_no_such_advice() -> None:
    said = 'Pod "p" is invalid: spec.containers: Required value'
    assert "What helps" not in str(refusal(422, {"message": said, "reason": "Invalid"}, "create", "pods"))


@pytest.mark.parametrize(
    "said",
    [
        "no PriorityClass with name aiconform-1-low was found",
        "status unknown for quota: compute, resources: limits.cpu,requests.cpu",
    ],
)
def test_what_admission_has_not_seen_or_counted_yet_is_asked_again(said: str) -> None:
    message = f'pods "p" is forbidden: {said}'
    assert isinstance(refusal(403, {"message": message, "reason": "Forbidden"}, "create", "pods"), AdmissionBehind)


def pulling(reason: str, message: str) -> Object:
    waiting = {"reason": reason, "message": message}
    status = {"name": "c", "image": "registry.test/i:1", "state": {"waiting": waiting}}
    return {"metadata": {"name": "p"}, "status": {"phase": "Pending", "containerStatuses": [status]}}


@pytest.mark.parametrize(
    "said",
    [
        "rpc error: code = NotFound desc = failed to pull and unpack image: registry.test/i:1: not found",
        "reading manifest 1 in registry.test/i: manifest unknown",
        "pull access denied, repository does not exist or may require authorization",
        "unexpected status from HEAD request to https://registry.test/v2/i/manifests/1: 401 Unauthorized",
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
    ],
)
@pytest.mark.parametrize("state", ["ErrImagePull: {}", 'Back-off pulling image "registry.test/i:1": ErrImagePull: {}'])
def test_a_pull_that_no_repetition_mends_ends_the_wait(said: str, state: str) -> None:
    for reason in ("ErrImagePull", "ImagePullBackOff"):
        with pytest.raises(Stuck, match=r"image registry\.test/i:1"):
            wait.running(pulling(reason, state.format(said)))


@pytest.mark.parametrize(
    "said",
    [
        "",
        'Back-off pulling image "registry.test/i:1"',
        "dial tcp 192.0.2.1:443: i/o timeout",
        "dial tcp: lookup registry.test on 192.0.2.53:53: no such host",
        "unexpected status from GET request to https://registry.test/v2/: 503 Service Unavailable",
        "toomanyrequests: You have reached your pull rate limit",
        "context deadline exceeded",
    ],
)
def test_a_registry_that_fails_for_a_moment_is_waited_for(said: str) -> None:
    for reason in ("ErrImagePull", "ImagePullBackOff"):
        assert wait.running(pulling(reason, said)) is None


@pytest.mark.parametrize("reason", ["InvalidImageName", "ErrImageNeverPull"])
def test_an_image_that_is_never_pulled_ends_the_wait(reason: str) -> None:
    with pytest.raises(Stuck, match=reason):
        wait.running(pulling(reason, ""))
