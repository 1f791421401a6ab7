"""The shapes of real hardware, acted out towards a kubelet on real sockets: who gets which device nodes."""

from __future__ import annotations

import json
import os
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import grpc
import pytest
from support.fake_kubelet import configuration
from support.fake_node import Node, eventually, paths, plugin, wants

from aiconform.lab.accelerators import (
    AcceleratorError,
    NodeRole,
    cluster_objects,
    devices_of,
    identities,
    read_status,
    unsettled,
)
from aiconform.lab.accelerators.devices import by_resource, nodes_of, roles
from aiconform.lab.accelerators.exporters import exporters
from aiconform.lab.accelerators.identity import as_json, find_identity
from aiconform.lab.accelerators.slices import describe, plan, shared_counters
from aiconform.lab.accelerators.telemetry import telemetry
from aiconform.lab.addons import accelerator_exporter
from aiconform.lab.addons.model import Site
from aiconform.lab.build.assets import Assets
from aiconform.platform.monitoring.conventions import load_conventions

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="device nodes need root")
FOLDER = Path("/lab")
GPU_NODES = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"]


def ids(node: Node, resource: str) -> list[str]:
    return list(by_resource(node.config.identity, devices_of(node.config))[resource])


# What a holder gets


@ROOT
@pytest.mark.parametrize(
    ("persona", "first", "second"),
    [
        ("nvidia", ["/dev/nvidia0", *GPU_NODES], ["/dev/nvidia1", *GPU_NODES]),
        (
            "nvidia-dra",
            ["/dev/nvidia0", "/dev/nvidia-caps-imex-channels/channel0", *GPU_NODES],
            ["/dev/nvidia1", "/dev/nvidia-caps-imex-channels/channel1", *GPU_NODES],
        ),
        (
            "amd",
            ["/dev/dri/renderD128", "/dev/dri/card0", "/dev/kfd"],
            ["/dev/dri/renderD129", "/dev/dri/card1", "/dev/kfd"],
        ),
        (
            "gaudi",
            ["/dev/accel/accel0", "/dev/accel/accel_controlD0", "/dev/infiniband/uverbs0"],
            ["/dev/accel/accel1", "/dev/accel/accel_controlD1", "/dev/infiniband/uverbs0"],
        ),
        ("intel-gpu", ["/dev/dri/renderD128", "/dev/dri/card0"], ["/dev/dri/renderD129", "/dev/dri/card1"]),
        (
            "ascend",
            ["/dev/davinci0", "/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc"],
            ["/dev/davinci1", "/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc"],
        ),
    ],
)
async def test_a_whole_device_comes_with_its_companions_and_what_all_share(
    make: Any, persona: str, first: list[str], second: list[str]
) -> None:
    plugged = await make(offer="device-plugin", count=2, identity=identities()[persona])
    one, two = ids(plugged, plugged.config.identity.extended_resource)
    assert paths(await plugin(plugged, "Allocate", wants([one], [two]))) == [first, second]


@ROOT
async def test_both_ways_give_the_same_nodes(make: Any) -> None:
    node = await make(offer="both", count=2, identity=identities()["amd"])
    one = node.claim("one", "gpu-0-128")
    answer = (await node.kubelet.dra("NodePrepareResources", one))[one["metadata"]["uid"]]
    assert node.given(answer) == ["/dev/dri/renderD128", "/dev/dri/card0", "/dev/kfd"]
    given = paths(await plugin(node, "Allocate", wants([ids(node, "amd.com/gpu")[1]])))
    assert given == [["/dev/dri/renderD129", "/dev/dri/card1", "/dev/kfd"]]


@ROOT
async def test_an_instance_of_mig_is_two_capabilities_and_the_device_that_others_see_too(make: Any) -> None:
    node = await make(offer="device-plugin", count=1, identity=identities()["nvidia-mig-mixed"])
    small, large = ids(node, "nvidia.com/mig-1g.10gb"), ids(node, "nvidia.com/mig-3g.40gb")
    assert (len(small), len(large), len(ids(node, "nvidia.com/mig-2g.20gb"))) == (2, 1, 1)
    allocated = await plugin(node, "Allocate", wants([small[0]], [small[1]]), "nvidia.com/mig-1g.10gb")
    allocated = [*paths(allocated), *paths(await plugin(node, "Allocate", wants(large), "nvidia.com/mig-3g.40gb"))]
    shared = ["/dev/nvidia0", *GPU_NODES]
    caps = "/dev/nvidia-caps/nvidia-cap"
    assert allocated == [
        [f"{caps}66", f"{caps}67", *shared],
        [f"{caps}75", f"{caps}76", *shared],
        [f"{caps}12", f"{caps}13", *shared],
    ]


