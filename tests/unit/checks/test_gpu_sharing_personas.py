"""gpu_sharing on what the lab's nodes publish and give: right when healthy, and each fault of sharing is caught.

The lab's own data, and a scheduler and a kubelet of a few lines; tests/lab shows the same on real ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.fake_kubelet import configuration
from support.lab_node import LabNode
from support.shared_devices import broken, observed, places_of, undecided

from aiconform.check import NotApplicable, NothingToLookAt
from aiconform.checks.gpu_sharing.observations import Sharing
from aiconform.lab.accelerators import DriverFault, Offer, identities
from aiconform.lab.accelerators.sharing import WAYS, acts, ways
from aiconform.lab.faults.sharing import FAULTS

PERSONAS = [name for name in identities() if name != "machine"]
OFFERS = ("dra", "device-plugin")


def cases() -> list[Any]:
    return [(persona, way) for persona in PERSONAS for way in OFFERS if identities()[persona].allocation in ("", way)]


def shares(persona: str, way: str) -> bool:
    """Whether Pods can share devices of a persona. By DRA they can always use one claim."""
    known = identities()[persona]
    return bool(way == "dra" or known.aliases or ways(known, Offer(way)))


def node(tmp_path: Path, persona: str, way: str, *faults: DriverFault) -> LabNode:
    known = identities()[persona]
    # So many that two of them are divided.
    count = 2 * len(known.models)
    return LabNode(configuration(tmp_path, offer=way, count=count, identity=known, faults=faults))


async def seen(cluster: LabNode) -> list[Sharing]:
    return [await observed(cluster, place) for place in await places_of(cluster)]


@pytest.mark.parametrize(("persona", "way"), [each for each in cases() if shares(*each)])
async def test_a_healthy_persona_breaks_nothing(tmp_path: Path, persona: str, way: str) -> None:
    found = await seen(node(tmp_path, persona, way))
    assert (broken(*found), undecided(*found)) == (set(), set())
    assert all(each.simulated for each in found)
    assert all(each.strategy == "shared-claim" or len(each.shares) == each.bound for each in found)


@pytest.mark.parametrize(("persona", "way"), [each for each in cases() if not shares(*each)])
async def test_a_persona_without_shares_is_told_from_one_that_cannot_have_any(
    tmp_path: Path, persona: str, way: str
) -> None:
    never = persona in ("gaudi", "tpu")
    said = "are given to one Pod each.*https://" if never else "is offered in shares"
    with pytest.raises(NotApplicable if never else NothingToLookAt, match=said):
        await seen(node(tmp_path, persona, way))


def faulty() -> list[Any]:
    return [
        pytest.param(persona, way, fault, id=f"{persona}-{way}-{fault.name}")
        for persona, way in cases()
        for fault in FAULTS
        if acts(
            configuration(Path("/x"), offer=way, identity=identities()[persona], faults=(DriverFault(fault.name),)),
            DriverFault(fault.name),
        )
    ]


@pytest.mark.parametrize(("persona", "way", "fault"), faulty())
async def test_a_fault_breaks_its_assertions_and_no_others(tmp_path: Path, persona: str, way: str, fault: Any) -> None:
    wrong = broken(*await seen(node(tmp_path, persona, way, DriverFault(fault.name))))
    may_break = {name.rpartition("/")[2] for name in fault.may_break}
    assert wrong - may_break == set(fault.broken("gpu_sharing")) - may_break


def test_every_fault_of_sharing_is_tried() -> None:
    assert {fault.name for fault in FAULTS} == {*WAYS} == {each.values[2].name for each in faulty()}
