"""What `aiconform inspect` says of accelerators, in the words of who runs the platform."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from click.testing import CliRunner
from support.served import Served, device, node, resource_slice, taint

from aiconform.cli import main

OBJECTS = (
    node("gpu", labels={"nvidia.com/gpu.count": "1", "nvidia.com/gpu.product": "T4"}, **{"nvidia.com/gpu": "4"}),
    node("tpu", **{"google.com/tpu": "4"}),
    node("own", **{"example.com/npu": "2"}),
    node("leaving", taints=[taint("karpenter.sh/disrupted:NoSchedule")], **{"nvidia.com/gpu": "8"}),
    node("theirs", taints=[taint("team=ml:NoSchedule")], **{"nvidia.com/gpu": "8"}),
    resource_slice("npu.example.com", device("a"), on="own"),
)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def connect(*_: object) -> AsyncIterator[Any]:
        yield Served(OBJECTS)

    monkeypatch.setattr("aiconform.cluster.connect", connect)


def inspect(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["inspect", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout.partition("accelerator_metrics:")[0]


def test_inspect_names_what_is_offered_and_asks_about_the_rest(cluster: None) -> None:
    said = inspect()
    assert "Nodes: 4 of 5 usable" in said
    assert "  gpu: 4 of 4 free (on 1 device), T4 by device plugin (nvidia.com/gpu; NVIDIA GPU)\n" in said
    assert "  tpu: 4 of 4 free (a Pod must ask for all 4 of a host), google.com/tpu by device plugin" in said
    assert "driver npu.example.com publishes 1 device(s): is it an accelerator? It is not tried." in said
    assert "node leaving is tainted karpenter.sh/disrupted:NoSchedule: it is going away" in said
    assert "if a run may use it: --toleration team=ml" in said
    assert "  own:" not in said
    assert "  theirs:" not in said


def test_inspect_follows_what_the_user_says(cluster: None) -> None:
    said = inspect(
        "--accelerator", "example.com/*", "--not-accelerator", "npu.example.com", "--toleration", "team=ml:NoSchedule"
    )
    assert "  own: 2 of 2 free, example.com/npu by device plugin (example.com/npu; named by --accelerator)\n" in said
    assert "  theirs: 8 of 8 free" in said
    assert "?" not in said
