"""Shares of a node's accelerators, sound and with each fault, on real sockets: what is offered, and what is given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import grpc
import pytest
from support.fake_kubelet import configuration
from support.fake_node import Node, eventually, plugin, wants

from aiconform.cluster import quantity
from aiconform.lab.accelerators import DriverFault, Offer, devices_of, identities, split
from aiconform.lab.accelerators.allocator import RogueAllocator
from aiconform.lab.accelerators.driver import device_folder
from aiconform.lab.accelerators.objects import node_labels
from aiconform.lab.accelerators.sharing import WAYS, Way, plugged, ways
from aiconform.lab.faults.registry import FAULTS, possible
from aiconform.platform.accelerators.drivers import simulated_kernel

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="device nodes need root")
FOLDER = Path("/lab")
IN_CONTAINER = f"{simulated_kernel()}/sys/module/simulated_accelerator/devices/"
SHARED = {
    "simulated-shared": {Way.CAPACITY},
    "nvidia-mig-mixed": {Way.DRA_PARTITIONS, Way.PARTITIONS, Way.DESCRIBED_PARTITIONS},
    "nvidia-mig-single": {Way.DRA_PARTITIONS, Way.PARTITIONS},
    "nvidia-time-slicing": {Way.REPLICAS, Way.COUNTED_REPLICAS},
    "nvidia-mps": {Way.REPLICAS, Way.COUNTED_REPLICAS},
    "nvidia-dra-static-mig": {Way.DRA_PARTITIONS},
    "nvidia-dra-dynamic-mig": {Way.DRA_PARTITIONS},
    "amd-partitioned": {Way.DRA_PARTITIONS, Way.PARTITIONS},
    "intel-gpu-shared": {Way.REPLICAS},
}


def config(identity: str, *faults: DriverFault, **changes: Any) -> Any:
    usual = identities()[identity].allocation or "device-plugin"
    return configuration(FOLDER, **{"identity": identities()[identity], "faults": faults, "offer": usual, **changes})


# Which faults which hardware can have


def test_each_persona_is_shared_in_its_ways_and_the_others_by_claims_alone() -> None:
    assert {name: ways(identity) for name, identity in identities().items() if ways(identity)} == SHARED
    mixed = identities()["nvidia-mig-mixed"]
    assert ways(mixed, Offer.DRA) == {Way.DRA_PARTITIONS}
    assert ways(mixed, Offer.DEVICE_PLUGIN) == {Way.PARTITIONS, Way.DESCRIBED_PARTITIONS}
    # What the scheduler cuts out of devices is no resource.
    assert ways(identities()["nvidia-dra-dynamic-mig"], Offer.DEVICE_PLUGIN) == set()


def test_a_fault_is_possible_where_devices_are_shared_in_one_of_its_ways() -> None:
    assert not {*WAYS} & {*possible()}
    assert {*WAYS} & {*possible("intel-gpu-shared")} == {
        DriverFault.SHARES_APART,
        DriverFault.SECOND_SHARE_REFUSED,
        DriverFault.LAST_SHARE_REFUSED,
    }
    assert {*WAYS} - {*possible("nvidia-mig-mixed")} == set()
    assert {name for fault, those in WAYS.items() for name in those} == {*Way}
    assert all(FAULTS[fault].ways == those for fault, those in WAYS.items())


# What a holder is told of its device


@pytest.mark.parametrize("identity", list(identities()))
def test_every_device_says_whose_it_is_and_how_much_memory_it_has(identity: str) -> None:
    made = config(identity)
    for device in devices_of(made):
        folder = device_folder(made, device)
        assert folder
        assert folder.container_path == IN_CONTAINER + device.uuid
        assert folder.contents["memory"] == str(quantity.whole(device.memory))
        whole = device.uuid if not device.partition else device.words["parent_uuid"]
        assert folder.contents["parent"] == whole


def test_a_partition_may_show_the_memory_of_the_whole_in_another_folder() -> None:
    sound, faulty = config("nvidia-mig-mixed"), config("nvidia-mig-mixed", DriverFault.MEMORY_OF_WHOLE)
    device = devices_of(sound)[0]
    before, after = device_folder(sound, device), device_folder(faulty, device)
    assert before
    assert after
    assert (int(before.contents["memory"]), int(after.contents["memory"])) == (10 * 2**30, 80 * 2**30)
    # Containers that run keep what they have.
    assert before.host_path != after.host_path
    assert before.container_path == after.container_path


@ROOT
async def test_both_ways_give_a_holder_the_folder_of_its_device_alone(make: Any) -> None:
    node = await make(offer="both", count=2, identity=identities()["nvidia-mig-mixed"])
    small = [device for device in devices_of(node.config) if device.memory == "10Gi"]
    await node.kubelet.dra("NodePrepareResources", node.claim("one", small[0].name))
    (edits,) = node.specs().values()
    (mount,) = edits["mounts"]
    assert mount["containerPath"] == IN_CONTAINER + small[0].uuid
    assert "ro" in mount["options"]
    told = {file.name: file.read_text() for file in Path(mount["hostPath"]).iterdir()}
    assert told == {
        "parent": f"{small[0].words['parent_uuid']}\n",
        "memory": f"{10 * 2**30}\n",
        "virtual": "0\n",
        "profile": "1g.10gb\n",
    }
    (answer,) = (await plugin(node, "Allocate", wants([small[2].uuid]), "nvidia.com/mig-1g.10gb")).container_responses
    given = [each for each in answer.mounts if each.container_path.startswith(IN_CONTAINER)]
    assert [each.container_path for each in given] == [IN_CONTAINER + small[2].uuid]
    assert (Path(given[0].host_path) / "memory").read_text() == f"{10 * 2**30}\n"


def test_labels_tell_the_memory_of_partitions() -> None:
    mixed = node_labels(config("nvidia-mig-mixed"))
    assert [mixed[f"nvidia.com/{name}.memory"] for name in ("gpu", "mig-1g.10gb", "mig-3g.40gb")] == [
        "81920",
        "10240",
        "40960",
    ]
    assert node_labels(config("nvidia-mig-single"))["nvidia.com/gpu.memory"] == "10240"
    assert node_labels(config("nvidia-time-slicing"))["nvidia.com/gpu.memory"] == "81920"


# By a device plugin


def offered(identity: str, *faults: DriverFault, **changes: Any) -> dict[str, list[int]]:
    """Resource -> the physical device of each share that can be requested."""
    found = plugged(config(identity, *faults, **changes))
    return {resource: [device.parent for device in ids.values()] for resource, ids in found.items()}


@pytest.mark.parametrize(
    ("identity", "resource", "labels"),
    [
        ("nvidia-time-slicing", "nvidia.com/gpu", {"nvidia.com/gpu.count": "1", "nvidia.com/gpu.replicas": "4"}),
        ("nvidia-mps", "nvidia.com/gpu.shared", {"nvidia.com/gpu.count": "1", "nvidia.com/gpu.replicas": "4"}),
        ("intel-gpu-shared", "gpu.intel.com/i915", {"gpu.intel.com/device-id.0380-56c0.count": "1"}),
        (
            "nvidia-mig-mixed",
            "nvidia.com/mig-1g.10gb",
            {"nvidia.com/gpu.count": "1", "nvidia.com/mig-1g.10gb.count": "4", "nvidia.com/mig-2g.20gb.count": "0"},
        ),
        ("nvidia-mig-single", "nvidia.com/gpu", {"nvidia.com/gpu.count": "4"}),
        ("amd-partitioned", "amd.com/cpx_nps4", {"amd.com/cpx_nps4.count": "4"}),
    ],
)
def test_shares_of_separate_devices_are_more_than_the_devices_that_labels_count(
    identity: str, resource: str, labels: dict[str, str]
) -> None:
    found = offered(identity, DriverFault.SHARES_APART)
    assert {name: parents for name, parents in found.items() if parents} == {resource: [0, 1, 2, 3]}
    said = node_labels(config(identity, DriverFault.SHARES_APART))
    assert {name: said[name] for name in labels} == labels


@pytest.mark.parametrize("identity", ["nvidia-time-slicing", "nvidia-mps"])
def test_one_more_share_than_labels_count_is_of_the_last_device(identity: str) -> None:
    ((sound,), (more,)) = (offered(identity).values(), offered(identity, DriverFault.MORE_SHARES).values())
    assert (len(sound), more) == (16, [*sound, 3])
    assert node_labels(config(identity)) == node_labels(config(identity, DriverFault.MORE_SHARES))


def test_shares_that_are_not_offered_stay_in_the_labels() -> None:
    withheld = DriverFault.SHARES_NOT_OFFERED
    assert offered("nvidia-mig-mixed", withheld) == {
        f"nvidia.com/mig-{n}": [] for n in ("1g.10gb", "2g.20gb", "3g.40gb")
    }
    assert offered("nvidia-time-slicing", withheld) == {"nvidia.com/gpu": [0, 1, 2, 3]}
    for identity in ("nvidia-mig-mixed", "nvidia-time-slicing"):
        assert node_labels(config(identity, withheld)) == node_labels(config(identity))


@ROOT
@pytest.mark.parametrize(
    ("identity", "resource"),
    [
        ("nvidia-time-slicing", ""),
        ("intel-gpu-shared", ""),
        ("nvidia-mig-mixed", "nvidia.com/mig-1g.10gb"),
        ("amd-partitioned", "amd.com/cpx_nps4"),
    ],
)
async def test_the_second_or_the_last_share_may_be_refused(make: Any, identity: str, resource: str) -> None:
    node = await make(offer="device-plugin", count=2, identity=identities()[identity])
    ids = list(plugged(node.config)[resource or node.config.identity.extended_resource])
    await node.change(faults=(DriverFault.SECOND_SHARE_REFUSED,))
    first_of_second = ids[len(ids) // 2]
    await plugin(node, "Allocate", wants([ids[0]], [first_of_second]), resource)
    for each in (ids[1], ids[-1]):
        with pytest.raises(grpc.aio.AioRpcError, match="second-share-refused is on"):
            await plugin(node, "Allocate", wants([each]), resource)
    await node.change(faults=(DriverFault.LAST_SHARE_REFUSED,))
    await plugin(node, "Allocate", wants(*([each] for each in ids[:-1])), resource)
    with pytest.raises(grpc.aio.AioRpcError, match="last-share-refused is on"):
        await plugin(node, "Allocate", wants([ids[-1]]), resource)


@ROOT
async def test_partitions_of_several_resources_are_shares_of_one_device(make: Any) -> None:
    node = await make(offer="device-plugin", count=2, identity=identities()["nvidia-mig-mixed"])
    small, large = (list(plugged(node.config)[f"nvidia.com/mig-{name}"]) for name in ("1g.10gb", "3g.40gb"))
    await node.change(faults=(DriverFault.SECOND_SHARE_REFUSED,))
    await plugin(node, "Allocate", wants([small[0]], [small[2]]), "nvidia.com/mig-1g.10gb")
    with pytest.raises(grpc.aio.AioRpcError, match="second-share-refused is on"):
        await plugin(node, "Allocate", wants([large[0]]), "nvidia.com/mig-3g.40gb")
    # Of these, a device has one: none is the last of several.
    await node.change(faults=(DriverFault.LAST_SHARE_REFUSED,))
    await plugin(node, "Allocate", wants(*([each] for each in large)), "nvidia.com/mig-3g.40gb")


# By DRA


async def prepared(node: Node, name: str, device: str) -> tuple[set[str], str]:
    """(the UUIDs of physical devices that a claim opens, why it is not prepared)."""
    claim = node.claim(name, device)
    answer = (await node.kubelet.dra("NodePrepareResources", claim))[claim["metadata"]["uid"]]
    ids = {id_ for each in answer.devices for id_ in each.cdi_device_ids}
    mounts = [mount for id_ in ids for mount in node.specs()[id_]["mounts"]]
    return {(Path(mount["hostPath"]) / "parent").read_text().strip() for mount in mounts}, answer.error


def names(node: Node) -> list[str]:
    """The names of four shares of one device."""
    parts = [each.name for each in split(node.config)[0] if each.partition and each.parent == 0]
    return parts[:4] if parts else ["accel-0"] * 4


@ROOT
@pytest.mark.parametrize("identity", ["simulated-shared", "nvidia-dra-dynamic-mig", "amd-partitioned"])
async def test_shares_of_one_device_may_be_of_separate_devices(make: Any, identity: str) -> None:
    node = await make(offer="dra", count=4, identity=identities()[identity])
    sound = [await prepared(node, f"sound-{n}", device) for n, device in enumerate(names(node))]
    assert {error for _, error in sound} == {""}
    assert len(set().union(*(opened for opened, _ in sound))) == 1
    for n in range(4):
        await node.kubelet.dra("NodeUnprepareResources", node.cluster.objects["ResourceClaim", f"sound-{n}"])
    await node.change(faults=(DriverFault.SHARES_APART,))
    apart = [await prepared(node, f"apart-{n}", device) for n, device in enumerate(names(node))]
    assert {len(opened) for opened, _ in apart} == {1}
    assert len(set().union(*(opened for opened, _ in apart))) == 4


@ROOT
@pytest.mark.parametrize(
    ("identity", "runs"), [("simulated-shared", 4), ("nvidia-dra-dynamic-mig", 7), ("amd-partitioned", 8)]
)
async def test_the_second_or_the_last_share_may_not_be_prepared(make: Any, identity: str, runs: int) -> None:
    node = await make(offer="dra", count=2, identity=identities()[identity])
    small = [each.name for each in split(node.config)[0] if each.partition and each.parent == 0][:runs]
    shares = small or ["accel-0"] * runs
    await node.change(faults=(DriverFault.SECOND_SHARE_REFUSED,))
    assert await prepared(node, "first", shares[0]) != (set(), "")
    assert "second-share-refused is on" in (await prepared(node, "second", shares[1]))[1]
    # Another device has shares of its own.
    other = next(each.name for each in split(node.config)[0] if each.parent == 1)
    assert (await prepared(node, "other", other))[1] == ""
    await node.change(faults=(DriverFault.LAST_SHARE_REFUSED,))
    told = [(await prepared(node, f"claim-{n}", device))[1] for n, device in enumerate(shares[1:])]
    assert told[:-1] == [""] * (runs - 2)
    assert "last-share-refused is on" in told[-1]


class Publisher:
    names = ("accel-0", "accel-1")


class Held:
    def __init__(self, *devices: str) -> None:
        self._devices = list(devices)

    def held(self) -> list[str]:
        return self._devices


@pytest.mark.parametrize(
    ("faults", "held", "asked", "refused", "given"),
    [
        ((DriverFault.MORE_SHARES,), ["accel-1", "accel-0", "accel-1"], 1, True, ["accel-1"]),
        ((DriverFault.MORE_SHARES,), [], 1, True, []),
        ((DriverFault.MORE_SHARES,), ["accel-1"], 1, False, []),
        ((DriverFault.MORE_SHARES,), ["accel-1"], 3, True, []),
        ((DriverFault.OVERCOMMITS,), ["accel-1"], 1, True, []),
        ((DriverFault.OVERCOMMITS,), [], 3, False, ["accel-0", "accel-1"]),
    ],
)
def test_who_waits_for_a_share_may_get_one_that_others_have(
    faults: tuple[DriverFault, ...], held: list[str], asked: int, refused: bool, given: list[str]
) -> None:
    made = config("simulated-shared", *faults)
    allocator = RogueAllocator(None, made, Publisher, Held(*held))  # type: ignore[arg-type]
    assert list(allocator.devices(asked, refused=refused)) == given


@ROOT
async def test_a_fault_of_shares_changes_what_the_kubelet_counts_and_leaves_it(make: Any) -> None:
    node = await make(offer="device-plugin", count=2, identity=identities()["nvidia-time-slicing"])
    (before,) = node.cluster.of("Node")
    await node.change(faults=(DriverFault.SHARES_APART,))
    (during,) = node.cluster.of("Node")
    await node.change(faults=())
    (after,) = node.cluster.of("Node")
    counts = [found["metadata"]["labels"]["nvidia.com/gpu.count"] for found in (before, during, after)]
    assert counts == ["2", "1", "2"]
    await eventually(lambda: node.kubelet.endpoints)
