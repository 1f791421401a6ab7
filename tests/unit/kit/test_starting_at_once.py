"""Pods that start at once: one watch tells what becomes of each, whatever becomes of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiconform.cluster import Object, Stuck, TimedOut, WatchEvent
from aiconform.kit.starting_at_once import Started, each_started


def pod(name: str, *, node: str = "n1", **status: Any) -> Object:
    metadata = {"name": name, "namespace": "ns", "uid": name}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": node}, "status": status}


def with_state(name: str, phase: str = "Pending", *, node: str = "n1", **state: Any) -> Object:
    return pod(name, node=node, phase=phase, containerStatuses=[{"name": "c", "image": "i", "state": state}])


def runs(name: str) -> Object:
    return with_state(name, "Running", running={})


def starts(name: str) -> Object:
    return with_state(name, waiting={"reason": "ContainerCreating"})


class FakeCluster:
    """Pods as they are at first, changes to them, and as they are when they are read again; all of one label."""

    def __init__(self, *first: Object, changes: tuple[WatchEvent, ...] = (), after: tuple[Object, ...] = ()) -> None:
        self.reads = [list(first), list(after or first)]
        self.changes = changes
        self.watches = 0
        self.warning: list[Object] = []

    async def snapshot(self, *_: Any, labels: str, fields: str) -> tuple[list[Object], str]:
        assert labels == "of=us"
        return (self.reads.pop(0) if len(self.reads) > 1 else self.reads[0]), "1"

    async def watch(self, *_: Any, labels: str, since: str, **__: Any) -> AsyncIterator[WatchEvent]:
        self.watches += 1
        for change in self.changes:
            yield change
        await asyncio.sleep(60)

    async def list(self, api_version: str, kind: str, *_: Any, **__: Any) -> AsyncIterator[Object]:
        ready = {"type": "Ready", "status": "True"}
        for each in (
            self.warning
            if kind == "Event"
            else [{"metadata": {"name": "n1"}, "spec": {}, "status": {"conditions": [ready]}}]
        ):
            yield each


async def became(cluster: FakeCluster, *names: str) -> list[Started]:
    made = [pod(name, node="") for name in names]
    return await each_started(cluster, made, labels="of=us", seconds=0.1)  # type: ignore[arg-type]


async def test_one_watch_tells_what_becomes_of_all() -> None:
    changes = tuple(WatchEvent("MODIFIED", runs(name)) for name in ("b", "other", "c"))
    cluster = FakeCluster(runs("a"), starts("b"), starts("c"), changes=changes)
    found = await became(cluster, "a", "b", "c")
    assert [each.running and each.running["metadata"]["name"] for each in found] == ["a", "b", "c"]
    assert cluster.watches == 1
    assert await became(FakeCluster()) == []


async def test_what_keeps_one_from_starting_is_no_matter_of_the_others() -> None:
    refused = pod("refused", phase="Failed", reason="UnexpectedAdmissionError", message="in use")
    evicted = pod("evicted", phase="Failed", reason="Evicted", message="disk")
    never = with_state("never", waiting={"reason": "CreateContainerError", "message": "no such device"})
    image = with_state("image", waiting={"reason": "InvalidImageName"})
    waits = with_state("waits", node="", waiting={})
    cluster = FakeCluster(refused, evicted, never, image, waits, starts("late"), runs("runs"))
    found = dict(
        zip(
            names := ("refused", "evicted", "never", "image", "waits", "late", "runs"),
            await became(cluster, *names),
            strict=True,
        )
    )
    assert (found["refused"].problem, found["refused"].late) == ("UnexpectedAdmissionError: in use", False)
    assert isinstance(found["evicted"].error, Stuck)
    assert "no such device" in found["never"].problem
    assert isinstance(found["image"].error, Stuck)
    assert isinstance(found["waits"].error, TimedOut)
    assert found["late"].late
    assert "not within 0 s" in found["late"].problem
    assert found["runs"].running


async def test_a_watch_that_is_behind_decides_nothing() -> None:
    (found,) = await became(FakeCluster(starts("a"), after=(runs("a"),)), "a")
    assert found.running


@pytest.mark.parametrize("told", [True, False])
async def test_a_pod_that_somebody_deletes_is_nobody_s_fault(*, told: bool) -> None:
    changes = (WatchEvent("DELETED", starts("a")),) if told else ()
    (found,) = await became(FakeCluster(starts("a"), changes=changes, after=(runs("b"),)), "a")
    assert "deleted by someone else" in str(found.error)
