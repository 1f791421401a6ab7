"""The nodes that an autoscaler ordered: their files, their place in a lab's plan, and who starts and ends them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiconform.lab import plan, planning
from aiconform.lab.accelerators.identity import find_identity
from aiconform.lab.cloud import orders as cloudnodes
from aiconform.lab.config import MAX_NODES, LabConfig, LabError, Paths
from aiconform.lab.machines.files import write_json

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

Object = dict[str, Any]


def made(root: Path, **options: Any) -> plan.LabPlan:
    name = options.get("name", "lab")
    new = planning.make(LabConfig(**options), plan.read(Paths(name, root)), root)
    new.save(Paths(name, root))
    return new


def order(root: Path, name: str, **options: Any) -> plan.NodePlan:
    """A node that an autoscaler ordered, with its file."""
    paths = Paths("lab", root)
    current = plan.read(paths)
    assert current
    node = planning.add_node(current, name, root, "device-plugin", 2, autoscaled=True, **options).node(name)
    write_json(cloudnodes.file(paths, node.number), asdict(node))
    return node


def read(root: Path) -> plan.LabPlan:
    found = plan.read(Paths("lab", root))
    assert found
    return found


# The plan


def test_an_ordered_node_is_in_the_plan_and_not_among_the_lab_s_own(tmp_path: Path) -> None:
    made(tmp_path)
    node = order(tmp_path, "brave-curie", identity="nvidia")
    found = read(tmp_path)
    assert found.autoscaled == (node,)
    assert [each.name for each in found.own] == ["node-1", "node-2"]
    assert node.number == 3
    assert read(tmp_path).node("brave-curie").identity == "nvidia"


def test_no_command_loses_or_keeps_an_ordered_node(tmp_path: Path) -> None:
    old = made(tmp_path)
    order(tmp_path, "brave-curie")
    # Whoever saves a plan from before knows nothing of it, and does it no harm.
    old.save(Paths("lab", tmp_path))
    assert [node.name for node in read(tmp_path).autoscaled] == ["brave-curie"]
    cloudnodes.file(Paths("lab", tmp_path), 3).unlink()
    made(tmp_path, nodes=3)
    assert [node.name for node in read(tmp_path).nodes] == ["node-1", "node-2", "node-3"]


def test_own_nodes_come_and_go_beside_ordered_ones(tmp_path: Path) -> None:
    made(tmp_path)
    node = order(tmp_path, "brave-curie")
    grown = made(tmp_path, nodes=4)
    assert [each.name for each in grown.own] == ["node-1", "node-2", "node-3", "node-4"]
    assert node in grown.nodes
    assert len({each.number for each in grown.nodes}) == 5
    shrunk = made(tmp_path, nodes=1, accelerators=6)
    assert [each.accelerators for each in shrunk.own] == [6]
    assert shrunk.autoscaled == (node,)
    with pytest.raises(LabError, match="delete nodeclaim"):
        planning.remove_node(shrunk, "brave-curie")
    with pytest.raises(LabError, match="last node"):
        planning.remove_node(shrunk, "node-1")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"number": 3}', '{"number": 7, "name": "x"}', '{"number":3,"name":"x"}']
)
def test_the_number_of_a_file_that_cannot_be_read_stays_taken(tmp_path: Path, content: str) -> None:
    made(tmp_path)
    paths = Paths("lab", tmp_path)
    paths.autoscaled.mkdir()
    cloudnodes.file(paths, 3).write_text(content)
    assert order(tmp_path, "brave-curie").number == 4
    assert 3 not in {node.number for node in made(tmp_path, nodes=3).nodes}
    assert read(tmp_path).unreadable == {3}


def test_a_full_lab_takes_no_order(tmp_path: Path) -> None:
    made(tmp_path, nodes=MAX_NODES, accelerators=0)
    with pytest.raises(LabError, match=f"already has {MAX_NODES} nodes"):
        order(tmp_path, "brave-curie")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(["up", "own", "order", "end", "break"]), max_size=12))
def test_numbers_and_device_numbers_are_never_given_twice(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    root = tmp_path_factory.mktemp("root")
    paths = Paths("lab", root)
    made(root, accelerators=1)
    broken: set[int] = set()
    for position, step in enumerate(steps):
        current = read(root)
        match step:
            case "up":
                made(root)
            case "own":
                planning.add_node(current, f"own-{position}", root).save(paths)
            case "order":
                order(root, f"ordered-{position}")
            case "end" if current.autoscaled:
                cloudnodes.file(paths, current.autoscaled[0].number).unlink()
            case "break" if current.autoscaled:
                broken.add(current.autoscaled[-1].number)
                cloudnodes.file(paths, current.autoscaled[-1].number).write_text("?")
    found = read(root)
    numbers = [node.number for node in found.nodes]
    assert len(set(numbers)) == len(numbers)
    assert not set(numbers) & broken
    assert found.unreadable == broken
    minors = [node.first_minor + i for node in found.nodes for i in range(node.accelerators)]
    assert len(set(minors)) == len(minors)


# The index of a lab


@pytest.mark.parametrize("spoil", ["fields of a newer release", "cut off"])
def test_the_index_of_a_lab_whose_plan_cannot_be_read_is_not_given_away(tmp_path: Path, spoil: str) -> None:
    made(tmp_path, name="first")
    file = Paths("first", tmp_path).plan
    if spoil == "cut off":
        file.write_text(file.read_text()[: file.read_text().index('"kubernetes"')])
    else:
        file.write_text(json.dumps(json.loads(file.read_text()) | {"gpus": 3}))
    with pytest.raises(LabError):
        plan.read(Paths("first", tmp_path))
    assert made(tmp_path, name="second").index == 1


def test_a_plan_without_ordered_nodes_has_no_field_that_an_older_release_does_not_know(tmp_path: Path) -> None:
    made(tmp_path)
    (first, _) = json.loads(Paths("lab", tmp_path).plan.read_text())["nodes"]
    assert first.keys() == {"name", "number", "accelerators", "allocation", "first_minor"}


# The cloud


def ordered(
    name: str,
    *,
    version: int = 1,
    kubelet: bool = False,
    ready: bool = False,
    taints: tuple[str, ...] = ("t", cloudnodes.STARTING_TAINT),
) -> Object:
    condition = {"type": "Ready", "status": "True" if ready else "Unknown"}
    made_up = {"cpu": "1"} if kubelet else {"cpu": "1", "aiconform.dev/simulated-accelerator": "1"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": name,
            "resourceVersion": str(version),
            "labels": {cloudnodes.ACCELERATORS_LABEL: "2"},
        },
        "spec": {
            "providerID": f"kwok://{name}",
            "taints": [{"key": key, "effect": "NoSchedule"} for key in taints],
        },
        "status": {
            "nodeInfo": {"kubeletVersion": "v1.37.2" if kubelet else ""},
            "conditions": [condition],
            "capacity": made_up,
            "allocatable": made_up,
        },
    }


class FakeCluster:
    """A list of Nodes, then events; patches and deletions are kept."""

    def __init__(self, nodes: list[Object], events: list[tuple[str, Object]]) -> None:
        self._nodes, self._events = nodes, events
        self.patches: list[tuple[str, Object, str]] = []
        self.deleted: list[str] = []

    async def snapshot(self, api_version: str, kind: str) -> tuple[tuple[Object, ...], str]:
        return tuple(self._nodes), "1"

    async def watch(self, api_version: str, kind: str, *, since: str) -> Any:
        from aiconform.cluster import WatchEvent

        for kind_of, node in self._events:
            yield WatchEvent(kind_of, node)  # type: ignore[arg-type]

    async def patch(self, obj: Object, changes: Object, *, subresource: str = "") -> None:
        self.patches.append((obj["metadata"]["name"], changes, subresource))

    async def delete(self, obj: Object) -> None:
        self.deleted.append(obj["metadata"]["name"])


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Follows made-up Nodes with a cloud whose machines are files only; the cluster that it acted on."""
    from aiconform.lab.cloud import delivery as autoscaled
    from aiconform.lab.kubernetes import nodes

    made(tmp_path)
    monkeypatch.setattr(nodes, "install", lambda *_: None)
    monkeypatch.setattr(autoscaled, "Authority", lambda *_: None)
    monkeypatch.setattr(autoscaled.installation, "read", lambda _: None)
    monkeypatch.setattr(autoscaled.control, "ask", lambda *_, **__: None)
    monkeypatch.setattr(autoscaled.cgroups, "remove", lambda _: None)

    async def follow(nodes: list[Object], *events: tuple[str, Object]) -> FakeCluster:
        cluster = FakeCluster(nodes, list(events))
        await autoscaled.Cloud(Paths("lab", tmp_path)).follow(cluster)  # type: ignore[arg-type]
        return cluster

    return follow


