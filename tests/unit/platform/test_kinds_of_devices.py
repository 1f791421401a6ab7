"""Kinds of DRA devices, the classes and expressions that select them, and how many of each can be had."""

from __future__ import annotations

import re
from typing import Any

import cel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.served import claim, device, device_class, found, node, resource_slice, result, taint

from aiconform.platform import NodeAccelerators
from aiconform.platform.accelerators.devices import Device, Version
from aiconform.platform.accelerators.offered import AcceleratorGroup, Accelerators, told_apart
from aiconform.platform.accelerators.resource_slices import published
from aiconform.platform.accelerators.selecting import DeviceClass, choose, expression, selector_for

DRIVER = "gpu.nvidia.com"
CLASSES = [
    device_class(f"{name}nvidia.com", f"device.driver == '{DRIVER}' && device.attributes['{DRIVER}'].type == '{kind}'")
    for name, kind in (("gpu.", "gpu"), ("mig.", "mig"), ("vfio.gpu.", "vfio"))
]


def gpu(number: int = 0, *, fields: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return device(
        f"gpu-{number}",
        fields=fields,
        type="gpu",
        productName="A100",
        uuid=f"GPU-{number}",
        driverVersion={"version": "580.95.5"},
        **more,
    )


def mig(profile: str, number: int, *slices: int, **more: Any) -> dict[str, Any]:
    """A partition of GPU 0; with `slices` it is one that exists only when it is allocated."""
    fields = {"consumesCounters": [consumed(*slices)]} if slices else None
    name = f"gpu-0-mig-{profile}-{number}"
    return device(name, fields=fields, type="mig", productName="A100", profile=profile, parentUUID="GPU-0", **more)


def consumed(*slices: int) -> dict[str, Any]:
    return {"counterSet": "gpu-0", "counters": {f"slice-{number}": {"value": "1"} for number in slices}}


def counters(number: int) -> dict[str, Any]:
    return {"sharedCounters": [{"name": "gpu-0", "counters": {f"slice-{n}": {"value": "1"} for n in range(number)}}]}


@pytest.mark.parametrize(
    ("driver", "attribute", "products"),
    [
        ("tpu.google.com", "tpuGen", ("v5p", "v6e")),
        ("neuron.aws.com", "instanceType", ("inf2.48xlarge", "trn2.48xlarge")),
        ("npu.furiosa.ai", "arch", ("rngd", "warboy")),
    ],
)
async def test_products_are_kinds_by_the_attribute_that_the_driver_has(
    driver: str, attribute: str, products: tuple[str, str]
) -> None:
    devices = [device(f"d{number}", index={"int": number}, **{attribute: each}) for number, each in enumerate(products)]
    seen = await found(node(), resource_slice(driver, *devices))
    assert [entry.product for entry in seen.offered] == list(products)
    assert len(seen.one_of_each_kind()) == 2
    assert [attribute in entry.selector for entry in seen.offered] == [True, True]


@pytest.mark.parametrize("number", [1, 8])
async def test_devices_of_a_fabric_are_told_together(number: int) -> None:
    fabric = resource_slice(DRIVER, *map(gpu, range(number)))
    del fabric["spec"]["nodeName"]
    fabric["spec"]["allNodes"] = True
    seen = await found(node(), fabric)
    (told,) = seen.passed_over
    assert told.startswith("device gpu-0 of" if number == 1 else "8 devices, such as gpu-0, of")
    assert seen.offered == ()


def shown(entries: tuple[NodeAccelerators, ...]) -> list[tuple[str, int, int]]:
    return [(entry.product, entry.free, entry.total) for entry in entries]


async def test_whole_devices_and_partitions_are_kinds_each_with_its_class() -> None:
    devices = [gpu(), *(mig("1g.10gb", number, uuid=f"MIG-{number}") for number in range(3))]
    seen = (await found(node(), resource_slice(DRIVER, *devices), *CLASSES)).offered
    assert shown(seen) == [("A100", 1, 1), ("A100 (mig 1g.10gb)", 3, 3)]
    assert [entry.device_class for entry in seen] == ["gpu.nvidia.com", "mig.nvidia.com"]
    names = [(str(entry), entry.place) for entry in seen]
    assert names == [
        ("n1, gpu.nvidia.com A100 by DRA", "n1-dra-gpu-nvidia-com-a100"),
        ("n1, gpu.nvidia.com A100 (mig 1g.10gb) by DRA", "n1-dra-gpu-nvidia-com-a100-mig-1g-10gb"),
    ]
    assert [entry.physical for entry in seen] == [1, 1]
    assert "MIG" not in seen[0].selector
    assert '["type"] == "mig"' in seen[1].selector


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["node-1", "node-2"]),
            st.sampled_from(["dra", "device-plugin"]),
            st.sampled_from(["nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "amd.com/gpu"]),
            st.sampled_from(["A100", "A100 (mig 1g.5gb)", "L40S"]),
        ),
        unique=True,
    )
)
def test_what_nodes_offer_has_names_of_its_own(kinds: list[tuple[str, Any, str, str]]) -> None:
    given_ = [NodeAccelerators(way, node_, name, product, 1, 1) for node_, way, name, product in kinds]
    apart = told_apart(given_)
    assert len({str(each) for each in apart}) == len({each.place for each in apart}) == len(given_)
    assert all(re.fullmatch("[a-z0-9-]*[a-z0-9]", each.place) for each in apart)
    groups = [AcceleratorGroup(tuple(members)) for members in Accelerators(apart, ()).by_kind().values()]
    assert len({str(each) for each in groups}) == len({each.place for each in groups}) == len(groups)