@ROOT
async def test_partitions_of_amd_have_nodes_of_their_own_and_none_of_the_whole(make: Any) -> None:
    node = await make(offer="device-plugin", count=2, identity=identities()["amd-partitioned"])
    every = ids(node, "amd.com/cpx_nps4")
    assert len(every) == 16
    allocated = await plugin(node, "Allocate", wants([every[1]], [every[8]]), "amd.com/cpx_nps4")
    assert paths(allocated) == [
        ["/dev/dri/renderD129", "/dev/dri/card1", "/dev/kfd"],
        ["/dev/dri/renderD136", "/dev/dri/card8", "/dev/kfd"],
    ]


@ROOT
@pytest.mark.parametrize(
    ("persona", "resource"),
    [("nvidia-time-slicing", "nvidia.com/gpu"), ("nvidia-mps", "nvidia.com/gpu.shared")],
)
async def test_shares_of_a_device_are_the_same_node(make: Any, persona: str, resource: str) -> None:
    node = await make(offer="device-plugin", count=2, identity=identities()[persona])
    shares = ids(node, resource)
    assert len(shares) == 8
    allocated = await plugin(node, "Allocate", wants([shares[0]], [shares[3]], shares[3:5]), resource)
    own = [[path for path in given if path not in GPU_NODES] for given in paths(allocated)]
    assert own == [
        ["/dev/nvidia0"],
        ["/dev/nvidia0"],
        ["/dev/nvidia0", "/dev/nvidia1"],
    ]
    (labels,) = (found["metadata"]["labels"] for found in node.cluster.of("Node"))
    assert labels["nvidia.com/gpu.replicas"] == "4"


@ROOT
async def test_resources_of_one_hardware_are_registered_beside_each_other_and_counted(make: Any) -> None:
    node = await make(offer="device-plugin", count=2, identity=identities()["neuron"])
    names = ["aws.amazon.com/neuron", "aws.amazon.com/neurondevice", "aws.amazon.com/neuroncore"]
    await eventually(lambda: set(node.kubelet.endpoints) == set(names))
    assert [len(ids(node, name)) for name in names] == [2, 2, 16]
    cores = ids(node, names[2])
    allocated = await plugin(node, "Allocate", wants([cores[7]], [cores[8]]), names[2])
    assert paths(allocated) == [["/dev/neuron0"], ["/dev/neuron1"]]
    (found,) = node.cluster.of("Node")
    counts = {names[0]: "2", names[1]: "2", names[2]: "15"}
    node.cluster.put({**found, "status": {"allocatable": counts}})
    missing = "the kubelet counts 15 aws.amazon.com/neuroncore, not 16"
    state = node.config.state_dir
    await eventually(lambda: unsettled(read_status(state), node.config) == missing)
    node.cluster.put({**found, "status": {"allocatable": {**counts, names[2]: "16"}}})
    await eventually(lambda: unsettled(read_status(state), node.config) == "")


@ROOT
async def test_a_host_is_given_as_a_whole_or_not_at_all(make: Any) -> None:
    node = await make(offer="device-plugin", count=4, identity=identities()["tpu"])
    chips = ids(node, "google.com/tpu")
    with pytest.raises(grpc.aio.AioRpcError, match="all 4 devices of a node or none, not 1"):
        await plugin(node, "Allocate", wants(chips[:1]))
    (given,) = paths(await plugin(node, "Allocate", wants(chips)))
    assert given == ["/dev/vfio/0", "/dev/vfio/vfio", "/dev/vfio/1", "/dev/vfio/2", "/dev/vfio/3"]


@ROOT
async def test_a_node_with_64_devices_publishes_and_plugs_them_all(make: Any) -> None:
    node = await make(offer="both", count=64, identity=identities()["nvidia"])
    assert sum(len(s["spec"]["devices"]) for s in node.cluster.of("ResourceSlice")) == 32
    await eventually(lambda: node.kubelet.endpoints)
    for each in nodes_of(devices_of(node.config)):
        found = each.host_path.stat()
        assert (os.major(found.st_rdev), os.minor(found.st_rdev)) == (each.major, each.minor)
        os.close(os.open(each.host_path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY))


# What DRA publishes


def published(persona: str, count: int = 1) -> list[dict[str, Any]]:
    config = configuration(FOLDER, count=count, identity=identities()[persona])
    return describe(config, devices_of(config))


