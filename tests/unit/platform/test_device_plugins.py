"""Extended resources of device plugins: what they stand for, how many there are, and on which node to try them."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.served import claim, device, device_class, found, node, platform, pod, resource_slice, result, taint

from aiconform.check import Settings
from aiconform.checks.pod_autoscaling import CHECK
from aiconform.engine.capacity import Capacity
from aiconform.platform import AcceleratorGroup, Accelerators, NodeAccelerators
from aiconform.platform.accelerators.holders import holders

GPU = "nvidia.com/gpu"
DRIVER = "gpu.nvidia.com"


def numbers(seen: Accelerators) -> list[tuple[str, int, int, int]]:
    return [(entry.name, entry.free, entry.total, entry.physical) for entry in seen.offered]


@pytest.mark.parametrize(
    ("labels", "resources", "physical"),
    [
        ({"nvidia.com/gpu.count": "1", "nvidia.com/gpu.replicas": "4"}, {GPU: "4"}, 1),
        ({"nvidia.com/gpu.count": "2"}, {"nvidia.com/gpu.shared": "8"}, 2),
        ({"nvidia.com/gpu.count": "8"}, {GPU: "7"}, 7),
        ({"nvidia.com/gpu.count": "7", "nvidia.com/gpu.product": "A100-SXM4-40GB-MIG-1g.5gb"}, {GPU: "7"}, 0),
        ({"gpu.intel.com/device-id.0380-56c0.count": "2"}, {"gpu.intel.com/i915": "20"}, 2),
        ({}, {"amd.com/cpx_nps4": "64"}, 0),
    ],
)
async def test_shares_are_counted_apart_from_physical_devices(
    labels: dict[str, str], resources: dict[str, str], physical: int
) -> None:
    ((_, _, total, devices),) = numbers(await found(node(labels=labels, **resources)))
    assert total == int(next(iter(resources.values())))
    assert devices == physical


GPUS = "".join(f"GPU-{n},10,32768,100,NVIDIA-Tesla V100,0,true:" for n in range(2))


@pytest.mark.parametrize("listed", [GPUS, '[{"id": "GPU-0", "count": 10}, {"id": "GPU-1", "count": 10}]'])
async def test_a_plugin_that_shares_devices_lists_the_physical_ones(listed: str) -> None:
    one = node(**{GPU: "20"})
    one["metadata"]["annotations"] = {"hami.io/node-nvidia-register": listed, "hami.io/node-handshake": "Reported"}
    assert numbers(await found(one)) == [(GPU, 20, 20, 2)]


@pytest.mark.parametrize(
    ("resource", "annotation"),
    [
        ("amd.com/gpu", "hami.io/node-amd-register"),
        ("huawei.com/Ascend310P", "hami.io/node-register-Ascend310P"),
        ("huawei.com/Ascend910B4", "hami.io/node-register-Ascend910B4"),
        ("cambricon.com/vmlu", "hami.io/node-mlu-register"),
        ("hygon.com/dcunum", "hami.io/node-dcu-register"),
        ("iluvatar.ai/vgpu", "hami.io/node-iluvatar-register"),
        ("iluvatar.ai/MR-V100-vgpu", "hami.io/node-MR-V100-register"),
        ("kunlunxin.com/vxpu", "hami.io/node-register-xpu"),
    ],
)
async def test_shares_of_every_vendor_are_counted_by_the_devices_that_are_registered(
    resource: str, annotation: str
) -> None:
    one = node(**{resource: "20"})
    one["metadata"]["annotations"] = {annotation: GPUS}
    assert numbers(await found(one)) == [(resource, 20, 20, 2)]
    # Those of another vendor say nothing.
    one["metadata"]["annotations"] = {"hami.io/node-nvidia-register": GPUS}
    assert numbers(await found(one)) == [(resource, 20, 20, 0)]


@pytest.mark.parametrize("listed", ["", "{}", "null", "Requesting_2026"])
async def test_a_list_of_devices_that_cannot_be_read_says_nothing(listed: str) -> None:
    one = node(**{GPU: "2"})
    one["metadata"]["annotations"] = {"hami.io/node-nvidia-register": listed}
    assert numbers(await found(one)) == [(GPU, 2, 2, 0)]


async def test_only_partitions_of_gpus_have_names_like_them() -> None:
    modes = {f"amd.com/{compute}px_nps{memory}": "1" for compute, memory in ("s1", "d2", "q4", "c1", "c4", "c8")}
    cards = {"amd.com/xilinx_u55c_gen3x16_xdma_base_3-0": "2", "amd.com/ama_u30": "1", "xilinx.com/fpga_jtag": "1"}
    seen = await found(node(**modes, **cards))
    assert {entry.name for entry in seen.offered} == {*modes}
    assert seen.passed_over == ()


NEURON = {"aws.amazon.com/neuron": "4", "aws.amazon.com/neurondevice": "4", "aws.amazon.com/neuroncore": "8"}


@pytest.mark.parametrize(
    ("held", "free"),
    [({}, 4), ({"aws.amazon.com/neuron": "1"}, 3), ({"aws.amazon.com/neuroncore": "3"}, 2),
     ({"aws.amazon.com/neurondevice": "2", "aws.amazon.com/neuroncore": "4"}, 0)],
)  # fmt: skip
async def test_several_names_of_the_same_hardware_are_one_kind(held: dict[str, str], free: int) -> None:
    seen = await found(node(**NEURON), pod(**held))
    assert numbers(seen) == [("aws.amazon.com/neuron", free, 4, 0)]
    assert "aws.amazon.com/neuroncore on node n1 is another name for its aws.amazon.com/neuron" in seen.passed_over


@pytest.mark.parametrize(("held", "room"), [("0", 1), ("4", 0), ("1", 0)])
async def test_where_only_a_whole_host_can_be_had_there_is_room_for_one_pod(held: str, room: int) -> None:
    (entry,) = (await found(node(**{"google.com/tpu": "4"}), pod(**{"google.com/tpu": held}))).offered
    assert (entry.free, entry.total, entry.unit, entry.physical, entry.room) == (4 - int(held), 4, 4, 4, room)


async def test_a_host_that_lost_a_device_is_not_had_in_part() -> None:
    (entry,) = (await found(node(capacity={"google.com/tpu": "4"}, **{"google.com/tpu": "3"}))).offered
    assert (entry.free, entry.total, entry.unit, entry.room) == (3, 3, 4, 0)
    assert entry.worries == ("1 of 4 google.com/tpu cannot be allocated",)
    (entry,) = (await found(node(capacity={GPU: "4"}, **{GPU: "3"}))).offered
    assert (entry.free, entry.unit, entry.room) == (3, 1, 3)


def both(count: int = 2) -> list[dict[str, object]]:
    devices = [device(f"gpu-{n}", type="gpu", productName="H100", uuid=f"U{n}") for n in range(count)]
    return [resource_slice(DRIVER, *devices), device_class(DRIVER, f"device.driver == '{DRIVER}'")]


async def test_the_same_devices_by_device_plugin_and_by_dra_are_one_set() -> None:
    seen = await found(node(labels={"nvidia.com/gpu.count": "2"}, **{GPU: "2"}), *both())
    assert [(entry.way, entry.total) for entry in seen.offered] == [("dra", 2)]
    assert "nvidia.com/gpu on node n1 is the same hardware as gpu.nvidia.com by DRA: counted once" in seen.passed_over
    assert [(entry.way, entry.total) for entry in seen.by_ways(("device-plugin",))] == [("device-plugin", 2)]
    assert [entry.way for entry in seen.by_ways(("dra", "device-plugin"))] == ["dra"]


async def test_what_one_way_gives_is_not_free_in_the_other() -> None:
    held = claim("c", result(DRIVER, "gpu-0"))
    seen = await found(node(**{GPU: "4"}), *both(4), pod(**{GPU: "1"}), held)
    assert [entry.free for entry in seen.offered] == [2]
    assert [entry.free for entry in seen.others] == [2]


async def test_probes_share_the_ledger_of_hardware_that_has_two_names() -> None:
    seen = await found(node(**{GPU: "2"}), *both())
    ledger = Capacity()
    async with ledger.hold(seen.offered[0], 2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), ledger.hold(seen.others[0], 1):
                pass


async def test_a_node_that_gives_some_devices_each_way_offers_both() -> None:
    seen = await found(node(labels={"nvidia.com/gpu.count": "4"}, **{GPU: "2"}), *both())
    assert {(entry.way, entry.total) for entry in seen.offered} == {("dra", 2), ("device-plugin", 2)}


BOTH = {"dra", "device-plugin"}


@pytest.mark.parametrize(
    ("profile", "resource", "labels", "ways"),
    [
        ("1g.10gb", "mig-1g.10gb", {}, {"dra"}),
        ("1g.10gb", "mig-1g.10gb", {"count": "2"}, {"dra"}),
        ("1g.10gb", "mig-1g.10gb", {"count": "4"}, BOTH),
        ("1g.10gb+me", "mig-1g.10gb.me", {"count": "2"}, {"dra"}),
        ("1g.10gb+me", "mig-1g.10gb.me", {"count": "4"}, BOTH),
        # Two shares of one partition.
        ("1g.10gb", "mig-1g.10gb", {"count": "3", "replicas": "2"}, BOTH),
        # DRA gives none of this kind.
        ("1g.10gb", "mig-3g.40gb", {"count": "2"}, BOTH),
        ("1g.10gb", "mig-3g.40gb", {}, {"dra"}),
    ],
)
async def test_partitions_are_the_same_unless_labels_count_more_of_their_kind(
    profile: str, resource: str, labels: dict[str, str], ways: set[str]
) -> None:
    """gpu.count speaks of whole GPUs, of which both ways may have partitions."""
    parts = [
        device(f"gpu-0-mig-{n}", type="mig", productName="H100", profile=profile, uuid=f"M{n}", parentUUID="U0")
        for n in range(2)
    ]
    dra = [resource_slice(DRIVER, *parts), device_class(DRIVER, f"device.driver == '{DRIVER}'")]
    told = {"nvidia.com/gpu.count": "2"} | {f"nvidia.com/{resource}.{name}": value for name, value in labels.items()}
    seen = await found(node(labels=told, **{f"nvidia.com/{resource}": "2"}), *dra)
    assert {entry.way for entry in seen.offered} == ways


async def test_partitions_of_several_kinds_are_on_one_device() -> None:
    parts = [
        device(f"mig-{n}", type="mig", productName="H100", profile=profile, uuid=f"M{n}", parentUUID="U0")
        for n, profile in enumerate(("1g.10gb", "3g.40gb"))
    ]
    for counted, ways in (("2", BOTH), ("1", {"dra"})):
        there = node(labels={"nvidia.com/gpu.count": counted}, **{GPU: "1"})
        seen = await found(there, resource_slice(DRIVER, *parts), device_class(DRIVER, f"device.driver == '{DRIVER}'"))
        assert {entry.way for entry in seen.offered} == ways


@pytest.mark.parametrize(("divisible", "ways"), [(False, BOTH), (True, {"dra"})])
async def test_partitions_are_none_of_devices_that_stay_whole(divisible: bool, ways: set[str]) -> None:
    counters = {"slices": {"value": "2"}}
    taken = {"consumesCounters": [{"counterSet": "gpu-0", "counters": counters}]} if divisible else {}
    gpu = {**device("gpu-0", type="gpu", productName="H100", uuid="U0"), **taken}
    shared = {"sharedCounters": [{"name": "gpu-0", "counters": counters}]} if divisible else {}
    labels = {"nvidia.com/gpu.count": "2", "nvidia.com/mig-1g.10gb.count": "2"}
    seen = await found(
        node(labels=labels, **{"nvidia.com/mig-1g.10gb": "2"}),
        resource_slice(DRIVER, gpu, **shared),
        device_class(DRIVER, f"device.driver == '{DRIVER}'"),
    )
    assert {entry.way for entry in seen.offered} == ways


async def test_a_class_says_which_resource_stands_for_its_devices() -> None:
    objects = (
        node(**{"example.com/npu": "2"}),
        resource_slice("npu.example.org", device("a"), device("b")),
        device_class("npu", "device.driver == 'npu.example.org'", extendedResourceName="example.com/npu"),
    )
    seen = await found(*objects, accelerators=("example.com/npu", "npu.example.org"))
    assert [(entry.way, entry.total) for entry in seen.offered] == [("dra", 2)]


async def test_a_pod_that_got_its_resource_by_dra_holds_a_claim_and_no_resource() -> None:
    by_dra = {"extendedResourceClaimStatus": {"requestMappings": [{"resourceName": GPU}], "resourceClaimName": "x"}}
    assert numbers(await found(node(**{GPU: "4"}), pod(status=by_dra, **{GPU: "2"})))[0][1] == 4


SICK = [
    node("sick", conditions=[{"type": "GpuNvlinkDown", "status": "True"}], **{GPU: "8"}),
    node("sick", conditions=[{"type": "AcceleratedHardwareReady", "status": "False"}], **{GPU: "8"}),
    node("sick", taints=[taint("example.com/suspect=yes:PreferNoSchedule")], **{GPU: "8"}),
    node("sick", capacity={GPU: "9"}, **{GPU: "8"}),
    node("sick", labels={"nvidia.com/mig.config.state": "rebooting"}, **{GPU: "8"}),
    node("sick", labels={"nvidia.com/gpu-driver-upgrade-state": "upgrade-required"}, **{GPU: "8"}),
    node("sick", labels={"dcm.amd.com/gpu-config-profile-state": "failure"}, **{GPU: "8"}),
]


@pytest.mark.parametrize("sick", SICK)
async def test_the_best_node_is_a_healthy_one_and_not_the_emptiest(sick: dict[str, object]) -> None:
    done = {"nvidia.com/mig.config.state": "success", "nvidia.com/gpu-driver-upgrade-state": "upgrade-done"}
    well = node("well", labels=done, conditions=[{"type": "MemoryPressure", "status": "False"}], **{GPU: "4"})
    seen = await found(sick, well)
    (best,) = seen.one_of_each_kind()
    assert best.node == "well"
    full = await found(sick, well, pod("well", **{GPU: "4"}))
    assert [entry.node for entry in full.one_of_each_kind()] == ["sick"]


def entry(name: str, free: int, product: str = "A") -> NodeAccelerators:
    return NodeAccelerators("device-plugin", name, GPU, product, total=8, free=free)


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("AB")), max_size=8), st.integers(1, 6))
def test_a_place_has_enough_of_one_kind_on_as_few_nodes_as_can_be(nodes: list[tuple[int, str]], wanted: int) -> None:
    offered = tuple(entry(f"n{index}", free, product) for index, (free, product) in enumerate(nodes))
    places = Accelerators(offered, ()).places(wanted)
    for product in "AB":
        free = sorted((each.free for each in offered if each.product == product), reverse=True)
        mine = [place for place in places if place.members[0].product == product]
        assert len(mine) == (sum(free) >= wanted)
        for place in mine:
            assert place.free >= wanted
            assert len(place.members) == next(n for n in range(1, 9) if sum(free[:n]) >= wanted)
            assert all(member.free and member.product == product for member in place.members)


def test_nodes_with_one_each_are_a_place_together() -> None:
    (place,) = Accelerators(tuple(entry(f"n{number}", 1) for number in range(5)), ()).places(3)
    assert isinstance(place, AcceleratorGroup)
    assert [member.node for member in place.members] == ["n0", "n1", "n2"]


async def test_pod_autoscaling_runs_on_nodes_with_one_accelerator_each() -> None:
    (probe,) = CHECK.probes
    assert probe.targets
    about = platform(*(node(f"n{number}", **{GPU: "1"}) for number in range(4)))
    (target,) = await probe.targets(about, Settings())
    assert str(target) == "n0, n1, n2, nvidia.com/gpu by device plugin"


async def test_who_holds_the_hardware_is_named_whatever_it_asked_for() -> None:
    cores = platform(node(**NEURON), pod(**{"aws.amazon.com/neuroncore": "8"}))
    (entry,) = (await cores.accelerators()).offered
    assert await holders(cores, [entry]) == "team/user (8)"
    twice = platform(node(**{GPU: "2"}), *both(), pod(**{GPU: "1"}))
    (entry,) = (await twice.accelerators()).offered
    assert await holders(twice, [entry]) == "team/user (1)"