DYNAMIC = [
    gpu(fields={"consumesCounters": [consumed(*range(8))]}),
    *(mig("1g.5gb", start, start) for start in range(7)),
    *(mig("2g.10gb", start, start, start + 1) for start in (0, 2, 4)),
    *(mig("3g.20gb", start, *range(start, start + 4)) for start in (0, 4)),
]


def dynamic(*held: str) -> list[dict[str, Any]]:
    """One GPU with its possible partitions, and claims for some of them."""
    pool = {"pool": {"name": "n1", "generation": 1, "resourceSliceCount": 2}}
    return [
        node(),
        resource_slice(DRIVER, **counters(8), **pool),
        resource_slice(DRIVER, *DYNAMIC, **pool),
        *CLASSES,
        *(claim(name, result(DRIVER, name)) for name in held),
    ]


async def test_a_gpu_is_one_however_many_partitions_are_possible() -> None:
    seen = await found(*dynamic())
    assert shown(seen.offered) == [("A100", 1, 1)]
    assert "12 devices of gpu.nvidia.com on node n1 are other partitions of the same hardware" in str(seen.passed_over)


async def test_when_a_partition_is_taken_the_others_are_what_is_left() -> None:
    (entry,) = (await found(*dynamic("gpu-0-mig-1g.5gb-0"))).offered
    assert (entry.product, entry.free, entry.total, entry.physical) == ("A100 (mig 1g.5gb)", 6, 7, 1)
    assert entry.device_class == "mig.nvidia.com"
    assert {each.name for each in entry.devices} == {f"gpu-0-mig-1g.5gb-{n}" for n in range(1, 7)}


async def test_of_a_gpu_that_is_taken_nothing_is_left() -> None:
    assert {entry.free for entry in (await found(*dynamic("gpu-0"))).offered} == {0}


async def test_a_partition_that_is_tainted_or_not_for_containers_takes_its_part_all_the_same() -> None:
    pool = {"pool": {"name": "n1", "generation": 1, "resourceSliceCount": 2}}
    whole = gpu(fields={"consumesCounters": [consumed(*range(8))]})
    taint = {"key": "gpu.nvidia.com/xid", "effect": "NoSchedule"}
    sick = mig("1g.5gb", 0, 0)
    for other in ({**sick, "taints": [taint]}, {**sick, "attributes": {"type": {"string": "vfio"}}}):
        there = [node(), resource_slice(DRIVER, **counters(8), **pool), resource_slice(DRIVER, whole, other, **pool)]
        assert shown((await found(*there)).offered) == [("A100", 1, 1)]
        held = claim("c", result(DRIVER, other["name"]))
        assert shown((await found(*there, held)).offered) == [("A100", 0, 1)]


