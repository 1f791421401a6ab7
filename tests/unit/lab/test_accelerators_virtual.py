"""Virtual devices of a node, sound and with each fault, on real sockets: what is published, and what holders get."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.fake_kubelet import configuration
from support.fake_node import Node, eventually, paths, plugin, wants

from aiconform.lab.accelerators import Device, DriverFault, NodeRole, Offer, devices_of, identities, split
from aiconform.lab.accelerators.allocator import RogueAllocator
from aiconform.lab.accelerators.driver import device_folder
from aiconform.lab.accelerators.objects import node_labels
from aiconform.lab.accelerators.sharing import plugged, ways
from aiconform.lab.accelerators.slices import describe
from aiconform.lab.accelerators.virtual import VIRTUAL_WAYS, VirtualWay, virtual_ways

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="device nodes need root")
FOLDER = Path("/lab")
GIB = 2**30
HELD = "virtual-device-is-not-released is on"
FUNCTIONS = {VirtualWay.BY_DRA, VirtualWay.BESIDE, VirtualWay.FUNCTIONS}
VIRTUAL = {
    "simulated": {*FUNCTIONS, VirtualWay.OWN_RESOURCE},
    "nvidia-vgpu": {VirtualWay.BY_DRA, VirtualWay.PLUGGED},
    "intel-gpu-sriov": FUNCTIONS,
}
VF = "aiconform.dev/simulated-accelerator-vf"


def config(identity: str, *faults: DriverFault, **changes: Any) -> Any:
    usual = identities()[identity].allocation or "dra"
    return configuration(FOLDER, **{"identity": identities()[identity], "faults": faults, "offer": usual, **changes})


def virtual(made: Any) -> list[Device]:
    return [device for device in devices_of(made) if device.virtual]


# Which devices are virtual, and which faults they can have


def test_each_identity_has_its_virtual_devices_in_its_ways_and_the_others_have_none() -> None:
    assert {name: virtual_ways(each) for name, each in identities().items() if virtual_ways(each)} == VIRTUAL
    assert virtual_ways(identities()["simulated"], Offer.DEVICE_PLUGIN) == set()
    assert virtual_ways(identities()["nvidia-vgpu"], Offer.DEVICE_PLUGIN) == {VirtualWay.PLUGGED}
    assert virtual_ways(identities()["nvidia-vgpu"], Offer.DRA) == {VirtualWay.BY_DRA}
    assert {way for those in VIRTUAL_WAYS.values() for way in those} == {*VirtualWay}
    # They are no shares: faults of these leave them alone.
    assert not any(ways(identities()[name]) for name in VIRTUAL)


@pytest.mark.parametrize("offer", Offer)
def test_a_node_of_the_lab_has_two_functions_of_one_further_device_where_dra_offers_some(offer: Offer) -> None:
    made = config("simulated", offer=offer)
    found = virtual(made)
    assert [device.name for device in found] == (
        [] if offer is Offer.DEVICE_PLUGIN else ["accel-4-vf-0", "accel-4-vf-1"]
    )
    assert len(devices_of(made)) - len(found) == made.count
    assert {device.parent for device in found} <= {4}
    assert all(device in split(made)[0] for device in found)
    # A holder gets nothing of the physical device.
    assert [node.role for device in found for node in device.nodes] == [NodeRole.MAIN] * len(found)
    assert set(plugged(made)) == (set() if offer is Offer.DRA else {"aiconform.dev/simulated-accelerator"})
    assert not any(name.startswith(VF) for name in node_labels(made))


def test_a_node_without_accelerators_has_no_virtual_ones() -> None:
    assert devices_of(config("simulated", count=0)) == ()


def published(made: Any) -> dict[str, dict[str, Any]]:
    """Device -> its attributes without their types, and its capacity."""
    return {
        each["name"]: {name: next(iter(value.values())) for name, value in each["attributes"].items()}
        | {f"capacity of {name}": value["value"] for name, value in each["capacity"].items()}
        for each in describe(made, split(made)[0])
    }


def test_virtual_devices_publish_what_physical_ones_do_and_more() -> None:
    found = published(config("simulated"))
    whole, function = found["accel-0"], found["accel-4-vf-0"]
    assert function.keys() - whole.keys() == {"profile", "parentUUID"}
    assert not whole.keys() - function.keys()
    assert (whole["virtual"], whole["capacity of memory"], whole["model"]) == (False, "16Gi", function["model"])
    assert (function["virtual"], function["capacity of memory"], function["profile"]) == (True, "8Gi", "vf-8g")
    assert (
        function["parentUUID"] == found["accel-4-vf-1"]["parentUUID"] not in {each["uuid"] for each in found.values()}
    )


def test_functions_of_one_vendor_are_told_by_their_pci_addresses_alone() -> None:
    found = published(config("intel-gpu-sriov", count=2))
    addresses = {each["resource.kubernetes.io/pciBusID"]: each["sriov"] for each in found.values()}
    assert addresses == {"0000:16:00.0": True, "0000:17:00.1": False, "0000:17:00.2": False}
    assert len({frozenset(each) for each in found.values()}) == 1
    assert not {"type", "profile", "parentUUID", "uuid"} & set().union(*found.values())


def test_a_guest_tells_by_labels_and_by_the_brand_that_its_devices_are_virtual() -> None:
    labels = node_labels(config("nvidia-vgpu", offer="device-plugin"))
    assert labels["nvidia.com/vgpu.present"] == "true"
    assert (labels["nvidia.com/gpu.product"], labels["nvidia.com/gpu.memory"]) == ("Simulated-GRID-A100-10C", "10240")
    assert {each["brand"] for each in published(config("nvidia-vgpu")).values()} == {"NvidiaVCS"}
    assert all(device.virtual for device in devices_of(config("nvidia-vgpu")))


# What a holder is told


@pytest.mark.parametrize(
    ("identity", "memory", "whole"), [("simulated", 8, 16), ("nvidia-vgpu", 10, 40), ("intel-gpu-sriov", 8, 16)]
)
def test_a_holder_is_told_that_its_device_is_virtual_and_its_size(identity: str, memory: int, whole: int) -> None:
    sound, faulty = config(identity), config(identity, DriverFault.VIRTUAL_WHOLE_MEMORY)
    for device in devices_of(sound):
        before, after = device_folder(sound, device), device_folder(faulty, device)
        assert before
        assert after
        assert before.contents["virtual"] == str(int(device.virtual))
        if device.virtual:
            assert int(before.contents["memory"]) == memory * GIB
            assert int(after.contents["memory"]) == whole * GIB
            assert before.contents["profile"] == after.contents["profile"] == device.words["profile"]
            assert before.host_path != after.host_path
        else:
            assert before.contents["memory"] == after.contents["memory"]
    parents = {device.words["parent_uuid"] for device in virtual(config(identity, count=2))}
    assert len(parents) == (2 if identity == "nvidia-vgpu" else 1)


# How they are offered, with faults


@ROOT
async def test_virtual_devices_may_be_a_resource_while_the_others_are_offered_by_dra(make: Any) -> None:
    node = await make(count=2)
    everything = [device["name"] for slice_ in node.cluster.of("ResourceSlice") for device in slice_["spec"]["devices"]]
    await node.change(faults=(DriverFault.VIRTUAL_ELSEWHERE,))
    (slice_,) = node.cluster.of("ResourceSlice")
    assert [device["name"] for device in slice_["spec"]["devices"]] == ["accel-0", "accel-1"]
    functions = virtual(node.config)
    answer = await plugin(node, "Allocate", wants([functions[1].uuid]), VF)
    assert paths(answer) == [[functions[1].container_path]]
    (labels,) = (found["metadata"]["labels"] for found in node.cluster.of("Node"))
    told = {name.removeprefix(f"{VF}."): value for name, value in labels.items() if name.startswith(VF)}
    assert told == {
        "product": "Simulated-Accelerator-A1",
        "count": "2",
        "simulated": "true",
        "virtual": "true",
        "profile": "vf-8g",
        "memory": "8192",
    }
    await node.change(faults=())
    assert [
        device["name"] for slice_ in node.cluster.of("ResourceSlice") for device in slice_["spec"]["devices"]
    ] == everything
    (labels,) = (found["metadata"]["labels"] for found in node.cluster.of("Node"))
    assert not [name for name in labels if name.startswith(VF) and labels[name] is not None]


@pytest.mark.parametrize("identity", ["simulated", "intel-gpu-sriov"])
def test_virtual_devices_may_have_other_names_for_the_same(identity: str) -> None:
    sound, faulty = published(config(identity)), published(config(identity, DriverFault.VIRTUAL_NAMES))
    names = {device.name for device in virtual(config(identity))}
    for name, before in sound.items():
        after = faulty[name]
        if name not in names:
            assert after == before
            continue
        renamed = before.keys() - after.keys()
        assert "runtimeVersion" in renamed
        assert {each for each in renamed if each.islower()} == set()
        assert after["runtime_version"] == before["runtimeVersion"]
        assert sorted(map(str, after.values())) == sorted(map(str, before.values()))
        # What tells them apart, and that they are of one product, stays.
        kept = {"model", "virtual", "profile", "parentUUID", "resource.kubernetes.io/pciBusID", "capacity of memory"}
        assert not renamed & kept


# What holders get, with faults


async def prepared(node: Node, name: str, device: str) -> tuple[list[str], str]:
    """(paths of the device nodes that a claim gets, why it is not prepared)."""
    claim = node.claim(name, device)
    answer = (await node.kubelet.dra("NodePrepareResources", claim))[claim["metadata"]["uid"]]
    return node.given(answer), answer.error


def allowed(node: Node) -> dict[str, str]:
    """Path of each device node that claims give -> what their containers may do with it."""
    return {each["path"]: each["permissions"] for edits in node.specs().values() for each in edits["deviceNodes"]}


@ROOT
@pytest.mark.parametrize("identity", ["simulated", "intel-gpu-sriov"])
async def test_virtual_devices_alone_may_not_be_opened(make: Any, identity: str) -> None:
    node = await make(identity=identities()[identity], count=2, faults=(DriverFault.VIRTUAL_CLOSED,))
    whole, function = (next(each for each in devices_of(node.config) if each.virtual is kind) for kind in (False, True))
    for device in (whole, function):
        assert (await prepared(node, f"one-{device.name}", device.name))[1] == ""
    assert allowed(node) == {
        **{each.container_path: "rw" for each in whole.nodes},
        **{each.container_path: "m" for each in function.nodes},
    }


@ROOT
async def test_a_device_plugin_may_keep_virtual_devices_closed(make: Any) -> None:
    node = await make(identity=identities()["nvidia-vgpu"], offer="device-plugin", count=1)
    (id_,) = plugged(node.config)["nvidia.com/gpu"]
    for faults, permissions in (((), "rw"), ((DriverFault.VIRTUAL_CLOSED,), "m")):
        await node.change(faults=faults)
        (given,) = (await plugin(node, "Allocate", wants([id_]))).container_responses
        assert {each.permissions for each in given.devices} == {permissions}


@ROOT
@pytest.mark.parametrize("identity", ["simulated", "intel-gpu-sriov"])
async def test_the_second_function_of_a_device_may_be_refused(make: Any, identity: str) -> None:
    node = await make(identity=identities()[identity], count=4, faults=(DriverFault.VIRTUAL_SECOND_REFUSED,))
    functions = virtual(node.config)
    whole = next(each for each in devices_of(node.config) if not each.virtual)
    assert (await prepared(node, "first", functions[0].name))[1] == ""
    assert "second-virtual-device-refused is on" in (await prepared(node, "second", functions[1].name))[1]
    assert (await prepared(node, "whole", whole.name))[1] == ""
    # Of another physical device, too, the first one can be had.
    for device in functions[2:]:
        refused = device.words["part"] != 0
        assert ("second-virtual" in (await prepared(node, f"of-{device.name}", device.name))[1]) is refused


@ROOT
async def test_a_holder_of_a_virtual_device_may_get_all_of_them_and_one_of_a_physical_device_never(make: Any) -> None:
    node = await make(count=2, faults=(DriverFault.VIRTUAL_LEAK,))
    every = {each.container_path for each in virtual(node.config)}
    assert len(every) == 2
    given, _ = await prepared(node, "one", "accel-2-vf-0")
    assert given[0].endswith("vf0")
    assert {*given} == every
    assert await prepared(node, "whole", "accel-0") == (["/dev/aiconform-accel0"], "")


@ROOT
async def test_a_device_plugin_may_leak_virtual_devices(make: Any) -> None:
    node = await make(
        identity=identities()["nvidia-vgpu"], offer="device-plugin", count=2, faults=(DriverFault.VIRTUAL_LEAK,)
    )
    first, _ = plugged(node.config)["nvidia.com/gpu"]
    (given,) = paths(await plugin(node, "Allocate", wants([first])))
    assert {"/dev/nvidia0", "/dev/nvidia1"} < {*given}
    assert len(given) == len({*given})


# Whether they can be had again, and how often


@ROOT
async def test_a_virtual_device_may_stay_held_as_long_as_another_is(make: Any) -> None:
    node = await make(count=2, faults=(DriverFault.VIRTUAL_KEPT,))
    for name, device in (("first", "accel-2-vf-0"), ("second", "accel-2-vf-1"), ("whole", "accel-0")):
        await prepared(node, name, device)

    async def released(name: str) -> str:
        claim = node.cluster.objects["ResourceClaim", name]
        return (await node.kubelet.dra("NodeUnprepareResources", claim))[claim["metadata"]["uid"]].error

    assert await released("whole") == ""
    assert HELD in await released("first")
    assert HELD in await released("first")
    assert len(node.specs()) == 2
    # When all are to be given back, all are: nothing stays.
    assert await released("second") == ""
    assert await released("first") == ""
    assert not node.specs()
    for name, device in (("first", "accel-2-vf-0"), ("second", "accel-2-vf-1")):
        await prepared(node, name, device)
    assert HELD in await released("first")
    await node.change(faults=())
    assert await released("first") == ""


class Publisher:
    names = ("accel-0", "accel-4-vf-0", "accel-4-vf-1")


class Held:
    def __init__(self, *devices: str) -> None:
        self._devices = list(devices)

    def held(self) -> list[str]:
        return self._devices


def selecting(name: str, value: str) -> str:
    return f'device.driver == "x" && device.attributes["x"]["{name}"] == "{value}"'


@pytest.mark.parametrize(
    ("held", "asked", "given"),
    [
        (["accel-0", "accel-4-vf-0", "accel-4-vf-1"], "uuid of accel-4-vf-1", ["accel-4-vf-1"]),
        (["accel-4-vf-0", "accel-4-vf-1"], selecting("profile", "vf-8g"), ["accel-4-vf-0"]),
        (["accel-4-vf-1"], 'device.attributes["x"]["virtual"] == true', ["accel-4-vf-1"]),
        # Nobody holds it, so it is the scheduler's to give; others ask for nothing virtual.
        (["accel-4-vf-0"], "uuid of accel-4-vf-1", []),
        (["accel-0"], selecting("profile", "vf-8g"), []),
        (["accel-4-vf-0"], selecting("model", "Simulated Accelerator A1"), []),
        (["accel-4-vf-0"], "", []),
    ],
)
def test_who_waits_for_a_virtual_device_may_get_the_one_that_another_holds(
    held: list[str], asked: str, given: list[str]
) -> None:
    made = config("simulated", DriverFault.VIRTUAL_TWICE)
    uuids = {f"uuid of {device.name}": selecting("uuid", device.uuid) for device in virtual(made)}
    asked = uuids.get(asked, asked)
    for faults, expected in (((DriverFault.VIRTUAL_TWICE,), given), ((), [])):
        allocator = RogueAllocator(None, config("simulated", *faults), Publisher, Held(*held))  # type: ignore[arg-type]
        assert list(allocator.devices(1, refused=True, selectors=asked)) == expected
        # What the scheduler may still place is its own.
        assert list(allocator.devices(1, refused=False, selectors=asked)) == []


def test_a_function_of_a_vendor_is_asked_for_by_its_address() -> None:
    made = config("intel-gpu-sriov", DriverFault.VIRTUAL_TWICE)
    first, second, *_ = (device.name for device in virtual(made))
    allocator = RogueAllocator(None, made, Publisher, Held(first, second))  # type: ignore[arg-type]
    assert list(allocator.devices(1, refused=True, selectors=selecting("pciBusID", "0000:17:00.2"))) == [second]
    assert list(allocator.devices(1, refused=True, selectors=selecting("pcieRoot", "pci0000:17"))) == []


@ROOT
async def test_a_waiting_pod_gets_the_virtual_device_of_another(make: Any) -> None:
    node = await make(count=2, faults=(DriverFault.VIRTUAL_TWICE,))
    await prepared(node, "first", "accel-2-vf-0")
    waiting = node.claim("second")
    del waiting["status"]
    exactly = {
        "deviceClassName": node.config.identity.device_class,
        "selectors": [{"cel": {"expression": selecting("uuid", virtual(node.config)[0].uuid)}}],
    }
    waiting["spec"]["devices"]["requests"] = [{"name": "one", "exactly": exactly}]
    node.cluster.put(waiting)
    said = "0/1 nodes are available: 1 cannot allocate all claims."
    status = {"conditions": [{"type": "PodScheduled", "status": "False", "message": said}]}
    spec = {"resourceClaims": [{"name": "device", "resourceClaimName": "second"}]}
    metadata = {"name": "user", "namespace": "default"}
    node.cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})

    def given() -> list[str]:
        found = node.cluster.objects["ResourceClaim", "second"].get("status", {}).get("allocation", {})
        return [each["device"] for each in found.get("devices", {}).get("results", [])]

    await eventually(given)
    assert given() == ["accel-2-vf-0"]
