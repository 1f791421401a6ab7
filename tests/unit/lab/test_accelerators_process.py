"""A node's accelerators towards a kubelet on real sockets and an API server of dictionaries."""

from __future__ import annotations

import asyncio
import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from support.fake_kubelet import NODE
from support.fake_node import PATIENCE, Node, eventually, paths, plugin, wants

from aiconform.lab.accelerators import (
    AcceleratorError,
    DriverFault,
    devices_of,
    identities,
    read_status,
    split,
    unsettled,
)
from aiconform.lab.accelerators import plugin as plugin_module
from aiconform.lab.accelerators.dra import SERVICES
from aiconform.lab.accelerators.kubelet import deviceplugin_v1beta1_pb2 as messages
from aiconform.lab.accelerators.kubelet import deviceplugin_v1beta1_pb2_grpc as services
from aiconform.lab.accelerators.kubelet import pluginregistration_v1_pb2

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="device nodes need root")


# DRA


@pytest.mark.parametrize("version", list(SERVICES))
async def test_a_claim_gets_its_device_and_gives_it_back(make: Any, version: str) -> None:
    node = await make(count=3)
    one = node.claim("one", "accel-1")
    answer = (await node.kubelet.dra("NodePrepareResources", one, version=version))[one["metadata"]["uid"]]
    assert not answer.error
    assert [(d.pool_name, d.device_name, list(d.request_names)) for d in answer.devices] == [(NODE, "accel-1", ["gpu"])]
    assert node.given(answer) == ["/dev/aiconform-accel1"]
    (edits,) = node.specs().values()
    device = devices_of(node.config)[1]
    assert edits["deviceNodes"][0]["hostPath"] == str(device.host_path)
    assert f"SIMULATED_ACCELERATOR_DEVICE_1={device.uuid}" in edits["env"]
    for _ in range(2):
        gone = (await node.kubelet.dra("NodeUnprepareResources", one, version=version))[one["metadata"]["uid"]]
        assert not gone.error
        assert node.specs() == {}


async def test_preparing_again_answers_the_same_also_after_a_restart(make: Any) -> None:
    node = await make()
    one = node.claim("one", "accel-0", "accel-3")
    first = await node.kubelet.dra("NodePrepareResources", one)
    node.cluster.remove("ResourceClaim", "one")
    assert await node.kubelet.dra("NodePrepareResources", one) == first
    await node.parts.stop()
    await node.restarted().apply(node.config)
    assert await node.kubelet.dra("NodePrepareResources", one) == first
    assert node.given(first[one["metadata"]["uid"]]) == ["/dev/aiconform-accel0", "/dev/aiconform-accel3"]


async def test_a_lost_cdi_spec_is_written_again(make: Any) -> None:
    node = await make()
    one = node.claim("one", "accel-0")
    await node.kubelet.dra("NodePrepareResources", one)
    for file in node.config.cdi_dir.iterdir():
        file.unlink()
    again = await node.kubelet.dra("NodePrepareResources", one)
    assert node.given(again[one["metadata"]["uid"]]) == ["/dev/aiconform-accel0"]


async def test_only_this_drivers_devices_on_this_node_are_prepared(make: Any) -> None:
    node = await make()
    one = node.claim("one", "accel-0")
    results = one["status"]["allocation"]["devices"]["results"]
    results += [{**results[0], "driver": "other.example"}, {**results[0], "pool": "elsewhere"}]
    node.cluster.put(one)
    answer = (await node.kubelet.dra("NodePrepareResources", one))[one["metadata"]["uid"]]
    assert [device.device_name for device in answer.devices] == ["accel-0"]


