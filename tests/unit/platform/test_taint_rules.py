"""Which devices DeviceTaintRules keep claims from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.served import Served, device, node, platform, resource_slice

from aiconform.cluster import Forbidden
from aiconform.platform import AcceleratorOptions, Platform
from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.resource_slices import published
from aiconform.platform.accelerators.taint_rules import tainted
from aiconform.platform.images import Images

OTHERS = AcceleratorOptions(not_accelerators=("dra.net",))
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


class Unlisted(Served):
    """DeviceTaintRules may not be listed. there: whether the API has the kind."""

    def __init__(self, *objects: Object, there: bool) -> None:
        super().__init__(objects)
        self.there = there

    async def resources(self, api_version: str) -> dict[str, Any]:
        return {"DeviceTaintRule": object()} if self.there and api_version == "resource.k8s.io/v1" else {}

    async def list(self, api_version: str, kind: str, *_: object, **__: object) -> AsyncIterator[Object]:  # type: ignore[override]
        if kind == "DeviceTaintRule":
            raise Forbidden("forbidden", verb="list", resource="devicetaintrules")
        async for obj in super().list(api_version, kind):
            yield obj


@pytest.mark.parametrize("there", [True, False])
async def test_taints_that_nobody_may_read_are_told_with_the_way_out(there: bool) -> None:
    gpus = resource_slice("gpu.nvidia.com", device("gpu-0", productName="H100"), device("gpu-1", productName="H100"))
    about = Platform(Unlisted(node(), gpus, there=there), Images())  # type: ignore[arg-type]
    seen = await about.accelerators()
    assert [(entry.free, entry.total) for entry in seen.offered] == [(2, 2)]
    told = await about.untold_taints()
    assert bool(told) is there
    assert seen.passed_over == ((told,) if there else ())
    if there:
        assert "may not list devicetaintrules" in told
        assert "aiconform rbac" in told


@pytest.mark.parametrize("objects", [(node(**{"nvidia.com/gpu": "2"}), resource_slice("dra.net", device("eth1"))), ()])
async def test_where_no_accelerator_is_had_by_dra_their_taints_do_not_matter(objects: tuple[Object, ...]) -> None:
    about = Platform(Unlisted(*objects, there=True), Images(), said=OTHERS)  # type: ignore[arg-type]
    assert (await about.accelerators()).passed_over in ((), ("driver dra.net: its devices are not accelerators",))


async def test_rules_that_can_be_read_are_not_told() -> None:
    known = {"apiVersion": "resource.k8s.io/v1", "kind": "DeviceTaintRule", **rule(driver="gpu.nvidia.com")}
    gpus = resource_slice("gpu.nvidia.com", device("gpu-0", productName="H100"))
    about = platform(node(), gpus, known)
    assert await about.untold_taints() == ""
    assert (await about.accelerators()).offered == ()