def test_devices_that_exclude_each_other_share_the_counters_of_their_device() -> None:
    config = configuration(FOLDER, count=8, identity=identities()["nvidia-dra-dynamic-mig"])
    devices = devices_of(config)
    made = plan([], describe(config, devices), shared_counters(devices), config=config, version="v1", node_uid="u")
    specs = [slice_["spec"] for slice_ in made.create]
    assert all(("devices" in spec) != ("sharedCounters" in spec) for spec in specs)
    assert [len(spec["sharedCounters"]) for spec in specs if "sharedCounters" in spec] == [8]
    assert [len(spec["devices"]) for spec in specs if "devices" in spec] == [64, 16]
    assert {spec["pool"]["resourceSliceCount"] for spec in specs} == {3}
    has = {each["name"]: each["counters"] for spec in specs for each in spec.get("sharedCounters", [])}
    for spec in specs:
        for device in spec.get("devices", []):
            (takes,) = device["consumesCounters"]
            for name, amount in takes["counters"].items():
                assert 0 < int(amount["value"]) <= int(has[takes["counterSet"]][name]["value"])
    whole, *parts = published("nvidia-dra-dynamic-mig")
    assert whole["attributes"]["type"] == {"string": "gpu"}
    assert {part["attributes"]["type"]["string"] for part in parts} == {"mig"}
    assert {part["attributes"]["parentUUID"]["string"] for part in parts} == {whole["attributes"]["uuid"]["string"]}
    (all_of_it,) = whole["consumesCounters"]
    assert all_of_it["counters"] == has["gpu-0-counter-set"]


def test_a_slice_whose_content_becomes_another_kind_loses_the_first() -> None:
    dynamic = configuration(FOLDER, count=1, identity=identities()["nvidia-dra-dynamic-mig"])
    static = configuration(FOLDER, count=1, identity=identities()["nvidia"])
    devices = devices_of(dynamic)
    made = plan(
        [], describe(dynamic, devices), shared_counters(devices), config=dynamic, version="v1", node_uid="u"
    ).create
    existing = [{**slice_, "metadata": {"name": f"s{i}"}} for i, slice_ in enumerate(made)]
    changes = plan(existing, describe(static, devices_of(static)), config=static, version="v1", node_uid="u")
    (changed,) = changes.change
    assert changed[0]["spec"]["sharedCounters"]
    assert changed[1]["spec"]["sharedCounters"] is None
    assert changed[1]["spec"]["devices"]
    assert len(changes.delete) == 1


def test_a_device_that_claims_share_says_how_much_one_gets() -> None:
    (device,) = published("simulated-shared")
    assert device["allowMultipleAllocations"] is True
    assert device["capacity"]["memory"] == {
        "value": "16Gi",
        "requestPolicy": {"default": "4Gi", "validRange": {"min": "4Gi", "step": "4Gi"}},
    }


def test_whole_devices_and_instances_of_one_driver_have_a_class_each() -> None:
    identity = identities()["nvidia-dra-static-mig"]
    kinds = {device["attributes"]["type"]["string"] for device in published("nvidia-dra-static-mig", 2)}
    assert kinds == {"gpu", "mig"}
    classes = {
        each["metadata"]["name"]: each["spec"]["selectors"][0]["cel"]["expression"]
        for each in cluster_objects(identity)
        if each["kind"] == "DeviceClass"
    }
    assert set(classes) == {"gpu.nvidia.com", "mig.nvidia.com"}
    assert classes["mig.nvidia.com"].endswith('.type == "mig"')


def test_two_products_of_one_driver_are_on_one_node() -> None:
    products = [each["attributes"]["productName"]["string"] for each in published("nvidia-two-products", 3)]
    assert products == ["Simulated H100", "Simulated L40S", "Simulated H100"]


def test_a_driver_may_publish_no_uuid() -> None:
    (device,) = published("amd")
    assert device["name"] == "gpu-0-128"
    assert not {"uuid", "index", "minor"} & device["attributes"].keys()


@pytest.mark.parametrize("persona", identities())
def test_what_is_published_keeps_the_limits_of_the_api(persona: str) -> None:
    names = [device["name"] for device in published(persona, 8)]
    assert len(set(names)) == len(names)
    for device in published(persona, 8):
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", device["name"])
        assert len(device["name"]) <= 63
        assert len(device["attributes"]) + len(device["capacity"]) <= 32
        for value in device["attributes"].values():
            assert len(str(value.get("string", ""))) <= 64
        for takes in device.get("consumesCounters", []):
            assert len(takes["counters"]) <= 32


