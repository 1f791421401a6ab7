"""virtualized_accelerator on what the lab's nodes publish and give: right when healthy, and each fault is caught.

The lab's own data, and a scheduler and a kubelet of a few lines; tests/lab shows the same on real ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.fake_kubelet import configuration
from support.lab_node import LabNode
from support.shared_devices import FakeScratch, platform

from aiconform.check import NotApplicable, Settings
from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.virtualized_accelerator.observations import Virtual
from aiconform.checks.virtualized_accelerator.options import VirtualizedAccelerator
from aiconform.checks.virtualized_accelerator.places import places
from aiconform.checks.virtualized_accelerator.probes import virtual_devices
from aiconform.lab.accelerators import DriverFault, Offer, identities
from aiconform.lab.accelerators.virtual import VIRTUAL_WAYS, virtual_ways
from aiconform.lab.faults.fault import InDriver
from aiconform.lab.faults.virtual import FAULTS

CHECK = load_check("virtualized_accelerator")
PERSONAS = [name for name in identities() if name != "machine"]
OF_DRIVERS = [fault for fault in FAULTS if isinstance(fault.how, InDriver)]


def cases() -> list[tuple[str, str]]:
    ways = ("dra", "device-plugin")
    return [(persona, way) for persona in PERSONAS for way in ways if identities()[persona].allocation in ("", way)]


def has_virtual(persona: str, way: str) -> bool:
    return bool(virtual_ways(identities()[persona], Offer(way)))


def faulty() -> list[Any]:
    return [
        pytest.param(persona, way, fault, id=f"{persona}-{way}-{fault.name}")
        for persona, way in cases()
        for fault in OF_DRIVERS
        if virtual_ways(identities()[persona], Offer(way)) & VIRTUAL_WAYS[DriverFault(fault.name)]
    ]


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Pods do here, they do at once."""
    monkeypatch.setattr("aiconform.kit.starting.LATE_SECONDS", 0.1)


def node(tmp_path: Path, persona: str, way: str, *faults: DriverFault) -> LabNode:
    known = identities()[persona]
    return LabNode(configuration(tmp_path, offer=way, count=2 * len(known.models), identity=known, faults=faults))


async def seen(cluster: LabNode) -> list[Virtual]:
    known = {"observe_seconds": 0.2, "release_seconds": 0.5, "start_seconds": 1.0}
    options = VirtualizedAccelerator.model_construct(**{**VirtualizedAccelerator().model_dump(), **known})
    settings = Settings(patience=1.0, options=(options,))
    found = []
    for place in await places(platform(cluster), settings):
        scratch = FakeScratch(cluster)
        found.append(await virtual_devices(platform(cluster), scratch, settings, place))  # type: ignore[arg-type]
        cluster.created, cluster.opened, cluster.held = [], {}, {}
    return found


def outcomes(found: list[Virtual]) -> set[tuple[str, bool | None]]:
    decided = [findings(CHECK, each) for each in found]
    return {(name, finding.holds) for each in decided for name, finding in each.items() if finding.applies}


@pytest.mark.parametrize(("persona", "way"), [each for each in cases() if has_virtual(*each)])
async def test_a_healthy_persona_breaks_nothing(tmp_path: Path, persona: str, way: str) -> None:
    found = await seen(node(tmp_path, persona, way))
    assert found
    assert all(each.simulated for each in found)
    assert {(name, held) for name, held in outcomes(found) if held is not True} == set()
    assert ("pod_opens_virtual_device", True) in outcomes(found)


@pytest.mark.parametrize(("persona", "way"), [each for each in cases() if not has_virtual(*each)])
async def test_a_persona_without_virtual_devices_is_looked_into(tmp_path: Path, persona: str, way: str) -> None:
    with pytest.raises(NotApplicable, match=r"no virtual device.* at attributes virtual, .*label.* shows 0 in /run"):
        await seen(node(tmp_path, persona, way))


@pytest.mark.parametrize(("persona", "way", "fault"), faulty())
async def test_a_fault_breaks_its_assertions_and_no_others(tmp_path: Path, persona: str, way: str, fault: Any) -> None:
    found = outcomes(await seen(node(tmp_path, persona, way, DriverFault(fault.name))))
    assert {name for name, held in found if held is False} == set(fault.broken(CHECK.id))


def test_every_fault_is_tried() -> None:
    assert {fault.name for fault in OF_DRIVERS} == {each.values[2].name for each in faulty()}
