"""What tests of a node's accelerators share."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fake_node import Node


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: sockets allow no long paths."""
    with tempfile.TemporaryDirectory(prefix="a-") as name:
        yield Path(name)


@pytest.fixture
async def make(folder: Path) -> AsyncIterator[Callable[..., Any]]:
    nodes: list[Node] = []

    async def start(**changes: Any) -> Node:
        node = Node(folder, **changes)
        nodes.append(node)
        await node.kubelet.start()
        await node.parts.apply(node.config)
        return node

    yield start
    for node in nodes:
        await node.parts.stop()
        await node.kubelet.stop()