async def test_a_request_with_alternatives_is_named_without_them(make: Any) -> None:
    node = await make()
    one = node.claim("one", "accel-0", request="gpu/large")
    answer = (await node.kubelet.dra("NodePrepareResources", one))[one["metadata"]["uid"]]
    assert list(answer.devices[0].request_names) == ["gpu"]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda c: c["metadata"].update(uid="other"), "has the UID"),
        (lambda c: c["status"].clear(), "not allocated"),
        (lambda c: c["status"]["allocation"]["devices"]["results"][0].update(device="accel-9"), "no device accel-9"),
    ],
)
async def test_a_claim_that_cannot_be_prepared_says_why_and_the_others_are(
    make: Any, spoil: Callable[[Any], Any], expected: str
) -> None:
    node = await make()
    good, bad = node.claim("good", "accel-0"), node.claim("bad", "accel-1")
    stored = copy.deepcopy(bad)
    spoil(stored)
    node.cluster.put(stored)
    answer = await node.kubelet.dra("NodePrepareResources", good, bad)
    assert expected in answer[bad["metadata"]["uid"]].error
    assert "default/bad" in answer[bad["metadata"]["uid"]].error
    assert node.given(answer[good["metadata"]["uid"]]) == ["/dev/aiconform-accel0"]


async def test_an_absent_claim_says_so(make: Any) -> None:
    node = await make()
    answer = await node.kubelet.dra("NodePrepareResources", {"metadata": {"name": "none", "uid": "u"}})
    assert "not found" in answer["u"].error


# Slices


async def test_slices_are_published_and_come_back_when_somebody_deletes_them(make: Any) -> None:
    node = await make(count=5, devices_per_slice=2)
    assert sum(len(s["spec"]["devices"]) for s in node.cluster.of("ResourceSlice")) == 5 + 2
    for slice_ in node.cluster.of("ResourceSlice"):
        node.cluster.remove("ResourceSlice", slice_["metadata"]["name"])
    await eventually(lambda: len(node.cluster.of("ResourceSlice")) == 4)
    assert {s["spec"]["pool"]["resourceSliceCount"] for s in node.cluster.of("ResourceSlice")} == {4}


async def test_a_restart_writes_nothing_and_stopping_leaves_the_slices(make: Any) -> None:
    node = await make()
    before = node.cluster.of("ResourceSlice")
    await node.parts.stop()
    assert node.cluster.of("ResourceSlice") == before
    writes = node.cluster.writes
    await node.restarted().apply(node.config)
    assert node.cluster.writes == writes


async def test_fewer_devices_raise_the_generation(make: Any) -> None:
    node = await make(count=4)
    await node.change(count=2)
    (slice_,) = node.cluster.of("ResourceSlice")
    assert slice_["spec"]["pool"]["generation"] == 2
    names = [device["name"] for device in slice_["spec"]["devices"]]
    assert names == ["accel-0", "accel-1", "accel-2-vf-0", "accel-2-vf-1"]


async def test_the_node_carries_labels_of_the_product(make: Any) -> None:
    node = await make(offer="device-plugin", identity=identities()["nvidia"], count=2)
    (labels,) = (n["metadata"]["labels"] for n in node.cluster.of("Node"))
    assert labels["nvidia.com/gpu.product"] == "Simulated-H100"
    assert labels["nvidia.com/gpu.simulated"] == "true"
    assert labels["nvidia.com/gpu.count"] == "2"


async def test_slices_follow_when_the_api_server_serves_the_group_again(make: Any) -> None:
    node = await make()
    node.cluster.versions = ()
    await node.change(count=2)
    status = read_status(node.config.state_dir)
    assert "is not served" in unsettled(status, node.config)
    assert unsettled(status, node.config, dra_served=False) == "the kubelet has not registered the DRA driver yet"
    node.cluster.versions = ("v1",)
    await eventually(lambda: len(node.cluster.of("ResourceSlice")[0]["spec"]["devices"]) == 2 + 2)


# Device plugin


def test_services_have_the_names_that_the_kubelet_calls() -> None:
    modules = (messages, pluginregistration_v1_pb2, *(messages for messages, _ in SERVICES.values()))
    found = {each.full_name for module in modules for each in module.DESCRIPTOR.services_by_name.values()}
    assert found == {
        "v1beta1.Registration",
        "v1beta1.DevicePlugin",
        "pluginregistration.Registration",
        "k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin",
        "k8s.io.kubelet.pkg.apis.dra.v1beta1.DRAPlugin",
    }


