"""What virtualized_accelerator asserts of Pods with virtual devices, over shapes of vendors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.virtualized_accelerator.naming import renamed
from aiconform.checks.virtualized_accelerator.observations import Interface, Opened, Release, Second, Virtual
from aiconform.kit.container_view import DeviceNode, OpenAttempt, View
from aiconform.kit.inside import Shown, Size

CHECK = load_check("virtualized_accelerator")
GIB = 2.0**30
CONTROL = View(nodes=[DeviceNode(path="/dev/null", number="c:1:3")], environment={}, mounts=["/"], boot="node")
NO_ROOM = "Unschedulable: 0/1 nodes are available: 1 cannot allocate all claims."
FACTS = {
    "attribute driverVersion": "1.2.3",
    "attribute model": "Flex 170",
    "attribute uuid": "SIM-1",
    "capacity memory": "",
}


def interface(what: str = "virtual device", **fields: Any) -> Interface:
    known: dict[str, Any] = {"node": "n1", "way": "dra", "name": "gpu.intel.com", "asked": "gpu.intel.com Flex 170"}
    return Interface(**{**known, "what": what, "classes": ("gpu.intel.com",), "facts": FACTS, **fields})


def pod(name: str, node: str = "/dev/dri/renderD129", number: str = "c:226:129", **fields: Any) -> Opened:
    own = [DeviceNode(path=node, number=number)]
    view = View(nodes=[*CONTROL.nodes, *own], environment={}, mounts=["/"], boot="node")
    known: dict[str, Any] = {
        "asked": "gpu.intel.com Flex 170",
        "memory": 8 * GIB,
        "view": view,
        "sizes": (Size(source="/sys/memory", bytes=8 * GIB),),
        "own": (OpenAttempt(device=node, made=True, outcome="opened"),),
        "allocated": (f"gpu.intel.com/n1/{name}",),
    }
    return Opened(pod=name, **{**known, **fields})


def not_started(name: str, **fields: Any) -> Opened:
    return Opened(pod=name, asked="gpu.intel.com Flex 170", **fields)


def attempts(outcome: str) -> tuple[OpenAttempt, ...]:
    return (OpenAttempt(device="/dev/dri/renderD129", made=True, outcome=outcome),)


FIRST = pod("virtual")
SECOND = pod("second", "/dev/dri/renderD130", "c:226:130")
WHOLE = pod("physical", "/dev/dri/renderD128", "c:226:128", memory=16 * GIB)


def virtual(**fields: Any) -> Virtual:
    known: dict[str, Any] = {
        "node": "n1",
        "way": "dra",
        "name": "gpu.intel.com",
        "product": "Flex 170",
        "simulated": False,
        "said": "attribute type=vf",
        "total": 2,
        "parent": "0000:17:00",
        "whole": 16 * GIB,
        "interface": interface(),
        "other": interface("complete device"),
        "common_class": "gpu.intel.com",
        "first": FIRST,
        "second": SECOND,
        "beside": WHOLE,
        "control": CONTROL,
        "boot": "node",
        "excess": Second(asked="gpu.intel.com Flex 170", window=10.0, waits=NO_ROOM),
        "released": Release(seconds=60.0, placed=True, running=True),
    }
    return Virtual(**{**known, **fields})


def outcome(assertion: str, **fields: Any) -> bool | None:
    found = findings(CHECK, virtual(**fields))[assertion]
    assert found.reason
    return found.holds if found.applies else None


def applies(assertion: str, **fields: Any) -> bool:
    return findings(CHECK, virtual(**fields))[assertion].applies


def test_virtual_functions_beside_a_whole_device_show_all() -> None:
    assert {name: found.holds for name, found in findings(CHECK, virtual()).items()} == dict.fromkeys(
        [each.id for each in CHECK.assertions], True
    )


def test_vgpus_of_a_machine_have_nothing_to_be_compared_with() -> None:
    guest = virtual(other=None, beside=None, parent="", whole=0.0, common_class="")
    found = findings(CHECK, guest)
    left = {name for name, each in found.items() if not each.applies}
    assert left == {"one_interface_for_both", "names_are_the_same", "only_selector_differs", "two_run_on_one_device"}
    assert "neither a fraction nor a complete" in found["one_interface_for_both"].reason
    assert all(each.holds for name, each in found.items() if name not in left)


@pytest.mark.parametrize(
    ("fields", "right"),
    [
        ({"way": "device-plugin", "name": "nvidia.com/gpu"}, False),
        ({"name": "vgpu.example.com"}, False),
        ({}, True),
    ],
)
def test_both_are_asked_for_by_one_interface(fields: dict[str, Any], right: bool) -> None:
    seen = {"interface": interface(**fields), "common_class": "" if fields else "gpu.intel.com"}
    assert outcome("one_interface_for_both", **seen) is right
    assert outcome("only_selector_differs", **seen) is right


def test_one_class_that_selects_two_drivers_is_one_interface() -> None:
    assert outcome("one_interface_for_both", interface=interface(name="vgpu.example.com")) is True


def test_two_resources_are_one_interface() -> None:
    plugin = {"way": "device-plugin", "classes": ()}
    seen = {
        "interface": interface(**plugin, name="nvidia.com/gpu"),
        "other": interface("fraction", **plugin, name="nvidia.com/mig-1g.10gb"),
        "common_class": "",
    }
    assert outcome("one_interface_for_both", **seen) is True
    assert outcome("only_selector_differs", **seen) is True


@pytest.mark.parametrize(
    ("name", "candidate", "value", "its_value", "same"),
    [
        ("driverVersion", "driver_version", "1.2.3", "1.2.3", True),
        ("driverVersion", "vgpuGuestDriverVersion", "1.2.3", "1.3.0", True),
        ("uuid", "vgpuUUID", "GPU-1", "GPU-2", True),
        ("uuid", "vendor.example/uuid", "GPU-1", "GPU-2", True),
        ("productName", "marketingName", "A100", "A100", True),
        ("uuid", "parentUUID", "GPU-1", "GPU-1", False),
        ("productName", "profile", "A100", "A100", False),
        ("index", "minor", "1", "1", False),
        ("migCapable", "vgpuCapable", "true", "true", False),
        ("model", "family", "Flex 170", "Flex 170", False),
    ],
)
def test_names_that_say_the_same_are_found(name: str, candidate: str, value: str, its_value: str, same: bool) -> None:
    assert bool(renamed({f"attribute {candidate}": its_value}, {f"attribute {name}": value})) is same


def test_a_fact_under_another_name_is_a_difference() -> None:
    facts = {name: value for name, value in FACTS.items() if name != "attribute driverVersion"}
    assert outcome("names_are_the_same", interface=interface(facts={**facts, "attribute driver_version": "1"})) is False
    assert outcome("names_are_the_same", interface=interface(facts=facts)) is True


@given(st.dictionaries(st.text(min_size=1).map("attribute ".__add__), st.text()), st.text(), st.text())
def test_equal_facts_and_what_only_one_has_are_no_difference(facts: dict[str, str], name: str, value: str) -> None:
    assert renamed(facts, facts) == []
    assert renamed({**facts, f"capacity {name}": value}, facts) == []
    assert renamed(facts, {**facts, f"label {name}": value}) == []


def test_labels_and_attributes_are_not_compared() -> None:
    assert not applies("names_are_the_same", interface=interface(way="device-plugin", name="nvidia.com/gpu"))
    assert not applies("names_are_the_same", interface=interface(facts={"attribute a": ""}))


@pytest.mark.parametrize(
    ("first", "right"),
    [
        (not_started("virtual", problem="UnexpectedAdmissionError: Allocate failed"), False),
        (not_started("virtual", late="not within 180 s"), None),
        (
            pod("virtual", own=(OpenAttempt(device="/dev/dri/renderD129", made=True, outcome="sh: not permitted"),)),
            False,
        ),
        (pod("virtual", own=(OpenAttempt(device="/dev/dri/renderD129", made=True, outcome="No such device"),)), False),
        (pod("virtual", own=()), None),
        (pod("virtual", view=CONTROL, own=()), False),
        (FIRST, True),
    ],
)
def test_the_holder_opens_its_virtual_device(first: Opened, right: bool | None) -> None:
    assert outcome("pod_opens_virtual_device", first=first) is right


def test_a_mode_that_stops_who_is_not_root_says_nothing_of_the_device() -> None:
    denied = pod("virtual", own=attempts("Permission denied"))
    assert outcome("pod_opens_virtual_device", first=denied, unprivileged="refused by a policy") is None
    assert outcome("pod_opens_virtual_device", first=denied) is True


@pytest.mark.parametrize(
    ("fields", "right"),
    [
        ({"common_class": "", "interface": interface(classes=("vgpu",))}, False),
        ({"common_class": "", "interface": interface(classes=()), "other": interface("fraction", classes=())}, True),
        ({"beside": not_started("physical", problem="no runtime class")}, False),
        ({"beside": not_started("physical", waits="no device")}, None),
        ({"beside": None, "not_beside": "none is free"}, None),
        ({"first": not_started("virtual", problem="refused")}, None),
    ],
)
def test_one_manifest_serves_both(fields: dict[str, Any], right: bool | None) -> None:
    assert outcome("only_selector_differs", **fields) is right


@pytest.mark.parametrize(
    ("size", "memory", "whole", "right"),
    [
        (8, 8, 16, True),
        (7.6, 8, 16, True),
        (16, 8, 16, False),
        (16, 8, 0, False),
        (16, 0, 16, False),
        (8, 0, 16, True),
        (8, 0, 0, None),
    ],
)
def test_a_virtual_device_has_the_memory_of_its_profile(
    size: float, memory: float, whole: float, right: bool | None
) -> None:
    first = pod("virtual", memory=memory * GIB, sizes=(Size(source="f", bytes=size * GIB),))
    assert outcome("profile_size_is_its_own", first=first, second=None, whole=whole * GIB) is right


def test_memory_that_nothing_shows_is_not_decided() -> None:
    assert outcome("profile_size_is_its_own", first=pod("virtual", sizes=())) is None
    assert outcome("profile_size_is_its_own", first=not_started("virtual", problem="x"), second=None) is None
    both = findings(CHECK, virtual(first=pod("virtual", sizes=())))["profile_size_is_its_own"]
    assert "--set virtualized_accelerator.memory" in both.reason


@pytest.mark.parametrize(
    ("second", "right"),
    [
        (not_started("second", problem="FailedPrepareDynamicResources: busy"), False),
        (not_started("second", late="not within 180 s"), None),
        (not_started("second", waits=NO_ROOM), None),
        (None, None),
        (pod("second", "/dev/dri/renderD130", "c:226:130", parents=(Shown(source="f", value="another"),)), False),
    ],
)
def test_two_virtual_devices_of_one_device_run(second: Opened | None, right: bool | None) -> None:
    first = pod("virtual", parents=(Shown(source="f", value="one"),))
    assert outcome("two_run_on_one_device", first=first, second=second) is right


def test_one_virtual_device_alone_is_not_asked_for_a_second() -> None:
    assert not applies("two_run_on_one_device", total=1, second=None)
    assert not applies("virtual_devices_are_isolated", total=1, second=None)


@pytest.mark.parametrize(
    ("second", "right"),
    [
        (SECOND, True),
        (pod("second"), False),
        (not_started("second", problem="refused"), None),
        (None, None),
    ],
)
def test_holders_see_no_device_of_each_other(second: Opened | None, right: bool | None) -> None:
    assert outcome("virtual_devices_are_isolated", second=second) is right


def test_a_holder_that_also_sees_the_others_device_is_not_isolated() -> None:
    assert SECOND.view is not None
    assert FIRST.view is not None
    leaked = SECOND.view.model_copy(update={"nodes": [*SECOND.view.nodes, *FIRST.view.nodes]})
    assert outcome("virtual_devices_are_isolated", second=SECOND.model_copy(update={"view": leaked})) is False


def test_numbers_under_kernels_of_their_own_say_nothing() -> None:
    assert FIRST.view is not None
    alone = FIRST.view.model_copy(update={"boot": "guest"})
    first, second = (each.model_copy(update={"view": alone}) for each in (FIRST, SECOND))
    assert outcome("virtual_devices_are_isolated", first=first, second=second) is None


@pytest.mark.parametrize(
    ("excess", "right"),
    [
        (Second(not_tried="quota"), None),
        (Second(waits="0/1 nodes are available: 1 Insufficient cpu."), None),
        (Second(became="it runs", allocated=("gpu.intel.com/n1/virtual",)), False),
        (Second(became="it runs", allocated=("gpu.intel.com/n1/another",)), None),
        (Second(became="it runs", others_before=2, others_after=1), None),
        (Second(became="it runs"), False),
        (Second(became="OutOfnvidia.com/gpu: Node didn't have enough resource"), None),
    ],
)
def test_a_held_device_is_given_to_nobody_else(excess: Second, right: bool | None) -> None:
    assert outcome("unshared_device_is_exclusive", excess=excess) is right


@pytest.mark.parametrize(
    ("released", "right"),
    [
        (Release(not_tried="no Pod waited"), None),
        (Release(seconds=60, held="gpu.intel.com/n1/virtual"), False),
        (Release(seconds=60), False),
        (Release(seconds=60, held="job of others", taken=True), None),
        (Release(seconds=60, placed=True, problem="FailedPrepareDynamicResources"), False),
    ],
)
def test_a_device_comes_back_when_its_holder_is_gone(released: Release, right: bool | None) -> None:
    assert outcome("device_is_released", released=released) is right


def test_what_is_shared_on_purpose_is_not_exclusive() -> None:
    shared = {"shared": "label nvidia.com/gpu.sharing-strategy=time-slicing"}
    for name in ("unshared_device_is_exclusive", "device_is_released", "virtual_devices_are_isolated"):
        assert not applies(name, **shared)


def test_a_plugin_that_may_share_devices_decides_nothing_of_who_sees_them() -> None:
    known = virtual()
    assert known.second is not None
    shared = known.second.model_copy(update={"view": known.first.view})
    assertion = "virtual_devices_are_isolated"
    assert outcome(assertion, second=shared) is False
    assert outcome(assertion, second=shared, way="device-plugin", name="nvidia.com/gpu") is False
    assert outcome(assertion, second=shared, way="device-plugin", name="gpu.intel.com/i915") is None
    assert applies(assertion, second=shared, way="device-plugin", name="gpu.intel.com/i915")


def test_labels_of_one_node_compare_nothing() -> None:
    known = virtual()
    assert known.other is not None
    plugin = {"way": "device-plugin", "facts": {"label nvidia.com/gpu.product": "A"}}
    one, other = (each.model_copy(update=plugin) for each in (known.interface, known.other))
    assert not applies("names_are_the_same", interface=one, other=other.model_copy(update={"node": one.node}))
    assert outcome("names_are_the_same", interface=one, other=other.model_copy(update={"node": "n9"})) is True
