"""What fails for a moment is tried again, by requests to a real HTTP server that answers as an API server does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from aiconform.cluster import (
    AdmissionBehind,
    Cluster,
    ClusterError,
    Conflict,
    NoAnswer,
    Rejected,
    ServerFailed,
    Stuck,
    Unreachable,
    WebhookBehind,
    WebhookUnreached,
    connect,
    patience,
    wait,
)
from aiconform.cluster.patience import patient
from aiconform.cluster.space import Space
from aiconform.cluster.transport import refusal

Answer = Callable[[web.Request], Any]
LOST = "lost"
"""The server ends the connection instead of answering."""
LATE = "late"
"""The server answers after the deadline of who asked."""


def job(name: str = "a", **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "ns", "uid": name, "resourceVersion": "1", "labels": labels}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}


def refused(status: int, message: str = "not now") -> web.Response:
    return web.json_response({"kind": "Status", "message": message}, status=status)


class Server:
    """Answers each request with the next of `answers`: a response, LOST, LATE, or lines of a stream."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.path in ("/apis/batch/v1", "/api/v1"):
            kinds = {"Job": ("jobs", True), "Namespace": ("namespaces", False)}
            served = [{"kind": kind, "name": it[0], "namespaced": it[1], "verbs": []} for kind, it in kinds.items()]
            return web.json_response({"resources": served})
        self.asked.append(f"{request.method} {request.query.get('watch', '')}".strip())
        answer = self.answers.pop(0)
        if isinstance(answer, web.Response):
            return answer
        if answer is LATE:
            await asyncio.sleep(2)
        stream = web.StreamResponse()
        if answer is not LOST:
            *lines, end = answer
            await stream.prepare(request)
            for line in lines:
                await stream.write((line if isinstance(line, str) else json.dumps(line)).encode() + b"\n")
            if end != LOST:
                return stream
        assert request.transport is not None
        request.transport.close()
        return stream


@asynccontextmanager
async def connected(server: Server, folder: Path) -> AsyncIterator[Cluster]:
    runner = web.ServerRunner(web.Server(server))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    kubeconfig = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://{host}:{port}"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "here",
    }
    kubeconfig.write_text(yaml.safe_dump(content))
    try:
        async with connect(str(kubeconfig)) as cluster:
            yield cluster
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(wait, "_RETRY_SECONDS", 0.001)
    monkeypatch.setattr(wait, "_WEBHOOK_RETRY_SECONDS", 0.001)


@pytest.mark.parametrize("moment", [429, 500, 502, 503, 504, LOST])
async def test_a_moment_without_an_answer_ends_no_request_of_who_is_patient(moment: Any, tmp_path: Path) -> None:
    def fails() -> Any:
        return moment if moment is LOST else refused(moment)

    server = Server(fails(), fails(), web.json_response(job()))
    async with connected(server, tmp_path) as cluster:
        with patient(30):
            assert (await cluster.get("batch/v1", "Job", "a", "ns"))["metadata"]["name"] == "a"
        server.answers = [fails()]
        with pytest.raises((ServerFailed, Unreachable)):
            await cluster.get("batch/v1", "Job", "a", "ns")
    assert server.answers == []


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 501])
async def test_what_a_moment_does_not_change_is_told_at_once(status: int, tmp_path: Path) -> None:
    async with connected(Server(refused(status)), tmp_path) as cluster:
        with patient(30), pytest.raises(ClusterError):
            await cluster.get("batch/v1", "Job", "a", "ns")


async def ask(cluster: Cluster, *, repeat: bool) -> str:
    return (await cluster.proxied("pods", "ns", "a:80", "/", seconds=0.5, repeat=repeat)).text


@pytest.mark.parametrize("moment", [503, LOST, LATE])
async def test_a_pod_that_is_known_to_answer_is_asked_again(moment: Any, tmp_path: Path) -> None:
    server = Server(refused(moment) if moment == 503 else moment, web.Response(text="here"))
    async with connected(server, tmp_path) as cluster:
        with patient(30):
            assert await ask(cluster, repeat=True) == "here"


async def test_a_pod_that_may_not_answer_is_asked_once(tmp_path: Path) -> None:
    async with connected(Server(LATE), tmp_path) as cluster:
        with patient(30), pytest.raises(NoAnswer):
            await ask(cluster, repeat=False)