def count(node: Node, devices: int) -> None:
    """What a kubelet writes into its Node's status."""
    (found,) = node.cluster.of("Node")
    resource = node.config.identity.extended_resource
    node.cluster.put({**found, "status": {"allocatable": {"cpu": "2", resource: str(devices)}}})


def counted(node: Node) -> int:
    """How many the process knows that the kubelet counts."""
    status = read_status(node.config.state_dir) or {}
    found: int = status["allocatable"][node.config.identity.extended_resource]
    return found


async def test_the_plugin_settles_when_the_kubelet_counts_its_devices(make: Any) -> None:
    node = await make(offer="device-plugin", count=3)
    state = node.config.state_dir
    await asyncio.wait_for(node.kubelet.registered.get(), PATIENCE)
    count(node, 2)
    what = "the kubelet counts 2 aiconform.dev/simulated-accelerator, not 3"
    await eventually(lambda: unsettled(read_status(state), node.config) == what)
    count(node, 3)
    await eventually(lambda: unsettled(read_status(state), node.config) == "")


async def test_the_plugin_hands_out_what_is_asked_for(make: Any) -> None:
    node = await make(offer="device-plugin", count=3)
    ids = [device.uuid for device in devices_of(node.config)]
    answer = await plugin(node, "Allocate", wants([ids[2]], [ids[0], ids[1]]))
    assert paths(answer) == [["/dev/aiconform-accel2"], ["/dev/aiconform-accel0", "/dev/aiconform-accel1"]]
    assert answer.container_responses[0].devices[0].host_path == str(devices_of(node.config)[2].host_path)
    assert answer.container_responses[0].envs["SIMULATED_ACCELERATOR_DEVICE_2"] == ids[2]
    with pytest.raises(grpc.aio.AioRpcError, match="no such device: x"):
        await plugin(node, "Allocate", wants(["x"]))


async def test_the_plugin_prefers_low_indexes_and_keeps_what_it_must(make: Any) -> None:
    node = await make(offer="device-plugin", count=4)
    ids = [device.uuid for device in devices_of(node.config)]
    container = messages.ContainerPreferredAllocationRequest(
        available_deviceIDs=ids[::-1], must_include_deviceIDs=[ids[3]], allocation_size=2
    )
    answer = await plugin(
        node, "GetPreferredAllocation", messages.PreferredAllocationRequest(container_requests=[container])
    )
    assert list(answer.container_responses[0].deviceIDs) == [ids[3], ids[0]]


async def test_the_plugin_registers_again_under_another_path_when_the_kubelet_no_longer_listens(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin_module, "REGISTER_SECONDS", 0.2)
    node = await make(offer="device-plugin", count=1)
    first = await asyncio.wait_for(node.kubelet.registered.get(), PATIENCE)
    await asyncio.sleep(1)
    assert node.kubelet.registered.empty(), "it registered again although the kubelet listens"
    await node.kubelet.drop()
    again = await asyncio.wait_for(node.kubelet.registered.get(), PATIENCE)
    assert again.endpoint != first.endpoint
    assert not (node.config.device_plugin_dir / first.endpoint).exists()


async def test_the_plugin_registers_again_after_a_kubelet_restart(make: Any) -> None:
    node = await make(offer="device-plugin", count=1)
    await asyncio.wait_for(node.kubelet.registered.get(), PATIENCE)
    await node.kubelet.restart()
    options = await plugin(node, "GetDevicePluginOptions", messages.Empty())
    assert options.get_preferred_allocation_available


async def test_the_list_of_devices_follows_the_configuration(make: Any) -> None:
    from aiconform.lab.accelerators import sockets

    node = await make(offer="both", count=4)
    registered = await asyncio.wait_for(node.kubelet.registered.get(), PATIENCE)
    async with sockets.channel(node.config.device_plugin_dir / registered.endpoint) as channel:
        stream = services.DevicePluginStub(channel).ListAndWatch(messages.Empty())
        first = await stream.read()
        assert [(d.ID, d.health) for d in first.devices] == [(d.uuid, "Healthy") for d in split(node.config)[1]]
        await node.change(count=6)
        second = await stream.read()
        assert [d.ID for d in second.devices] == [d.uuid for d in split(node.config)[1]]
        stream.cancel()


