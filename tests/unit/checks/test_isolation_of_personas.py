"""secure_accelerator_access on every persona of the lab: right when healthy, and each leak of its nodes is caught.

Made-up observations of what its holders get; tests/lab/test_personas.py shows the same on real kubelets.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest
from support.fake_kubelet import configuration

from aiconform.check.registry import load_check
from aiconform.checks.secure_accelerator_access.observations import Isolation
from aiconform.kit.container_view import DeviceNode, OpenAttempt, View
from aiconform.lab.accelerators import Device, NodeRole, devices_of, identities
from aiconform.lab.accelerators.devices import nodes_of, roles
from aiconform.lab.faults.accelerators import LEAKS
from aiconform.lab.faults.registry import find, possible

CHECK = load_check("secure_accelerator_access")
PERSONAS = [name for name in identities() if name not in ("simulated", "machine")]


def view(devices: Collection[Device], everywhere: Collection[NodeRole], given: Collection[Device] = ()) -> View:
    """What a container sees that was given these devices, where nodes of these roles leak into every container."""
    shown = {*nodes_of(given), *(node for node in nodes_of(devices) if node.role in everywhere)}
    nodes = [DeviceNode(path=each.container_path, number=f"c:{each.major}:{each.minor}") for each in shown]
    nodes = list({node.path: node for node in nodes}.values())
    return View(nodes=sorted(nodes, key=lambda node: node.path), environment={}, mounts=[])


def seen(persona: str, everywhere: Collection[NodeRole] = ()) -> Isolation:
    identity = identities()[persona]
    every = devices_of(configuration(Path("/lab"), count=2, identity=identity))
    devices = [each for each in every if not each.on_demand]
    shares = identity.shares > 1 or identity.share_of_memory
    whole = devices if identity.whole_host else devices[:1]
    second = None if identity.whole_host else devices[:1] if shares else devices[1:2]
    holder = view(every, everywhere, whole)
    stranger = view(every, everywhere)
    open_to_all = {node.number for node in stranger.nodes}
    numbers = {node.number for node in holder.nodes}
    refused = "Operation not permitted"
    forged = [
        OpenAttempt(device=number, made=True, outcome="opened" if number in open_to_all else refused)
        for number in sorted(numbers)
    ]
    return Isolation(
        node="node-1",
        way="device-plugin",
        served_by="device-plugin",
        name=identity.extended_resource,
        product=identity.product,
        simulated=True,
        holder=holder,
        second=view(every, everywhere, second) if second else None,
        second_waited=second is None,
        sibling=stranger,
        stranger=stranger,
        asker=stranger,
        own=tuple(OpenAttempt(device=node.path, made=True, outcome="opened") for node in holder.nodes),
        forged=tuple(forged),
        control=OpenAttempt(device="c:1:3", made=True, outcome="opened"),
        asked=len(whole),
        total=len(devices),
        shared="labels of the node" if shares else "",
    )


def broken(observation: Isolation) -> set[str]:
    return {entry.id for entry in CHECK.assertions if entry.function(observation).holds is False}


@pytest.mark.parametrize("persona", PERSONAS)
def test_a_healthy_persona_breaks_nothing(persona: str) -> None:
    assert broken(seen(persona)) == set()


@pytest.mark.parametrize(
    ("persona", "fault"),
    [(persona, fault) for persona in PERSONAS for fault in LEAKS if fault in possible(persona)],
)
def test_a_leak_of_some_of_its_nodes_is_caught(persona: str, fault: str) -> None:
    leaked = LEAKS[fault] & roles(identities()[persona])
    assert leaked
    found = broken(seen(persona, leaked))
    assert found & find(fault).broken("secure_accelerator_access"), found
