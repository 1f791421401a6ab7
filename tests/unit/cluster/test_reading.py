"""Answers that are none of Kubernetes' are told as such: no defect, and nothing that is a verdict."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.message import Message
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.api_server import serving, usual, write_kubeconfig

from aiconform.cli import main
from aiconform.cluster import ServerFailed, connect
from aiconform.cluster.reading import a_list, an_event, an_object

NONE_OF_KUBERNETES = [
    None,
    [],
    "",
    1,
    {},
    {"items": [None], "metadata": {}},
    {"items": [{}], "metadata": {}},
    {"items": [], "metadata": None},
    {"items": 5, "metadata": {}},
    {"groups": [{"name": "x", "versions": None}], "resources": [{"kind": "Node"}]},
]


@pytest.mark.parametrize("content", NONE_OF_KUBERNETES, ids=repr)
async def test_each_request_says_that_another_server_answers(content: Any, tmp_path: Path) -> None:
    def answer(path: str, _: Message) -> tuple[int, Any]:
        return usual(path) if path == "/api/v1" else (200, content)

    with serving() as server:
        server.answer = answer
        async with connect(str(write_kubeconfig(tmp_path / "k", server.url))) as cluster:
            asked: list[Callable[[], Awaitable[Any]]] = [
                cluster.version,
                cluster.groups,
                partial(cluster.resources, "v2"),
                partial(cluster.get, "v1", "Pod", "p", "ns"),
                partial(cluster.snapshot, "v1", "Pod"),
                partial(anext, cluster.list("v1", "Pod")),
                partial(anext, cluster.watch("v1", "Pod")),
                partial(cluster.create, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}),
                partial(cluster.may, "get", "", "pods"),
            ]
            refused: list[str] = []
            for each in asked:
                with suppress(StopAsyncIteration):
                    try:
                        await each()
                    except ServerFailed as error:
                        refused.append(str(error))
            # Some of these are answers to another question.
            assert len(refused) >= 5
            assert all("none of Kubernetes'" in said for said in refused)


@pytest.mark.parametrize("first", [0, 2])
def test_a_command_says_that_another_server_answers(first: int, tmp_path: Path) -> None:
    """From the first request on, or from a later one: somebody takes the place of the API server."""
    asked = 0

    def answer(path: str, _: Message) -> tuple[int, Any]:
        nonlocal asked
        asked += 1
        return (200, None) if asked > first else usual(path)

    with serving() as server:
        server.answer = answer
        done = CliRunner().invoke(main, ["inspect", "--kubeconfig", str(write_kubeconfig(tmp_path / "k", server.url))])
    assert done.exit_code == (0 if first else 2)
    assert "none of Kubernetes'" in done.output
    assert "defect" not in done.output


def test_a_list_of_an_aggregated_api_may_have_null_for_no_items() -> None:
    assert a_list({"items": None, "metadata": {"resourceVersion": "1"}}, "v1", "Pod") == ([], {"resourceVersion": "1"})


def test_what_is_read() -> None:
    item = {"metadata": {"name": "x"}, "spec": {}}
    typed = {"apiVersion": "v1", "kind": "Pod", **item}
    assert a_list({"items": [item], "metadata": {}}, "v1", "Pod") == ([typed], {})
    assert an_object(item, "it") == item
    assert an_event(b'{"type": "ADDED", "object": {"metadata": {"name": "x"}, "spec": {}}}', "v1", "Pod") == (
        "ADDED",
        typed,
    )
    assert an_event(b'{"type": "ERROR", "object": {"code": 410}}', "v1", "Pod") == ("ERROR", {"code": 410})


@pytest.mark.parametrize("line", [b"", b"<html>", b"[]", b"null", b"{}", b'{"type": "ADDED", "object": {}}'])
def test_a_line_that_is_no_event(line: bytes) -> None:
    with pytest.raises(ServerFailed):
        an_event(line, "v1", "Pod")