def stranger(name: str) -> Object:
    return {"metadata": {"name": name, "uid": name, "resourceVersion": "1"}, "spec": {}, "status": {}}


def machines(root: Path) -> list[str]:
    return [node.name for node in read(root).autoscaled]


async def test_a_machine_comes_for_each_ordered_node_and_for_no_other(cloud: Any, tmp_path: Path) -> None:
    await cloud([ordered("a"), stranger("node-1")], ("ADDED", ordered("b")), ("ADDED", stranger("c")))
    assert machines(tmp_path) == ["a", "b"]
    assert {node.accelerators for node in read(tmp_path).autoscaled} == {2}
    assert {node.allocation for node in read(tmp_path).autoscaled} == {"device-plugin"}


async def test_a_machine_ends_with_its_node_and_also_with_one_that_went_unseen(cloud: Any, tmp_path: Path) -> None:
    await cloud([ordered("a"), ordered("b")])
    # It has ended, and is started again.
    await cloud([ordered("b"), ordered("c")], ("DELETED", ordered("c")))
    assert machines(tmp_path) == ["b"]


async def test_what_was_made_up_is_taken_back_and_pods_come_when_the_kubelet_speaks(cloud: Any, tmp_path: Path) -> None:
    cluster = await cloud(
        [],
        ("ADDED", ordered("a")),
        ("MODIFIED", ordered("a", kubelet=True)),
        ("MODIFIED", ordered("a", version=7, kubelet=True, ready=True)),
        ("MODIFIED", ordered("a", kubelet=True, ready=True, taints=("t",))),
    )
    (_, status, subresource), (_, change, _) = cluster.patches
    nothing = {"aiconform.dev/simulated-accelerator": None}
    assert (status, subresource) == ({"status": {"capacity": nothing, "allocatable": nothing}}, "status")
    assert change["metadata"] == {"resourceVersion": "7"}
    assert [taint["key"] for taint in change["spec"]["taints"]] == ["t"]
    assert cluster.deleted == []


async def test_a_node_for_which_there_is_no_room_keeps_no_other_waiting(cloud: Any, tmp_path: Path) -> None:
    long = "x" * 60
    await cloud([ordered(long), ordered("a")], ("ADDED", ordered("b")), ("DELETED", ordered(long)))
    assert machines(tmp_path) == ["a", "b"]


async def test_faults_of_the_cloud(cloud: Any, tmp_path: Path) -> None:
    def on(*names: str) -> None:
        write_json(Paths("lab", tmp_path).state / "faults.json", list(names))

    on("autoscaled-never-ready")
    await cloud([ordered("a")])
    assert machines(tmp_path) == []
    on("autoscaled-another-kind")
    await cloud([ordered("a")])
    (node,) = read(tmp_path).autoscaled
    assert find_identity(node.identity).extended_resource == "aiconform.dev/simulated-accelerator-other"
    on("autoscaler-removes-used-nodes")
    cluster = await cloud(
        [ordered("a", kubelet=True, ready=True, taints=())], ("MODIFIED", ordered("b", kubelet=True, ready=True))
    )
    assert cluster.deleted == ["a"]