# Faults


async def test_prepares_all(make: Any) -> None:
    node = await make(offer="both", count=4, faults=[DriverFault.PREPARES_ALL])
    everything = [device.container_path for device in devices_of(node.config)]
    one = node.claim("one", "accel-1")
    answer = (await node.kubelet.dra("NodePrepareResources", one))[one["metadata"]["uid"]]
    assert [device.device_name for device in answer.devices] == ["accel-1"]
    assert node.given(answer) == everything
    assert paths(await plugin(node, "Allocate", wants([split(node.config)[1][0].uuid]))) == [everything]


async def test_prepares_nothing(make: Any) -> None:
    node = await make(offer="both", count=4, faults=[DriverFault.PREPARES_NOTHING])
    one = node.claim("one", "accel-1")
    answer = (await node.kubelet.dra("NodePrepareResources", one))[one["metadata"]["uid"]]
    assert [device.device_name for device in answer.devices] == ["accel-1"]
    assert not answer.error
    assert node.given(answer) == []
    allocated = await plugin(node, "Allocate", wants([split(node.config)[1][0].uuid]))
    assert paths(allocated) == [[]]
    assert dict(allocated.container_responses[0].envs) == {}


async def test_never_prepares_until_it_is_off(make: Any) -> None:
    node = await make(offer="both", count=4, faults=[DriverFault.NEVER_PREPARES])
    one = node.claim("one", "accel-1")
    answer = await node.kubelet.dra("NodePrepareResources", one)
    assert "driver-never-prepares" in answer[one["metadata"]["uid"]].error
    with pytest.raises(grpc.aio.AioRpcError, match="driver-never-prepares"):
        await plugin(node, "Allocate", wants([split(node.config)[1][0].uuid]))
    await node.change(faults=[])
    answer = await node.kubelet.dra("NodePrepareResources", one)
    assert node.given(answer[one["metadata"]["uid"]]) == ["/dev/aiconform-accel1"]


async def test_no_driver_leaves_kubelet_and_api_server_and_comes_back(make: Any) -> None:
    node = await make(offer="both", count=4)
    await asyncio.wait_for(node.kubelet.registered.get(), PATIENCE)
    count(node, 2)
    await eventually(lambda: counted(node) == 2)
    await node.change(faults=[DriverFault.NO_DRIVER])
    assert node.cluster.of("ResourceSlice") == []
    assert list(node.config.registry_dir.iterdir()) == []
    assert [socket.name for socket in node.config.device_plugin_dir.iterdir()] == ["kubelet.sock"]
    count(node, 0)
    await eventually(lambda: unsettled(read_status(node.config.state_dir), node.config) == "")
    await node.change(faults=[])
    (slice_,) = node.cluster.of("ResourceSlice")
    assert slice_["spec"]["pool"]["generation"] > 1
    await asyncio.wait_for(node.kubelet.registered.get(), PATIENCE)


async def test_renumbering_strikes_when_a_device_is_prepared(make: Any) -> None:
    node = await make(faults=[DriverFault.RENUMBERS])
    (before,) = node.cluster.of("ResourceSlice")
    one = node.claim("one", "accel-1")
    await node.kubelet.dra("NodePrepareResources", one)
    (after,) = node.cluster.of("ResourceSlice")
    for old, new in zip(before["spec"]["devices"], after["spec"]["devices"], strict=True):
        assert old["name"] == new["name"]
        assert old["attributes"]["uuid"] != new["attributes"]["uuid"]
    await node.change(faults=[])
    (healed,) = node.cluster.of("ResourceSlice")
    assert healed["spec"]["devices"] == before["spec"]["devices"]
    assert healed["spec"]["pool"]["generation"] == 3


