"""In which ways a platform offers shares of accelerators, and how many, by what drivers and device plugins publish."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aiconform.cluster import Object
from aiconform.platform import AcceleratorOptions, Device, NodeAccelerators
from aiconform.platform.accelerators.counting import Room, holdings
from aiconform.platform.accelerators.devices import Capacity, Consumed
from aiconform.platform.accelerators.plugins import by_device_plugin as offered_by_plugins
from aiconform.platform.accelerators.portions import portion
from aiconform.platform.accelerators.profiles import load_profiles
from aiconform.platform.accelerators.resource_slices import published
from aiconform.platform.accelerators.shares import SharedHardware, by_dra
from aiconform.platform.accelerators.shares_of_plugins import by_device_plugin, only_said
from aiconform.platform.accelerators.sharing import whole_memory
from aiconform.platform.accelerators.ways import Ways

PROFILES = load_profiles()
GIB = 2.0**30
DRIVER = "gpu.nvidia.com"


def entry(product: str = "H100", **fields: Any) -> NodeAccelerators:
    return NodeAccelerators("dra", "n1", DRIVER, product, total=2, free=2, profile="NVIDIA GPU", **fields)


def device(name: str, profile: str = "", **fields: Any) -> Device:
    attributes = {"uuid": name, "productName": "H100", **fields.pop("attributes", {})}
    attributes |= {"type": "mig", "profile": profile} if profile else {"type": "gpu"}
    return Device(DRIVER, "pool", name, fields.pop("node", "n1"), attributes, **fields)


def found(*devices: Device, held: Any = None, most: int = 32) -> list[SharedHardware]:
    return by_dra([entry()], devices, [], PROFILES, held or {}, most)


def free(hardware: SharedHardware, held: Any = None, used: Any = None) -> int:
    return Ways((), (), held or {}, used or {}).free(hardware)


def held(name: str, **consumed: str) -> Any:
    result = {"driver": DRIVER, "pool": "pool", "device": name, "consumedCapacity": consumed}
    return holdings([{"status": {"allocation": {"devices": {"results": [result]}}}}])


# Portions of a device


POLICY = Capacity("memory", 16 * GIB, 4 * GIB, (), 4 * GIB, None, 4 * GIB)


@pytest.mark.parametrize(("capacity", "amounts", "bound"), [
    ((POLICY,), {"memory": 4 * GIB}, 4),
    # Without a word of the driver's, a claim that asks for no memory would get all.
    ((Capacity("memory", 80 * GIB, None),), {"memory": 20 * GIB}, 4),
    ((Capacity("memory", 80 * GIB, None), Capacity("shares", 10, 1)), {"memory": 8 * GIB, "shares": 1}, 10),
    # 256 claims are more than this run starts Pods.
    ((Capacity("cores", 256, 1, (), 1, 256, 1),), {"cores": 32}, 8),
    ((Capacity("cores", 100, 100, (), 0, 100, 1),), {"cores": 13}, 7),
    ((Capacity("memory", 40, 40, (10, 20, 40)),), {"memory": 10}, 4),
    ((Capacity("partitions", 8, 1),), {"partitions": 1}, 8),
    # More is taken by nobody who does not ask for it.
    ((Capacity("partitions", 8, 1), Capacity("bandwidth", 8, 0)), {"partitions": 1}, 8),
    ((), {}, 0),
])  # fmt: skip
def test_a_portion_is_what_the_policy_allows(
    capacity: tuple[Capacity, ...], amounts: dict[str, float], bound: int
) -> None:
    part = portion(device("gpu-0", shareable=True, capacity=capacity), 32)
    assert part is not None
    assert (dict(part.amounts), part.bound) == (amounts, bound)


@pytest.mark.parametrize("capacity", [
    Capacity("partitions", 1, 1),
    Capacity("memory", 40, 40, (40,)),
    Capacity("memory", 40, 40, (), 30, 40, 10),
])  # fmt: skip
def test_a_device_of_which_one_claim_gets_all_is_not_shared(capacity: Capacity) -> None:
    assert portion(device("gpu-0", shareable=True, capacity=(capacity,)), 32) is None
    assert portion(device("gpu-0", capacity=(capacity,)), 32) is None


amounts = st.integers(1, 2**40).map(float)


@st.composite
def capacities(draw: st.DrawFn) -> Capacity:
    value = draw(amounts)
    default = draw(st.none() | st.floats(0, value, allow_subnormal=False).map(math.ceil).map(float))
    shape = draw(st.sampled_from(["plain", "choices", "range"]))
    if shape == "choices" and default:
        return Capacity("c", value, default, tuple(sorted({default, *draw(st.lists(amounts, max_size=4))})))
    if shape == "range" and default is not None:
        least = draw(st.floats(0, default, allow_subnormal=False).map(math.floor).map(float))
        step = draw(st.none() | st.integers(1, 1024).map(float))
        return Capacity("c", value, default, (), least, draw(st.none() | st.just(value)), step)
    return Capacity("c", value, default)


@given(st.lists(capacities(), max_size=3), st.integers(2, 64))
def test_as_many_portions_as_the_bound_fit_and_one_more_does_not(given: list[Capacity], most: int) -> None:
    named = tuple(
        Capacity(f"c{number}", each.value, each.default, each.choices, each.least, each.most, each.step)
        for number, each in enumerate(given)
    )
    shared = device("gpu-0", shareable=True, capacity=named)
    part = portion(shared, most)
    assume(part is not None and part.bound)
    assert part is not None
    assert 2 <= part.bound <= most
    asked, values = dict(part.amounts), {each.name: each.value for each in named}
    thousandths = {name: (round(amount * 1000), round(values[name] * 1000)) for name, amount in asked.items()}
    assert all(part.bound * amount <= value for amount, value in thousandths.values())
    assert any((part.bound + 1) * amount > value for amount, value in thousandths.values())
    for each in named:
        amount = asked.get(each.name)
        if amount is None or each.default is None:
            continue
        if each.choices:
            # One of them may be less than the default.
            assert amount in each.choices
            continue
        if each.step and each.least is not None:
            assert amount == each.default or (amount - each.least) % each.step == 0
        assert amount >= min(each.default, each.least if each.least is not None else each.default)
    consumed = {name: str(int(amount)) for name, amount in asked.items() if amount == int(amount)}
    if len(consumed) == len(asked):
        assert part.free(shared, held("gpu-0", **consumed)) in (part.bound - 1, part.bound)


# By DRA


def test_of_devices_with_portions_the_freest_one_is_chosen_by_an_attribute_of_its_own() -> None:
    devices = [device(f"gpu-{index}", shareable=True, capacity=(POLICY,)) for index in range(3)]
    (hardware,) = found(*devices, held=held("gpu-2", memory="4Gi"))
    (shares,) = hardware.shares
    assert (hardware.way, hardware.physical, hardware.bound) == ("consumable-capacity", 1, 4)
    assert '"gpu-1"' in shares.selector
    assert dict(shares.entry.capacity) == {"memory": 4 * GIB}
    assert free(hardware, held("gpu-1", memory="8Gi")) == 2
    assert free(hardware, held("gpu-1", memory="16Gi")) == 0


def partition(name: str, profile: str, parent: str, amount: float = 1, **fields: Any) -> Device:
    consumes = (Consumed(parent, "slices", amount, 7),) if amount else ()
    return device(name, profile, attributes={"pciBusID": parent}, consumes=consumes, **fields)


def dynamic(parent: str) -> list[Device]:
    whole = partition(f"{parent}-whole", "", parent, 7, memory=80 * GIB)
    small = [partition(f"{parent}-1g-{index}", "1g.10gb", parent, memory=10 * GIB) for index in range(7)]
    large = [partition(f"{parent}-3g-{index}", "3g.40gb", parent, 3, memory=40 * GIB) for index in range(2)]
    return [whole, *small, *large]


def test_the_smallest_partitions_that_fit_one_physical_device_are_the_bound() -> None:
    (hardware,) = found(*dynamic("a"), *dynamic("b"))
    (shares,) = hardware.shares
    assert (hardware.way, hardware.bound, hardware.physical) == ("partitions-by-DRA", 7, 1)
    assert (shares.memory, hardware.whole) == (10 * GIB, 80 * GIB)
    assert {each.attribute("pciBusID") for each in shares.devices} == {"b"}
    assert all(each.attribute("profile") == "1g.10gb" for each in shares.devices)
    # Somebody has a large one of the other device, or the whole of this one.
    assert found(*dynamic("a"), *dynamic("b"), held=held("b-3g-0"))[0].shares[0].devices[0].attribute("pciBusID") == "a"
    assert free(hardware, held("b-3g-0")) == 4
    assert free(hardware, held("b-whole")) == 0
    assert free(hardware, held("b-1g-0")) == 6


def test_partitions_whose_places_overlap_are_not_underestimated() -> None:
    def place(start: int) -> Device:
        consumes = tuple(Consumed("a", f"slice-{start + index}", 1, 1) for index in range(2))
        return device(f"at-{start}", "2g.20gb", attributes={"pciBusID": "a"}, consumes=consumes)

    # The first one stands in the way of two others.
    (hardware,) = found(place(1), place(0), place(2))
    assert (hardware.bound, free(hardware)) == (2, 2)
    assert free(hardware, held("at-1")) == 0
    assert free(hardware, held("at-0")) == 1


takes = st.dictionaries(st.sampled_from("abc"), st.integers(1, 4).map(float), max_size=3)


@given(st.lists(takes, max_size=7), st.sets(st.integers(0, 6), max_size=2))
def test_the_most_that_fit_are_found_whatever_their_order(wanted: list[dict[str, float]], taken: set[int]) -> None:
    devices = [
        device(f"part-{number}", consumes=tuple(Consumed("set", name, amount, 5) for name, amount in each.items()))
        for number, each in enumerate(wanted)
    ]
    used = {each.id: [{}] for number, each in enumerate(devices) if number in taken}
    left = dict.fromkeys("abc", 5.0)
    for each in devices:
        for consumed in each.consumes if each.id in used else ():
            left[consumed.name] -= consumed.amount

    def fits(chosen: tuple[Device, ...]) -> bool:
        asked = [each for one in chosen if one.id not in used for each in one.consumes]
        seen = {each.name for one in devices for each in one.consumes}
        return all(sum(each.amount for each in asked if each.name == name) <= left[name] for name in seen)

    sizes = [size for size in range(len(devices) + 1) if any(map(fits, itertools.combinations(devices, size)))]
    # Where more is held than there is, nothing that consumes any of it fits.
    assume(sizes)
    assert Room(devices, used).most(devices) == max(sizes)
    assert len(Room(devices, used).fitting(devices)) <= max(sizes)


def test_a_search_that_takes_too_long_says_what_each_counter_leaves() -> None:
    many = [partition(f"part-{number}", "1g.10gb", "a", 1 + number % 3) for number in range(60)]
    assert Room(many, {}).most(many) == 7


def test_partitions_of_which_each_kind_is_there_once_are_shared_together() -> None:
    static = [partition("2g", "2g.20gb", "a", 0), partition("3g", "3g.40gb", "a", 0)]
    (hardware,) = found(*static)
    assert sorted(shares.entry.product for shares in hardware.shares) == ["H100 (mig 2g.20gb)", "H100 (mig 3g.40gb)"]
    assert (hardware.bound, hardware.physical) == (2, 1)
    assert found(partition("whole", "", "a"), partition("other", "", "b")) == [], "two devices"


def test_modes_that_exclude_each_other_are_one_hardware() -> None:
    def mode(name: str, parts: float) -> Device:
        capacity = (Capacity("partitions", parts, 1),)
        consumes = (Consumed("mutex", "mode", 1, 1),)
        return device(name, name, shareable=True, capacity=capacity, consumes=consumes)

    modes = found(mode("spx", 1), mode("dpx", 2), mode("cpx", 8))
    assert sorted(each.bound for each in modes) == [2, 8]
    (best,) = Ways(tuple(modes), (), {}, {}).best(32)
    assert best.bound == 8
    assert free(best, held("dpx", partitions="1")) == 0, "the device is in another mode"
    assert free(best, held("cpx", partitions="1")) == 7


def test_what_is_not_well_or_not_for_containers_is_not_shared() -> None:
    assert found(device("gpu-0", shareable=True, capacity=(POLICY,), tainted="x=:NoSchedule")) == []
    vfio = Device(DRIVER, "pool", "gpu-0", "n1", {"type": "vfio"}, shareable=True, capacity=(POLICY,))
    assert found(vfio) == []
    assert found(device("gpu-0", shareable=True, capacity=(POLICY,), node="n2")) == []


def test_slices_tell_policies_and_memory() -> None:
    policy = {"default": "4Gi", "validRange": {"min": "4Gi", "max": "16Gi", "step": "4Gi"}}
    capacity = {
        "acme.example/memory": {"value": "16Gi", "requestPolicy": policy},
        "cores": {"value": "8", "requestPolicy": {"default": "2", "validValues": ["4", "2"]}},
    }
    spec = {
        "driver": DRIVER,
        "nodeName": "n1",
        "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1},
        "devices": [{"name": "a", "capacity": capacity, "allowMultipleAllocations": True}],
    }
    ((read,), _) = published([{"spec": spec}])
    assert read.memory == 16 * GIB
    assert read.capacity == (
        Capacity("acme.example/memory", 16 * GIB, 4 * GIB, (), 4 * GIB, 16 * GIB, 4 * GIB),
        Capacity("cores", 8, 2, (2, 4)),
    )


# By device plugins


def node(labels: dict[str, str] | None = None, capacity: dict[str, str] | None = None, **amounts: str) -> Object:
    resources = amounts or capacity or {}
    return {
        "metadata": {"name": "n1", "labels": labels or {}},
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": resources,
            "capacity": capacity or resources,
        },
    }


def plugins(seen: Object, used: Any = None, **about: Any) -> list[SharedHardware]:
    entries = offered_by_plugins([seen], used or {}).offered
    return [
        *by_device_plugin(entries, {"n1": seen}, PROFILES, **about),
        *only_said([seen], entries, PROFILES),
    ]


SLICED = {
    "nvidia.com/gpu.replicas": "4",
    "nvidia.com/gpu.count": "2",
    "nvidia.com/gpu.sharing-strategy": "time-slicing",
}


def test_replicas_are_bounded_by_what_is_allocatable_and_what_labels_say() -> None:
    (hardware,) = plugins(node(SLICED, {"nvidia.com/gpu": "8"}))
    assert (hardware.way, hardware.bound, hardware.physical) == ("device-plugin-replicas", 8, 2)
    (more,) = plugins(node(SLICED, {"nvidia.com/gpu": "12"}))
    assert more.bound == 8, "more than labels say"
    (fewer,) = plugins(node(SLICED, {"nvidia.com/gpu": "4"}))
    assert fewer.bound == 4, "a device is not well"
    assert free(hardware, used={("n1", "nvidia.com/gpu"): 5}) == 3


def test_time_slices_of_partitions_are_counted_by_partitions() -> None:
    name = "nvidia.com/mig-1g.10gb"
    labels = {f"{name}.replicas": "2", f"{name}.count": "7", "nvidia.com/gpu.count": "1"}
    (hardware,) = plugins(node(labels, {f"{name}.shared": "14"}))
    assert (hardware.way, hardware.bound, hardware.physical) == ("device-plugin-replicas", 14, 0)
    single = {"nvidia.com/gpu.product": "H100-MIG-1g.10gb-SHARED", "nvidia.com/gpu.count": "7"}
    (hardware,) = plugins(node({**single, "nvidia.com/gpu.replicas": "2"}, {"nvidia.com/gpu": "14"}))
    assert (hardware.way, hardware.bound) == ("device-plugin-replicas", 14)
    few = {**labels, f"{name}.count": "2", "nvidia.com/gpu.count": "8"}
    (hardware,) = plugins(node(few, {f"{name}.shared": "4"}))
    assert (hardware.bound, hardware.problem) == (4, "")


@pytest.mark.parametrize(("labels", "resources", "name", "bound"), [
    ({}, {"nvidia.com/gpu.shared": "4"}, "nvidia.com/gpu.shared", 4),
    ({"cloud.google.com/gke-max-shared-clients-per-gpu": "3"}, {"nvidia.com/gpu": "3"}, "nvidia.com/gpu", 3),
    ({"gpu.intel.com/device-id.0380-56c0.count": "2"}, {"gpu.intel.com/i915": "20"}, "gpu.intel.com/i915", 20),
    ({}, {"aws.amazon.com/neuron": "2", "aws.amazon.com/neuroncore": "16"}, "aws.amazon.com/neuroncore", 16),
    ({}, {"cambricon.com/vmlu": "8"}, "cambricon.com/vmlu", 8),
])  # fmt: skip
def test_vendors_names_for_shares(labels: dict[str, str], resources: dict[str, str], name: str, bound: int) -> None:
    (hardware,) = plugins(node(labels, resources))
    assert hardware.way == "device-plugin-replicas"
    assert [(shares.name, shares.bound) for shares in hardware.shares] == [(name, bound)]


@pytest.mark.parametrize(("labels", "resources", "shares"), [
    ({}, {"nvidia.com/mig-1g.10gb": "4", "nvidia.com/mig-3g.40gb": "2"},
     [("nvidia.com/mig-1g.10gb", 4, 10e9), ("nvidia.com/mig-3g.40gb", 2, 40e9)]),
    ({"nvidia.com/mig-1g.5gb.memory": "4864"}, {"nvidia.com/mig-1g.5gb": "7"},
     [("nvidia.com/mig-1g.5gb", 7, 4864 * 2.0**20)]),
    ({"nvidia.com/gpu.product": "H100-MIG-1g.10gb"}, {"nvidia.com/gpu": "7"}, [("nvidia.com/gpu", 7, 10e9)]),
    ({}, {"amd.com/cpx_nps4": "8"}, [("amd.com/cpx_nps4", 8, 0)]),
    ({"amd.com/compute-memory-partition": "CPX_NPS4"}, {"amd.com/gpu": "8"}, [("amd.com/gpu", 8, 0)]),
    ({}, {"huawei.com/Ascend310P-4c": "2"}, [("huawei.com/Ascend310P-4c", 2, 0)]),
    ({"cloud.google.com/gke-gpu-partition-size": "1g.5gb"}, {"nvidia.com/gpu": "7"}, [("nvidia.com/gpu", 7, 5e9)]),
])  # fmt: skip
def test_partitions_that_are_resources(
    labels: dict[str, str], resources: dict[str, str], shares: list[tuple[str, int, float]]
) -> None:
    (hardware,) = plugins(node(labels, resources))
    assert hardware.way == "hardware-partitions"
    assert [(each.name, each.bound, each.memory) for each in hardware.shares] == shares


def test_labels_tell_the_memory_of_the_complete_device() -> None:
    def whole(labels: dict[str, str], resource: str) -> float:
        (hardware,) = plugins(node(labels, {resource: "4"}))
        return hardware.whole

    assert whole({"nvidia.com/gpu.memory": "81920"}, "nvidia.com/mig-1g.10gb") == 80 * GIB
    single = {"nvidia.com/gpu.product": "H100-MIG-1g.10gb", "nvidia.com/gpu.memory": "9856"}
    assert whole(single, "nvidia.com/gpu") == 0, "it is that of a partition"
    assert whole({"amd.com/gpu.vram": "192G"}, "amd.com/cpx_nps4") == 192 * GIB
    assert whole({"amd.com/gpu.vram": "much"}, "amd.com/cpx_nps4") == 0


@pytest.mark.parametrize(("labels", "resources"), [
    ({}, {"nvidia.com/gpu": "8"}),
    ({"nvidia.com/gpu.replicas": "1", "nvidia.com/gpu.sharing-strategy": "none"}, {"nvidia.com/gpu": "8"}),
    ({}, {"nvidia.com/mig-7g.80gb": "8"}),
    ({}, {"nvidia.com/mig-4g.24gb": "2"}),
    ({"cloud.google.com/gke-gpu-partition-size": "7g.40gb"}, {"nvidia.com/gpu": "8"}),
    ({"nvidia.com/gpu.product": "H100-MIG-7g.80gb"}, {"nvidia.com/gpu": "8"}),
    ({"amd.com/compute-memory-partition": "SPX_NPS1"}, {"amd.com/gpu": "8"}),
    ({}, {"google.com/tpu": "4"}),
    ({}, {"huawei.com/Ascend910": "8"}),
    ({}, {"hygon.com/dcunum": "8"}),
])  # fmt: skip
def test_complete_devices_are_no_shares(labels: dict[str, str], resources: dict[str, str]) -> None:
    assert plugins(node(labels, resources)) == []


def test_a_share_that_hami_manages_is_asked_for_with_its_part_of_memory() -> None:
    seen = node({}, {"nvidia.com/gpu": "20"})
    register = "GPU-1,10,32768,100,V100,0,true:GPU-2,10,32768,100,V100,0,true:"
    seen["metadata"]["annotations"] = {"hami.io/node-nvidia-register": register}
    (hardware,) = plugins(seen)
    assert (hardware.bound, hardware.physical) == (20, 2)
    assert hardware.shares[0].besides == (("nvidia.com/gpumem-percentage", "10"),)
    assert plugins(node(SLICED, {"nvidia.com/gpu": "8"}))[0].shares[0].besides == ()


def test_what_only_the_user_knows_is_shared_if_the_user_says_so() -> None:
    known = replace(PROFILES, named=("aliyun.com/gpu-mem",))
    seen = node({}, {"aliyun.com/gpu-mem": "30"})
    entries = offered_by_plugins([seen], {}, AcceleratorOptions(accelerators=("aliyun.com/gpu-mem",))).offered
    assert by_device_plugin(entries, {"n1": seen}, known) == []
    (hardware,) = by_device_plugin(entries, {"n1": seen}, known, perhaps=True)
    assert (hardware.bound, hardware.said) == (30, "so the user says")


def test_what_may_be_shares_counts_if_the_user_says_so() -> None:
    (hardware,) = plugins(node({}, {"hygon.com/dcunum": "8"}), perhaps=True)
    assert hardware.bound == 8


def test_shares_of_which_only_labels_speak() -> None:
    (lost,) = plugins(node({"nvidia.com/mig-1g.10gb.count": "7"}, {"nvidia.com/gpu": "1"}))
    assert (lost.way, lost.bound) == ("hardware-partitions", 0)
    assert "label nvidia.com/mig-1g.10gb.count=7" in lost.problem
    (lost,) = plugins(node(SLICED, {"nvidia.com/gpu": "2"}))
    assert "each of 2 device(s) has 4 shares" in lost.problem
    working = {"nvidia.com/mig-1g.10gb.count": "7", "nvidia.com/mig.config.state": "pending"}
    assert plugins(node(working, {"nvidia.com/gpu": "1"})) == [], "work on the node is not done"
    assert plugins(node(working)) == [], "and the node offers nothing meanwhile"
    failed = {**working, "nvidia.com/mig.config.state": "failed"}
    assert plugins(node(failed)) == []
    sick = node({"nvidia.com/mig-1g.10gb.count": "7"}, {"nvidia.com/gpu": "1", "nvidia.com/mig-1g.10gb": "7"})
    sick["status"]["allocatable"] = {"nvidia.com/gpu": "1", "nvidia.com/mig-1g.10gb": "0"}
    assert plugins(sick) == [], "the plugin says that they are not healthy"
    labels = {"nvidia.com/mig-1g.10gb.count": "7"}
    assert only_said([node(labels, {"nvidia.com/gpu": "1"})], [entry()], PROFILES) == [], "DRA may offer them"


def test_of_several_nodes_one_counts_that_has_free_shares_and_few() -> None:
    def hardware(name: str, bound: int, **about: Any) -> SharedHardware:
        seen = node(SLICED, {"nvidia.com/gpu": str(bound)})
        seen["metadata"]["name"] = name
        seen["metadata"]["labels"] |= about
        (entry_,) = offered_by_plugins([seen], {}).offered
        (made,) = by_device_plugin([entry_], {name: seen}, PROFILES)
        return made

    alike = (hardware("full", 4), hardware("small", 4), hardware("large", 8))
    used = {("full", "nvidia.com/gpu"): 3}
    assert [each.node for each in Ways(alike, (), {}, used).best(32)] == ["small"]
    assert [each.node for each in Ways(alike[::2], (), {}, used).best(4)] == ["large"]


def test_labels_of_a_node_do_not_count_while_others_offer_such_shares() -> None:
    def on(name: str, labels: dict[str, str], **amounts: str) -> list[SharedHardware]:
        seen = node(labels, {f"nvidia.com/{key}": amount for key, amount in amounts.items()})
        seen["metadata"]["name"] = name
        entries = offered_by_plugins([seen], {}).offered
        return [*by_device_plugin(entries, {name: seen}, PROFILES), *only_said([seen], entries, PROFILES)]

    (lost,) = on("n1", {"nvidia.com/mig-1g.10gb.count": "7"}, gpu="1")
    (offered,) = on("n2", {"nvidia.com/mig-1g.10gb.count": "7"}, **{"mig-1g.10gb": "7"})
    (another,) = on("n3", SLICED, gpu="8")
    both = Ways((lost, offered), (), {}, {})
    for every_node in (False, True):
        assert both.best(32, every_node=every_node) == [offered]
    assert both.beside(offered) == [lost]
    alone = Ways((lost, another), (), {}, {})
    assert {each.node for each in alone.best(32)} == {"n1", "n3"}, "nobody offers partitions"
    assert alone.beside(another) == []


@pytest.mark.parametrize(("resource", "labels", "whole"), [
    ("nvidia.com/mig-1g.10gb", {"nvidia.com/gpu.memory": "81920"}, 80 * GIB),
    # Where all partitions are of one kind, it is that of a partition.
    ("nvidia.com/gpu", {"nvidia.com/gpu.memory": "10240"}, 0),
    ("amd.com/cpx_nps4", {"amd.com/gpu.vram": "192G"}, 192 * GIB),
    ("amd.com/gpu", {"beta.amd.com/gpu.vram": "192G"}, 192 * GIB),
    ("amd.com/gpu", {"amd.com/gpu.vram": "plenty"}, 0),
    ("amd.com/gpu", {}, 0),
])  # fmt: skip
def test_labels_may_tell_the_memory_of_the_complete_device(resource: str, labels: dict[str, str], whole: float) -> None:
    assert whole_memory(resource, labels) == whole