async def test_patience_ends_with_the_words_of_the_last_failure(tmp_path: Path) -> None:
    server = Server(*(refused(503, "etcd is away") for _ in range(10_000)))
    async with connected(server, tmp_path) as cluster:
        with patient(0.05), pytest.raises(ServerFailed, match="etcd is away"):
            await cluster.get("batch/v1", "Job", "a", "ns")
    assert len(server.asked) > 1


async def test_an_object_whose_creation_was_not_answered_is_created_once(tmp_path: Path) -> None:
    server = Server(LOST, refused(409, "already exists"), web.json_response(job(run="1")))
    async with connected(server, tmp_path) as cluster:
        with patient(30):
            created = await cluster.create(job(run="1"))
        assert created["metadata"]["uid"] == "a"
        # An object of somebody else, and one that was there before, are none of ours.
        server.answers = [LOST, refused(409, "already exists"), web.json_response(job(run="2"))]
        with patient(30), pytest.raises(Conflict):
            await cluster.create(job(run="1"))
        server.answers = [refused(409, "already exists")]
        with patient(30), pytest.raises(Conflict):
            await cluster.create(job(run="1"))


async def test_a_log_that_breaks_off_is_read_on_without_a_line_twice(tmp_path: Path) -> None:
    server = Server(["one", "two", LOST], LOST, ["one", "two", "three", "end"])
    async with connected(server, tmp_path) as cluster:
        with patient(30):
            lines = [line async for line in cluster.follow("ns", "pod", "c", seconds=30)]
    assert lines == ["one", "two", "three"]


def event(kind: str, obj: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": obj}


@pytest.mark.parametrize("code", [410, 500])
async def test_a_watch_that_breaks_is_taken_up_again(code: int, tmp_path: Path) -> None:
    broken = event("ERROR", {"code": code, "message": "too old"})
    done = {**job(), "status": {"done": True}}
    server = Server(
        [event("ADDED", job()), broken, LOST], web.json_response(job()), [event("ADDED", job()), LOST],
        web.json_response(job()), [event("ADDED", done), LOST],
    )  # fmt: skip
    async with connected(server, tmp_path) as cluster:
        found = await wait.until(
            cluster, job(), lambda seen: (seen.get("status") or {}).get("done"), seconds=30, what="the Job"
        )
    assert found is True


async def test_what_was_deleted_while_the_watch_was_broken_is_told(tmp_path: Path) -> None:
    server = Server([event("ADDED", job()), LOST], refused(404))
    async with connected(server, tmp_path) as cluster:
        with pytest.raises(Stuck, match="Job a was deleted by someone else"):
            await wait.until(cluster, job(), lambda _: None, seconds=30, what="the Job")


@pytest.mark.parametrize(
    ("code", "said", "error"),
    [
        (500, 'failed calling webhook "v.kb.io": connection refused', WebhookUnreached),
        (500, 'failed calling webhook "v.kb.io": context deadline exceeded', WebhookUnreached),
        (403, 'admission webhook "v.kb.io" denied the request: Namespace "new" not found', WebhookBehind),
        (403, 'admission webhook "v.kb.io" denied the request: the queue must be created before', AdmissionBehind),
    ],
)
async def test_a_webhook_that_is_away_or_behind_is_asked_again_until_its_time_is_over(
    code: int, said: str, error: type[ClusterError]
) -> None:
    asked = 0

    async def request() -> str:
        nonlocal asked
        asked += 1
        if asked < 4:
            raise refusal(code, {"message": said}, "create", "jobs")
        return "created"

    with patient(30):
        assert await wait.reaching_webhooks(request) == "created"
    asked = 0
    with pytest.raises(error, match=r"v\.kb\.io"):
        await wait.reaching_webhooks(request)
    assert isinstance(refusal(code, {"message": said}, "create", "jobs"), Rejected) is (error is not WebhookUnreached)


async def test_a_namespace_is_created_although_its_webhook_starts_late(tmp_path: Path) -> None:
    away = refused(500, 'failed calling webhook "ns.kb.io": connection refused')
    server = Server(away, away, web.json_response(job("aiconform-1")))
    async with connected(server, tmp_path) as cluster:
        with patient(30):
            assert await Space(cluster, "1").namespace("restricted") == "aiconform-1"
        server.answers = [refused(500, 'failed calling webhook "ns.kb.io": connection refused')]
        with pytest.raises(WebhookUnreached):
            await Space(cluster, "1").namespace("restricted")
    assert server.asked == ["POST"] * 4