def only_on(node: str) -> dict[str, Any]:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": required}}


@pytest.mark.parametrize(
    ("count", "placed", "allocated"),
    [
        (4, {}, False),
        (7, {}, True),
        (40, only_on(NODE), True),
        (7, only_on("another"), False),
        (7, {"nodeSelector": {"kubernetes.io/hostname": "another"}}, False),
        # The node has more devices, but the scheduler finds none of the kind that the claim selects.
        (2, {"said": "0/1 nodes are available: 1 cannot allocate all claims."}, True),
        (2, {"said": "0/1 nodes are available: 1 Insufficient cpu."}, False),
        # It waits for one that others have.
        (1, {"said": "0/1 nodes are available: 1 cannot allocate all claims."}, False),
    ],
)
async def test_the_rogue_allocator_allocates_only_what_cannot_be_had_on_its_node(
    make: Any, count: int, placed: dict[str, Any], allocated: bool
) -> None:
    node = await make(count=4, faults=[DriverFault.OVERCOMMITS])
    asked = node.claim("greedy")
    exactly = {"deviceClassName": node.config.identity.device_class, "count": count}
    asked["spec"]["devices"]["requests"] = [{"name": "many", "exactly": exactly}]
    del asked["status"]
    node.cluster.put(asked)
    said, placed = placed.get("said", ""), {key: value for key, value in placed.items() if key != "said"}
    spec = {"resourceClaims": [{"name": "device", "resourceClaimName": "greedy"}], **placed}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user", "namespace": "default"}, "spec": spec}
    pod["status"] = {"conditions": [{"type": "PodScheduled", "status": "False", "message": said}]}
    node.cluster.put(pod)

    def results() -> list[dict[str, str]]:
        (found,) = node.cluster.of("ResourceClaim")
        return found.get("status", {}).get("allocation", {}).get("devices", {}).get("results", [])

    if allocated:
        await eventually(results)
        assert len(results()) == min(count, 32)
        names = [f"accel-{index}" for index in range(4)] + ["accel-4-vf-0", "accel-4-vf-1"]
        assert {result["device"] for result in results()} == {*names[:count]}
        assert {result["request"] for result in results()} == {"many"}
    else:
        await asyncio.sleep(0.3)
        assert results() == []


# The process


async def test_status_tells_when_a_configuration_holds(make: Any) -> None:
    node = await make()
    state = node.config.state_dir
    assert unsettled(read_status(state), node.config) == "the kubelet has not registered the DRA driver yet"
    one = node.claim("one", "accel-0")
    await node.kubelet.dra("NodePrepareResources", one)
    status = read_status(state)
    assert unsettled(status, node.config) == ""
    assert status is not None
    assert (status["prepared"], status["devices"]) == (1, [device.name for device in devices_of(node.config)])
    wanted = node.config.model_copy(update={"count": 2})
    assert unsettled(status, wanted) == "the configuration is not taken up yet"
    assert unsettled(None, wanted) == "the accelerators' process has not started"


async def test_a_process_that_has_ended_says_nothing(make: Any) -> None:
    node = await make()
    await node.parts.stop()
    assert read_status(node.config.state_dir) is None
    node.restarted()
    assert unsettled(read_status(node.config.state_dir), node.config) == "the configuration is not taken up yet"


async def test_names_and_paths_cannot_change_while_it_runs(make: Any) -> None:
    node = await make()
    with pytest.raises(AcceleratorError, match="identity can only change with a restart"):
        await node.change(identity=identities()["nvidia"].model_dump())


async def test_a_spoilt_record_is_named(make: Any) -> None:
    node = await make()
    (node.config.state_dir / "prepared.json").write_text("[]")
    with pytest.raises(AcceleratorError, match=r"prepared\.json is not a record"):
        node.restarted()


async def test_a_socket_path_that_is_too_long_is_named(make: Any, folder: Path) -> None:
    with pytest.raises(AcceleratorError, match="longer than the 107 characters"):
        await make(plugins_dir=folder / ("x" * 100))
