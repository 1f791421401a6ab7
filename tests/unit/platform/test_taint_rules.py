"""Which devices DeviceTaintRules keep claims from."""

from __future__ import annotations

from typing import Any

import pytest

from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.resource_slices import published
from aiconform.platform.accelerators.taint_rules import tainted

Object = dict[str, Any]
CLASS = {
    "metadata": {"name": "whole"},
    "spec": {"selectors": [{"cel": {"expression": "device.attributes['gpu.example.com'].type == 'gpu'"}}]},
}


def devices() -> list[Device]:
    """Two devices on each of two nodes, and one of another driver."""

    def pool(driver: str, name: str, *kinds: str, taints: Any = ()) -> Object:
        listed = [
            {"name": f"d{index}", "attributes": {"type": {"string": kind}}, "taints": list(taints)}
            for index, kind in enumerate(kinds)
        ]
        about = {"name": name, "generation": 1, "resourceSliceCount": 1}
        return {"spec": {"driver": driver, "pool": about, "nodeName": name, "devices": listed}}

    own = [{"key": "own", "effect": "NoSchedule"}]
    return published(
        [
            pool("gpu.example.com", "n1", "gpu", "mig"),
            pool("gpu.example.com", "n2", "gpu", "gpu"),
            pool("npu.example.com", "n1", "npu", taints=own),
        ]
    )[0]


def rule(effect: str = "NoSchedule", **selector: Any) -> Object:
    taint = {"key": "example.com/rma", "value": "yes", "effect": effect}
    return {"metadata": {"name": "broken"}, "spec": {"deviceSelector": selector, "taint": taint}}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, {"gpu.example.com/n1/d0", "gpu.example.com/n1/d1", "gpu.example.com/n2/d0", "gpu.example.com/n2/d1"}),
        ({"driver": "gpu.example.com", "pool": "n2"}, {"gpu.example.com/n2/d0", "gpu.example.com/n2/d1"}),
        ({"driver": "gpu.example.com", "pool": "n1", "device": "d1"}, {"gpu.example.com/n1/d1"}),
        ({"pool": "n3"}, set()),
        # Of versions up to v1.35.
        ({"deviceClassName": "whole", "pool": "n1"}, {"gpu.example.com/n1/d0"}),
        ({"deviceClassName": "missing"}, set()),
        (
            {"selectors": [{"cel": {"expression": "device.attributes['gpu.example.com'].type == 'mig'"}}]},
            {"gpu.example.com/n1/d1"},
        ),
    ],
)
def test_a_rule_taints_what_it_selects(selector: Object, expected: set[str]) -> None:
    found = {"/".join(each.id) for each in tainted(devices(), [rule(**selector)], [CLASS]) if "rma" in each.tainted}
    assert found - {"npu.example.com/n1/d0"} == expected


def test_a_device_says_which_rule_taints_it_and_keeps_its_own_taints() -> None:
    (npu,) = [each for each in tainted(devices(), [rule("NoExecute")], []) if each.driver == "npu.example.com"]
    assert npu.tainted == "own=:NoSchedule, example.com/rma=yes:NoExecute by DeviceTaintRule broken"
    assert npu.trouble == f"tainted {npu.tainted}"


def test_a_rule_without_effect_or_selector_keeps_nobody_away() -> None:
    unselected = rule()
    del unselected["spec"]["deviceSelector"]
    assert tainted(devices(), [rule("None"), unselected], []) == devices()
