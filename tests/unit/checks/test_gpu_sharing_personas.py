"""gpu_sharing on what the lab's nodes publish and give: right when healthy, and each fault of sharing is caught.

The lab's own data, and a scheduler and a kubelet of a few lines; tests/lab shows the same on real ones.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from support.fake_kubelet import configuration
from support.shared_devices import FakeCluster, broken, observed, places_of, undecided

from aiconform.check import NotApplicable, NothingToLookAt
from aiconform.checks.gpu_sharing.observations import Sharing
from aiconform.cluster import Object, quantity
from aiconform.lab.accelerators import AcceleratorConfig, Device, DriverFault, Offer, devices_of, identities, split
from aiconform.lab.accelerators.driver import device_folder
from aiconform.lab.accelerators.objects import node_labels
from aiconform.lab.accelerators.prepared import environment
from aiconform.lab.accelerators.sharing import (
    WAYS,
    acts,
    opened_by_claim,
    plugged,
    refusal_of_claim,
    refusal_of_ids,
    ways,
)
from aiconform.lab.accelerators.slices import describe, plan, shared_counters
from aiconform.lab.faults.sharing import FAULTS
from aiconform.platform.accelerators.counting import Room, holdings, left, open_
from aiconform.platform.accelerators.offered import extended_resources
from aiconform.platform.accelerators.resource_slices import published
from aiconform.platform.accelerators.selecting import DeviceClass

PERSONAS = [name for name in identities() if name != "machine"]
OFFERS = ("dra", "device-plugin")


def cases() -> list[Any]:
    return [(persona, way) for persona in PERSONAS for way in OFFERS if identities()[persona].allocation in ("", way)]


def shares(persona: str, way: str) -> bool:
    """Whether Pods can share devices of a persona. By DRA they can always use one claim."""
    known = identities()[persona]
    return bool(way == "dra" or known.aliases or ways(known, Offer(way)))


class LabNode(FakeCluster):
    """A node of the lab: its scheduler allocates what the node publishes, its kubelet asks the lab's own drivers."""

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        by_dra, by_plugin = split(config)
        self.ids = {resource: list(ids) for resource, ids in plugged(config).items()} if by_plugin else {}
        amounts = {resource: str(len(ids)) for resource, ids in self.ids.items()}
        node = {
            "kind": "Node",
            "metadata": {"name": config.node_name, "labels": node_labels(config)},
            "spec": {},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "nodeInfo": {"kernelVersion": "6.8.0", "bootID": "boot-1"},
                "allocatable": amounts,
                "capacity": amounts,
            },
        }
        slices: list[Object] = []
        if by_dra:
            counters = shared_counters(by_dra)
            made = plan([], describe(config, by_dra), counters, config=config, version="v1", node_uid="u").create
            slices = [{**each, "kind": "ResourceSlice"} for each in made]
            for number, each in enumerate(slices):
                each["metadata"]["name"] = f"slice-{number}"
        super().__init__(node, *slices)
        self.published = {each.name: each for each in published(slices)[0]}
        self.by_name = {each.name: each for each in devices_of(config)}
        self.held: dict[str, list[str]] = {}
        self.opened: dict[str, Device] = {}

    def schedule(self, made: Object) -> str:
        name = made["metadata"]["name"]
        self.held.pop(name, None)
        for resource, count in extended_resources(made).items():
            taken = [id_ for pod in self.of("Pod") for id_ in self.held.get(pod["metadata"]["name"], ())]
            free = [id_ for id_ in self.ids[resource] if id_ not in taken]
            if len(free) < count:
                return f"0/1 nodes are available: 1 Insufficient {resource}."
            self.held[name] = free[:count]
        for claim in self.claims_of(made):
            if not claim["status"] and not self.allocate(claim):
                return "0/1 nodes are available: 1 cannot allocate all claims."
        return ""

    def allocate(self, claim: Object) -> bool:
        (asked,) = claim["spec"]["devices"]["requests"]
        exactly = asked["exactly"]
        wanted = DeviceClass({"metadata": {"name": ""}, "spec": exactly})
        held = holdings(self.of("ResourceClaim"))
        alike = [each for each in self.published.values() if wanted.selects(each)]
        amounts = (exactly.get("capacity") or {}).get("requests") or {}
        room = Room(self.published.values(), held)
        fitting = [
            each
            for each in room.fitting(each for each in alike if open_(each, held))
            if all(left(each, held)[key] >= quantity.number(amount) for key, amount in amounts.items())
        ]
        if not fitting and alike and acts(self.config, DriverFault.MORE_SHARES):
            fitting = [*alike]
        if len(fitting) < exactly.get("count", 1):
            return False
        claim["status"] = {
            "allocation": {
                "devices": {
                    "results": [
                        {
                            "request": asked["name"],
                            "driver": each.driver,
                            "pool": each.pool,
                            "device": each.name,
                            **({"consumedCapacity": amounts} if amounts else {}),
                        }
                        for each in fitting[: exactly.get("count", 1)]
                    ]
                }
            }
        }
        return True

    def prepare(self, made: Object) -> str:
        """Why the kubelet starts no containers of a Pod; empty if it does."""
        name = made["metadata"]["name"]
        for resource in extended_resources(made):
            ids = self.held[name]
            if refusal := refusal_of_ids(self.config, resource, {*ids}):
                return refusal
            self.opened[name] = plugged(self.config)[resource][ids[0]]
        for claim in self.claims_of(made):
            (result, *_) = claim["status"]["allocation"]["devices"]["results"]
            device = self.by_name[result["device"]]
            others = [
                each["device"]
                for other in self.of("ResourceClaim")
                if other["status"] and other is not claim
                for each in other["status"]["allocation"]["devices"]["results"]
            ]
            if refusal := refusal_of_claim(self.config, device, others):
                return refusal
            self.opened[name] = opened_by_claim(self.config, device, others)
        return ""

    def shows(self, name: str) -> list[str]:
        device = self.opened[name]
        folder = device_folder(self.config, device)
        assert folder
        told = {f"{folder.container_path}/{each}": text for each, text in folder.contents.items()}
        by = "cdi" if self.config.offer.value == "dra" else "device-plugin"
        given = environment(self.config, [device], by=by)
        own = "\0".join(f"{key}={value}" for key, value in given.items())
        return [
            *(
                f"node {each.container_path} {each.major:x} {each.minor:x} character special file"
                for each in device.nodes
            ),
            f"env {base64.b64encode(own.encode()).decode()}",
            f"mount {folder.container_path}",
            *(f"file {path} {base64.b64encode(text.encode()).decode()}" for path, text in told.items()),
        ]


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
