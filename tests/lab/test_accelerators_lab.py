"""Simulated accelerators on a real cluster: Pods that hold one, restarts, running Pods under a fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import support.lab
from support.accelerator_pods import MAJORS, NOTHING, STAY, Pods, container, devices, sound

from aiconform.cluster import Cluster, connect
from aiconform.lab import Lab, load
from aiconform.lab.accelerators import identities
from aiconform.lab.faults.switch import turn

BY_DRA, BY_PLUGIN = "node-1", "node-2"
IDENTITY = identities()["simulated"]


@pytest.fixture
def real(lab: support.lab.Lab) -> Lab:
    """The lab whose first node offers its accelerators through DRA, and whose second through a device plugin."""
    found = load(lab.name)
    assert found
    return found


@pytest.fixture
async def cluster(real: Lab) -> AsyncIterator[Cluster]:
    async with connect(str(real.kubeconfig)) as connected:
        yield connected


@pytest.fixture
async def pods(cluster: Cluster) -> AsyncIterator[Pods]:
    made = Pods(cluster, IDENTITY.device_class)
    yield made
    await made.remove_all()


# Pods


async def test_a_claim_gives_its_container_one_device_and_others_nothing(real: Lab, pods: Pods) -> None:
    claim = await pods.claim("one")
    # When its Pod has ended, the claim is not allocated any more.
    allocated = asyncio.create_task(pods.until(claim, lambda seen: seen.get("status", {}).get("allocation")))
    pod = await pods.start(
        "two-containers", BY_DRA, container("holder", claims=[{"name": "device"}]), container("sibling"), claim="one"
    )
    (device,) = sound(await pods.view(pod), real, BY_DRA)
    allocation = (await allocated)["status"]["allocation"]
    assert [result["device"] for result in allocation["devices"]["results"]] == [device.name]
    assert device.major in MAJORS
    assert await pods.view(pod, "sibling") == NOTHING
    assert await pods.look("stranger", BY_DRA) == NOTHING


async def test_the_extended_resource_gives_a_device_too(real: Lab, pods: Pods) -> None:
    sound(await pods.look("one", BY_PLUGIN, resource=IDENTITY.extended_resource), real, BY_PLUGIN)
    assert await pods.look("stranger", BY_PLUGIN) == NOTHING


async def test_a_selector_is_kept(real: Lab, pods: Pods) -> None:
    selector = f'device.attributes["{IDENTITY.driver}"].index == 2 && device.attributes["{IDENTITY.driver}"].simulated'
    await pods.claim("third", selector=selector)
    (device,) = sound(await pods.look("third", BY_DRA, claim="third"), real, BY_DRA)
    assert device.index == 2


async def test_a_claim_may_hold_several(real: Lab, pods: Pods) -> None:
    await pods.claim("all", count=4)
    sound(await pods.look("all", BY_DRA, claim="all"), real, BY_DRA, count=4)


# Restarts


async def test_a_held_device_survives_restarts_of_kubelet_and_driver(real: Lab, cluster: Cluster, pods: Pods) -> None:
    claim = await pods.claim("held", count=3)
    holder = await pods.start("holder", BY_DRA, container("holder", STAY, claims=[{"name": "device"}]), claim="held")
    plugged = await pods.start(
        "plugged", BY_PLUGIN, container("holder", STAY, limits={IDENTITY.extended_resource: "3"})
    )
    for pod in (holder, plugged):
        await pods.phase(pod, "Running")
    for node in (BY_DRA, BY_PLUGIN):
        for process in ("kubelet", "accelerators"):
            real.node(node).restart(process)
    # Returns when driver and kubelet have found each other again.
    await asyncio.to_thread(turn, real, {"no-driver": ()}, on=False)

    left = await pods.claim("left")
    (free,) = sound(await pods.look("left", BY_DRA, claim="left"), real, BY_DRA)
    held = await cluster.get("resource.k8s.io/v1", "ResourceClaim", "held", "default")
    taken = {result["device"] for result in held["status"]["allocation"]["devices"]["results"]}
    assert free.name not in taken
    sound(await pods.look("next", BY_PLUGIN, resource=IDENTITY.extended_resource), real, BY_PLUGIN)
    for pod in (holder, plugged):
        now = await cluster.get("v1", "Pod", pod["metadata"]["name"], "default")
        assert now["status"]["phase"] == "Running"
        assert now["status"]["containerStatuses"][0]["restartCount"] == 0
    for made in (holder, claim, left):
        await pods.remove(made)
    await pods.claim("again", count=4)
    sound(await pods.look("again", BY_DRA, claim="again"), real, BY_DRA, count=4)


# Faults


@pytest.mark.parametrize("node", [BY_DRA, BY_PLUGIN])
async def test_a_leaking_runtime_shows_all_devices_and_leaves_running_pods_alone(
    real: Lab, cluster: Cluster, pods: Pods, node: str
) -> None:
    running = await pods.start("running", node, container("holder", STAY))
    await pods.phase(running, "Running")
    try:
        await asyncio.to_thread(turn, real, {"runtime-leaks-devices": ()}, on=True)
        view = await pods.look("stranger", node)
        assert view.nodes == dict.fromkeys(devices(real, node), True)
        assert view.forged == {(device.major, device.minor) for device in devices(real, node).values()}
    finally:
        await asyncio.to_thread(turn, real, {"runtime-leaks-devices": ()}, on=False)
    assert await pods.look("stranger-after", node) == NOTHING
    now = await cluster.get("v1", "Pod", "running", "default")
    assert now["status"]["containerStatuses"][0]["restartCount"] == 0