@given(st.lists(st.sets(st.integers(0, 7), min_size=1, max_size=4), min_size=1, max_size=12), st.data())
def test_what_is_free_can_be_allocated_together(parts: list[set[int]], data: st.DataObject) -> None:
    """No counter is ever overdrawn, and what a holder has is never free."""
    from aiconform.platform.accelerators.counting import count

    devices = [mig("x", number, *part) for number, part in enumerate(parts)]
    read, _ = published([resource_slice(DRIVER, *devices, **counters(8))])
    taken: set[int] = set()
    held = {}
    for each, part in zip(read, parts, strict=True):
        if taken.isdisjoint(part) and data.draw(st.booleans()):
            held[each.id] = [{}]
            taken |= part
    (kind,) = count(read, held)
    assert len(held) + len(kind.free) <= len(read)
    for each in kind.free:
        part = parts[read.index(each)]
        assert taken.isdisjoint(part)
        taken |= part


def shared(number: int, **capacity: Any) -> dict[str, Any]:
    return gpu(number, fields={"allowMultipleAllocations": True, "capacity": capacity})


SHARES = {"memory": {"value": "80Gi"}, "shares": {"value": "10", "requestPolicy": {"default": "1"}}}


async def test_a_device_that_several_can_hold_is_free_while_capacity_is_left() -> None:
    part = {"shares": "1", "memory": "20Gi"}
    held = [claim(f"c{n}", result(DRIVER, f"gpu-{n}", shareID="x", consumedCapacity=part)) for n in range(2)]
    devices = [shared(number, **SHARES) for number in range(2)]
    (entry,) = (await found(node(), resource_slice(DRIVER, *devices), *CLASSES, *held)).offered
    assert (entry.free, entry.total, entry.physical) == (2, 2, 2)
    assert entry.capacity == (("memory", 60.0 * 2**30),)


@pytest.mark.parametrize(
    ("consumed_capacity", "free"),
    [({"shares": "10", "memory": "1Gi"}, 0), ({"shares": "1", "memory": "80Gi"}, 0), ({"shares": "9"}, 1)],
)
async def test_a_device_without_capacity_is_taken(consumed_capacity: dict[str, str], free: int) -> None:
    held = claim("c", result(DRIVER, "gpu-0", consumedCapacity=consumed_capacity))
    (entry,) = (await found(node(), resource_slice(DRIVER, shared(0, **SHARES)), *CLASSES, held)).offered
    assert entry.free == free


async def test_access_for_administration_takes_nothing() -> None:
    held = claim("monitor", result(DRIVER, "gpu-0", adminAccess=True))
    (entry,) = (await found(node(), resource_slice(DRIVER, gpu()), held)).offered
    assert entry.free == 1


async def test_lists_and_versions_are_not_used_for_selecting() -> None:
    devices = [
        device(
            f"gpu-{n}", numaNode={"ints": [n]}, revision={"version": f"1.0.{n}"}, driverVersion="7", index=n, ok=True
        )
        for n in range(2)
    ]
    (entry,) = (await found(node(), resource_slice(DRIVER, *devices))).offered
    assert "numaNode" not in entry.devices[0].attributes
    assert isinstance(entry.devices[0].attributes["revision"], Version)
    text, wanted = selector_for(entry.devices[:1], entry.devices)
    assert wanted == {"index": 0, "driverVersion": "7"}
    assert '["index"] == 0' in text
    assert '["driverVersion"] == "7"' in text


VALUES = st.one_of(st.booleans(), st.integers(-(2**40), 2**40), st.text(st.characters(codec="ascii"), max_size=8))
NAMES = st.sampled_from(["a", "in", "namespace", "other.com/b"])


@given(st.dictionaries(NAMES, VALUES), st.sets(NAMES), st.dictionaries(NAMES, VALUES))
def test_an_expression_decides_without_error_for_every_device(
    wanted: dict[str, Any], lacked: set[str], has: dict[str, Any]
) -> None:
    attributes: dict[str, dict[str, Any]] = {"d": {}, "other.com": {}}
    for name, value in has.items():
        domain, _, short = name.rpartition("/")
        attributes[domain or "d"][short] = value
    decided = cel.evaluate(expression("d", wanted, lacked), {"device": {"driver": "d", "attributes": attributes}})
    assert decided is (not lacked & has.keys() and all(
        name in has and type(has[name]) is type(value) and has[name] == value for name, value in wanted.items()
    ))  # fmt: skip


