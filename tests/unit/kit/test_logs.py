"""Reading a container's output up to the line that ends its work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiconform.cluster import NotFound, Object, Stuck, TimedOut
from aiconform.kit.logs import read_until

POD: Object = {"metadata": {"namespace": "ns", "name": "p"}, "spec": {"nodeName": "n"}}
READY: Object = {
    "metadata": {"name": "n"},
    "spec": {},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}


class FakeCluster:
    def __init__(self, *lines: str, pod: Object | None = POD, node: Object | None = READY) -> None:
        self.lines, self.pod, self.node = lines, pod, node

    async def follow(self, *about: Any, seconds: float) -> AsyncIterator[str]:
        for line in self.lines:
            yield line

    async def get(self, *about: str) -> Object:
        if self.pod is None:
            raise NotFound("not there")
        return self.pod

    async def list(self, *about: str, fields: str) -> AsyncIterator[Object]:
        assert fields == "metadata.name=n"
        if self.node:
            yield self.node


async def read(*lines: str) -> list[str]:
    return await read_until(FakeCluster(*lines), POD, "c", "done", seconds=1)  # type: ignore[arg-type]


async def test_the_lines_before_the_last_one_are_read() -> None:
    assert await read("a", "b", "done", "c") == ["a", "b"]
    assert await read("done") == []


async def test_a_container_that_prints_without_end_is_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiconform.kit.logs.MOST", 1 << 20)
    with pytest.raises(Stuck, match="container c of Pod p printed 1 MiB, and not 'done'"):
        await read(*["x" * 1000] * 2000, "done")


@pytest.mark.parametrize(("lines", "tail"), [((), "nothing"), (("a", "b", "c", "d"), "b / c / d")])
async def test_an_output_that_ends_early_is_quoted(lines: tuple[str, ...], tail: str) -> None:
    with pytest.raises(TimedOut, match=f"container c of Pod p did not print 'done'; its last output: {tail}"):
        await read(*lines)


@pytest.mark.parametrize(
    ("meanwhile", "told"),
    [
        ({"pod": None}, "someone else deleted the Pod"),
        (
            {"pod": {**POD, "metadata": {**POD["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}},
            "someone else deletes the Pod",
        ),
        ({"node": None}, "node n is gone"),
        (
            {"node": {**READY, "status": {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "Silent"}]}}},
            "node n is not Ready",
        ),
        (
            {"pod": {**POD, "status": {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}}},
            "low on memory",
        ),
    ],
)
async def test_what_became_of_the_pod_or_its_node_is_told(meanwhile: dict[str, Any], told: str) -> None:
    with pytest.raises(TimedOut, match=f"its last output: a; .*{told}"):
        await read_until(FakeCluster("a", **meanwhile), POD, "c", "done", seconds=1)  # type: ignore[arg-type]
