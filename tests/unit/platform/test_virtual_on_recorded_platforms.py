"""Which of the recorded platforms (tests/platforms) offer virtual devices: these, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.shared_devices import FakeCluster, platform

from aiconform.platform.accelerators.virtual_offers import virtual_offers
from aiconform.recorded import RecordedPlatform

PLATFORMS = Path(__file__).parents[2] / "platforms"
NAMES = sorted(path.parent.name for path in PLATFORMS.glob("*/expected.yaml"))
# Platform -> (resource or driver, how many, what is compared).
VIRTUAL = {
    "aks-vgpu": ("nvidia.com/gpu", 1, "complete device"),
    "onprem-ascend-vnpu": ("huawei.com/Ascend310P-4c", 2, "complete device"),
    "onprem-intel-sriov": ("gpu.intel.com", 2, "complete device"),
    "onprem-vgpu-dra": ("gpu.nvidia.com", 2, None),
}


@pytest.mark.parametrize("name", NAMES)
async def test_virtual_devices_are_found_where_they_are(name: str) -> None:
    known = await virtual_offers(platform(FakeCluster(*RecordedPlatform.read(PLATFORMS / name).objects)))
    completed = [*map(known.completed, known.found)]
    found = [(each.entry.name, each.total, each.other.what if each.other else None) for each in completed]
    assert found == ([VIRTUAL[name]] if name in VIRTUAL else [])
    assert known.looked.startswith("attributes virtual, ")
    assert ("for virtual machines, and not for Pods" in known.looked) is (name == "openshift-virtualization")
    # What nothing calls virtual is compared with none of its own kind, should it be one.
    unmarked = [*map(known.completed, known.unmarked)]
    assert all(each.other is None or each.other.counted.kind != each.kind for each in unmarked)