async def test_whole_devices_are_selected_beside_parts_that_name_their_product_and_a_profile() -> None:
    whole = [device(f"gpu-{n}", model="A1") for n in range(2)]
    parts = [device(f"gpu-2-vf-{n}", model="A1", profile="vf-8g") for n in range(2)]
    offered = (await found(node(), resource_slice(DRIVER, *whole, *parts))).offered
    assert {each.product: each.total for each in offered} == {"A1": 2, "A1 (vf-8g)": 2}
    for each in offered:
        own = DeviceClass(device_class("own", each.selector))
        others = [one for other in offered if other is not each for one in other.devices]
        assert all(map(own.selects, each.devices))
        assert not any(map(own.selects, others))


def test_a_class_is_chosen_only_if_it_selects_every_device() -> None:
    one, two = (Device("d.com", "p", name, "n", {"size": size}) for name, size in (("a", 1), ("b", 2)))
    small = DeviceClass(device_class("small", 'device.driver == "d.com" && device.attributes["d.com"].size < 2'))
    every = DeviceClass(device_class("d.com", 'device.driver == "d.com"'))
    unreadable = DeviceClass(device_class("a", 'device.driver == "d.com" && device.capacity["d.com"].x.isLessThan(y)'))
    anything = DeviceClass(device_class("b"))
    classes = [anything, unreadable, every, small]
    assert choose(classes, [one], [two]) == "small"
    assert choose(classes, [one, two], []) == "d.com"
    assert choose([anything, unreadable, small], [one, two], []) == ""


async def test_a_gpu_for_virtual_machines_is_not_tried() -> None:
    passed = device("gpu-vfio-0", type="vfio", productName="A100", pciBusID="0000:15:00.0")
    seen = await found(node(), resource_slice(DRIVER, gpu(), passed), *CLASSES)
    assert shown(seen.offered) == [("A100", 1, 1)]
    assert "devices of driver gpu.nvidia.com with type vfio: not for containers" in seen.passed_over


def mode(index: int, compute: str, memory: str, count: int) -> dict[str, Any]:
    """What AMD's driver publishes for a mode that a GPU can be brought into."""
    one = {"value": str(count), "requestPolicy": {"default": "1"}}
    return device(
        f"gpu-{index}-{compute}-{memory}",
        type="amdgpu" if compute == "spx" else "amdgpu-partition",
        computePartition=compute,
        memoryPartition=memory,
        productName="MI300X",
        pciAddr=f"0000:{index}1:00.0",
        fields={
            "allowMultipleAllocations": True,
            "capacity": {"partitions": one},
            "consumesCounters": [{"counterSet": f"gpu-{index}", "counters": {"mode": {"value": "1"}}}],
        },
    )


def modes(*held: dict[str, Any]) -> list[dict[str, Any]]:
    counters = [{"name": f"gpu-{index}", "counters": {"mode": {"value": "1"}}} for index in range(2)]
    devices = [
        mode(index, *each)
        for index in range(2)
        for each in (("spx", "nps1", 1), ("dpx", "nps2", 2), ("cpx", "nps1", 8), ("cpx", "nps4", 8))
    ]
    pool = {"pool": {"name": "n1", "generation": 1, "resourceSliceCount": 2}}
    return [
        node(),
        resource_slice("gpu.amd.com", sharedCounters=counters, **pool),
        resource_slice("gpu.amd.com", *devices, **pool),
        *(claim(f"c{number}", each) for number, each in enumerate(held)),
    ]


def held_share(index: int, name: str) -> dict[str, Any]:
    return result("gpu.amd.com", f"gpu-{index}-{name}", shareID="a", consumedCapacity={"partitions": "1"})


async def test_of_a_gpu_that_can_be_in_several_modes_the_whole_one_counts() -> None:
    assert shown((await found(*modes())).offered) == [("MI300X", 2, 2)]
    assert shown((await found(*modes(held_share(0, "cpx-nps4")))).offered) == [
        ("MI300X (amdgpu-partition cpx nps4)", 2, 2)
    ]