# What the exporter reports


def rows(persona: str, count: int = 2) -> list[str]:
    content: Any = telemetry(configuration(FOLDER, count=count, identity=identities()[persona]))
    return [f"{each['name']}{{{sample['labels']}}}" for each in content["series"] for sample in each["samples"]]


def test_no_row_is_there_twice() -> None:
    for persona in identities():
        assert len(set(rows(persona))) == len(rows(persona)), persona


def test_instances_have_the_uuid_of_their_device_and_a_number() -> None:
    found = [row for row in rows("nvidia-mig-single", 1) if row.startswith("DCGM_FI_PROF_GR_ENGINE_ACTIVE")]
    assert len({re.search(r'UUID="([^"]*)"', row)[1] for row in found}) == 1  # type: ignore[index]
    assert [re.search(r'GPU_I_ID="(\d+)"', row)[1] for row in found] == [str(number) for number in range(7, 14)]  # type: ignore[index]
    assert all('GPU_I_PROFILE="1g.10gb"' in row for row in found)
    assert not [row for row in rows("nvidia-mig-single") if row.startswith("DCGM_FI_DEV_GPU_UTIL")]
    assert not [row for row in rows("nvidia") if "GPU_I_ID" in row]


def test_partitions_of_one_device_share_its_serial_number() -> None:
    used = [row for row in rows("amd-partitioned", 2) if row.startswith("gpu_used_vram")]
    assert len(used) == 16
    assert len({re.search(r'serial_number="([^"]*)"', row)[1] for row in used}) == 2  # type: ignore[index]


def test_cores_have_rows_of_their_own() -> None:
    used = [row for row in rows("neuron", 2) if row.startswith("neuroncore_utilization_ratio")]
    assert [re.search(r'neuroncore="(\d+)"', row)[1] for row in used] == [str(core) for core in range(16)]  # type: ignore[index]


@pytest.mark.parametrize("persona", identities())
def test_the_exporter_is_deployed_as_its_vendor_s(persona: str) -> None:
    """Each is known by the name of its Pod, and by no other vendor's."""
    objects = accelerator_exporter.ADD_ON.objects(Site(persona, {}, (), Assets({})))
    (daemon_set,) = (each for each in objects if each["kind"] == "DaemonSet")
    exporter = exporters()[identities()[persona].metrics]
    assert daemon_set["metadata"]["name"] == exporter.name
    namespaces = {each["metadata"]["name"] for each in objects if each["kind"] == "Namespace"}
    assert namespaces <= {daemon_set["metadata"]["namespace"]} - {"kube-system"}
    (container,) = daemon_set["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "metrics", "containerPort": exporter.port}]
    seen = [f"{exporter.name}-x7k2p", container["image"]]
    of = [
        convention.name
        for convention in load_conventions()
        if any(fnmatch(text, pattern) for pattern in convention.exporters for text in seen)
    ]
    assert len(of) <= 1
    assert of


# The data


def test_every_persona_says_where_its_facts_are_from_and_that_it_is_simulated() -> None:
    for name, identity in identities().items():
        assert "Simulated" in identity.product
        if name not in ("simulated", "machine"):
            assert identity.sources, name
            assert all(source.startswith("https://") for source in identity.sources), name
    for name, exporter in exporters().items():
        assert exporter.sources, name


def test_identities_survive_their_json() -> None:
    for identity in identities().values():
        assert find_identity(as_json(identity)) == identity
        assert json.loads(as_json(identity)) is not None


def test_the_personas_have_every_role_of_nodes_between_them() -> None:
    assert roles(identities()["simulated"]) == {NodeRole.MAIN}
    assert roles(identities()["amd"]) == {NodeRole.MAIN, NodeRole.COMPANION, NodeRole.SHARED}
    assert roles(identities()["nvidia-mig-mixed"]) == set(NodeRole)


def test_an_identity_with_a_place_that_cannot_be_filled_in_is_refused() -> None:
    with pytest.raises(AcceleratorError, match=r"\{card\} is no sum of numbers"):
        find_identity('{"nodes": ["/dev/dri/card{card}"]}')
    with pytest.raises(AcceleratorError, match="give one of opentelemetry, dcgm"):
        find_identity('{"metrics": "none"}')


def test_the_earlier_spelling_of_a_device_s_node_still_works() -> None:
    assert find_identity('{"device_prefix": "/dev/mine"}').nodes == ("/dev/mine{parent}",)