async def test_a_device_in_use_that_others_can_share_consumes_its_counters_once() -> None:
    (entry,) = (await found(*modes(held_share(0, "cpx-nps4"), held_share(1, "cpx-nps4")))).offered
    assert (entry.product, entry.free, entry.physical) == ("MI300X (amdgpu-partition cpx nps4)", 2, 2)
    assert '"memoryPartition" in device.attributes["gpu.amd.com"]' in entry.selector


@pytest.mark.parametrize("driver", ["gpu.nvidia.com", "gpu.amd.com"])
async def test_no_vendors_device_for_virtual_machines_is_tried(driver: str) -> None:
    devices = [device("a", type="gpu", productName="X"), device("b", type="vfio", productName="X")]
    seen = await found(node(), resource_slice(driver, *devices))
    assert shown(seen.offered) == [("X", 1, 1)]
    assert "not for containers" in str(seen.passed_over)


async def test_the_chips_of_a_host_are_devices_although_they_have_one_uuid() -> None:
    chips = [device(f"accel{n}", index=n, tpuGen="v4", uuid="tpu-25541d5c") for n in range(4)]
    (entry,) = (await found(node(), resource_slice("tpu.google.com", *chips))).offered
    assert (entry.free, entry.total, entry.physical, entry.unit, entry.room) == (4, 4, 4, 4, 1)


def chips(number: int, count: int = 0, **fields: Any) -> list[dict[str, Any]]:
    said = {"chipCount": count} if count else {}
    first, *others = (device(f"accel{n}", index=n, tpuGen="v6e", **said) for n in range(number))
    return [{**first, **fields}, *others]


@pytest.mark.parametrize(
    ("published", "held", "numbers", "worry"),
    [
        (chips(4), (), (4, 4, 4, 1), ""),
        (chips(4, 4), (), (4, 4, 4, 1), ""),
        (chips(1), (), (1, 1, 1, 1), ""),
        (chips(4), ("accel0", "accel1", "accel2", "accel3"), (0, 4, 4, 0), ""),
        # None of these gives a whole host, which is all that its driver prepares.
        (chips(4), ("accel2",), (3, 4, 4, 0), ""),
        (chips(4, taints=[taint("broken:NoSchedule")]), (), (3, 3, 4, 0), "device accel0 is tainted"),
        (chips(3, 4), (), (3, 3, 4, 0), "tpu.google.com publishes 3 of 4 devices"),
    ],
)
async def test_the_chips_of_a_host_are_had_together(
    published: list[dict[str, Any]], held: tuple[str, ...], numbers: tuple[int, ...], worry: str
) -> None:
    taken = [claim("holder", *(result("tpu.google.com", name) for name in held))]
    (entry,) = (await found(node(), resource_slice("tpu.google.com", *published), *taken)).offered
    assert (entry.free, entry.total, entry.unit, entry.room) == numbers
    assert entry.worries == ((worry,) if worry else ())


async def test_devices_that_can_be_had_one_by_one_are_one_each_whatever_their_driver_counts() -> None:
    gpus = [device(f"gpu-{n}", productName="A", chipCount=4) for n in range(2)]
    (entry,) = (await found(node(), resource_slice(DRIVER, *gpus))).offered
    assert (entry.unit, entry.room, entry.worries) == (1, 2, ())


async def test_a_device_that_its_driver_calls_unhealthy_is_not_asked_for() -> None:
    devices = [device(f"0000-{n}0-00-0", healthy=n != 1, model="Gaudi2") for n in range(3)]
    seen = await found(node(), resource_slice("gaudi.intel.com", *devices))
    (entry,) = seen.offered
    assert (entry.product, entry.free, entry.total) == ("Gaudi2", 2, 2)
    assert entry.selector.endswith('device.attributes["gaudi.intel.com"]["healthy"] == true')
    assert entry.worries == ("device 0000-10-00-0 is not healthy",)
    assert "device 0000-10-00-0 of pool n1: its driver says that it is not healthy" in seen.passed_over
    every = [device(f"a{n}", healthy=True, model="Gaudi2") for n in range(2)]
    (entry,) = (await found(node(), resource_slice("gaudi.intel.com", *every))).offered
    assert (entry.product, entry.selector) == ("Gaudi2", "")
