"""Simulated accelerators on a real cluster: Pods that hold one, restarts, another vendor's names, and every fault."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from accelerator_pods import MAJOR, NOTHING, STAY, Pods, View, container
from click.testing import CliRunner, Result

from aiconform.cluster import Cluster, connect
from aiconform.lab import Lab, LabConfig, up
from aiconform.lab.accelerators import IDENTITIES, Device, devices_of, read_config
from aiconform.lab.faults.command import command

pytestmark = [pytest.mark.lab, pytest.mark.skipif(os.geteuid() != 0, reason="a lab needs root")]

NAME = "accel"
BY_DRA, BY_PLUGIN = "node-1", "node-2"
IDENTITY = IDENTITIES["simulated"]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab whose first node offers its accelerators through DRA and whose second through a device plugin."""
    made = up(LabConfig(name=NAME, nodes=2, accelerators=4))
    yield made
    made.down()


@pytest.fixture
async def cluster(lab: Lab) -> AsyncIterator[Cluster]:
    async with connect(str(lab.kubeconfig)) as connected:
        yield connected


@pytest.fixture
async def pods(cluster: Cluster) -> AsyncIterator[Pods]:
    made = Pods(cluster, IDENTITY.device_class)
    yield made
    await made.remove_all()


def devices(lab: Lab, node: str) -> dict[str, Device]:
    """Path in a container -> device."""
    config = lab.node(node).accelerators
    assert config
    return {device.container_path: device for device in devices_of(read_config(config))}


def fault(name: str, *more: str) -> Result:
    result = CliRunner().invoke(command, [name, "--name", NAME, *more])
    assert result.exit_code == 0, result.output
    return result


def sound(view: View, lab: Lab, node: str, *, count: int = 1) -> list[Device]:
    """The devices that a container sees; fails unless it sees exactly so many, and can open these and no others."""
    known = devices(lab, node)
    assert set(view.nodes) <= set(known)
    seen = [known[path] for path in view.nodes]
    assert len(seen) == count
    assert all(view.nodes.values())
    assert view.forged == {device.minor for device in seen}
    assert set(view.environment.values()) == {device.uuid for device in seen}
    return seen


# Pods


async def test_a_claim_gives_its_container_one_device_and_others_nothing(lab: Lab, pods: Pods) -> None:
    claim = await pods.claim("one")
    # When its Pod has ended, the claim is not allocated any more.
    allocated = asyncio.create_task(pods.until(claim, lambda seen: seen.get("status", {}).get("allocation")))
    pod = await pods.start(
        "two-containers", BY_DRA, container("holder", claims=[{"name": "device"}]), container("sibling"), claim="one"
    )
    (device,) = sound(await pods.view(pod), lab, BY_DRA)
    allocation = (await allocated)["status"]["allocation"]
    assert [result["device"] for result in allocation["devices"]["results"]] == [device.name]
    assert device.major == MAJOR
    assert await pods.view(pod, "sibling") == NOTHING
    assert await pods.look("stranger", BY_DRA) == NOTHING


async def test_the_extended_resource_gives_a_device_too(lab: Lab, pods: Pods) -> None:
    sound(await pods.look("one", BY_PLUGIN, resource=IDENTITY.extended_resource), lab, BY_PLUGIN)
    assert await pods.look("stranger", BY_PLUGIN) == NOTHING


async def test_a_selector_is_kept(lab: Lab, pods: Pods) -> None:
    selector = f'device.attributes["{IDENTITY.driver}"].index == 2 && device.attributes["{IDENTITY.driver}"].simulated'
    await pods.claim("third", selector=selector)
    (device,) = sound(await pods.look("third", BY_DRA, claim="third"), lab, BY_DRA)
    assert device.index == 2


async def test_a_claim_may_hold_several(lab: Lab, pods: Pods) -> None:
    await pods.claim("all", count=4)
    sound(await pods.look("all", BY_DRA, claim="all"), lab, BY_DRA, count=4)


# Restarts


async def test_a_held_device_survives_restarts_of_kubelet_and_driver(lab: Lab, cluster: Cluster, pods: Pods) -> None:
    claim = await pods.claim("held", count=3)
    script = f"dd if=/dev/null; {STAY}"
    holder = await pods.start("holder", BY_DRA, container("holder", script, claims=[{"name": "device"}]), claim="held")
    plugged = await pods.start(
        "plugged", BY_PLUGIN, container("holder", STAY, limits={IDENTITY.extended_resource: "3"})
    )
    for pod in (holder, plugged):
        await pods.phase(pod, "Running")
    for node in (BY_DRA, BY_PLUGIN):
        for process in ("kubelet", "accelerators"):
            lab.node(node).restart(process)
    await asyncio.to_thread(fault, "no-driver", "--off")  # returns when driver and kubelet have found each other

    left = await pods.claim("left")
    (free,) = sound(await pods.look("left", BY_DRA, claim="left"), lab, BY_DRA)
    held = await cluster.get("resource.k8s.io/v1", "ResourceClaim", "held", "default")
    taken = {result["device"] for result in held["status"]["allocation"]["devices"]["results"]}
    assert free.name not in taken
    sound(await pods.look("next", BY_PLUGIN, resource=IDENTITY.extended_resource), lab, BY_PLUGIN)
    for pod in (holder, plugged):
        now = await cluster.get("v1", "Pod", pod["metadata"]["name"], "default")
        assert now["status"]["phase"] == "Running"
        assert now["status"]["containerStatuses"][0]["restartCount"] == 0
    for made in (holder, claim, left):
        await pods.remove(made)
    await pods.claim("again", count=4)
    sound(await pods.look("again", BY_DRA, claim="again"), lab, BY_DRA, count=4)


# Faults


@pytest.fixture
def faulty(lab: Lab) -> Iterator[Any]:
    """Turns faults on, and all off in the end."""
    on: list[str] = []

    async def turn_on(name: str) -> None:
        on.append(name)
        await asyncio.to_thread(fault, name)

    yield turn_on
    for name in on:
        fault(name, "--off")


async def healthy(lab: Lab, pods: Pods, name: str) -> None:
    """A claim and a request are served as they should be."""
    await asyncio.to_thread(fault, name, "--off")
    made = await pods.claim("healthy")
    sound(await pods.look("by-claim", BY_DRA, claim="healthy"), lab, BY_DRA)
    sound(await pods.look("by-request", BY_PLUGIN, resource=IDENTITY.extended_resource), lab, BY_PLUGIN)
    await pods.remove(made)


@pytest.mark.parametrize("node", [BY_DRA, BY_PLUGIN])
async def test_a_leaking_runtime_shows_all_devices_to_anybody(lab: Lab, pods: Pods, faulty: Any, node: str) -> None:
    running = await pods.start("running", node, container("holder", STAY))
    await pods.phase(running, "Running")
    await faulty("runtime-leaks-devices")
    view = await pods.look("stranger", node)
    assert view.nodes == dict.fromkeys(devices(lab, node), True)
    assert view.forged == {device.minor for device in devices(lab, node).values()}
    await healthy(lab, pods, "runtime-leaks-devices")
    assert await pods.look("stranger", node) == NOTHING
    assert (await pods.phase(running, "Running"))["status"]["containerStatuses"][0]["restartCount"] == 0


async def test_an_opening_runtime_lets_forged_nodes_open(lab: Lab, pods: Pods, faulty: Any) -> None:
    await faulty("runtime-opens-devices")
    view = await pods.look("stranger", BY_DRA)
    assert view.nodes == {}
    assert view.forged > {device.minor for device in devices(lab, BY_DRA).values()}
    await healthy(lab, pods, "runtime-opens-devices")


async def test_a_driver_that_prepares_all(lab: Lab, pods: Pods, faulty: Any) -> None:
    await faulty("driver-prepares-all")
    await pods.claim("one")
    sound(await pods.look("by-claim", BY_DRA, claim="one"), lab, BY_DRA, count=4)
    sound(await pods.look("by-request", BY_PLUGIN, resource=IDENTITY.extended_resource), lab, BY_PLUGIN, count=4)
    assert await pods.look("stranger", BY_DRA) == NOTHING
    await healthy(lab, pods, "driver-prepares-all")


async def test_a_driver_that_prepares_nothing(lab: Lab, pods: Pods, faulty: Any) -> None:
    await faulty("driver-prepares-nothing")
    await pods.claim("one")
    assert await pods.look("by-claim", BY_DRA, claim="one") == NOTHING
    assert await pods.look("by-request", BY_PLUGIN, resource=IDENTITY.extended_resource) == NOTHING
    await healthy(lab, pods, "driver-prepares-nothing")


async def test_a_driver_that_never_prepares(lab: Lab, cluster: Cluster, pods: Pods, faulty: Any) -> None:
    await faulty("driver-never-prepares")
    await pods.claim("one")
    waiting = await pods.start("stuck", BY_DRA, container("holder", claims=[{"name": "device"}]), claim="one")
    refused = await pods.start("refused", BY_PLUGIN, container("holder", limits={IDENTITY.extended_resource: "1"}))
    failed = await pods.phase(refused, "Failed")
    assert "driver-never-prepares" in failed["status"]["message"]
    event = {"apiVersion": "v1", "kind": "Event"}
    fields = f"involvedObject.uid={waiting['metadata']['uid']},reason=FailedPrepareDynamicResources"
    async with asyncio.timeout(30):
        async for seen in cluster.watch(event["apiVersion"], event["kind"], "default", fields=fields):
            assert "driver-never-prepares" in seen.object["message"]
            break
    now = await cluster.get("v1", "Pod", "stuck", "default")
    assert now["status"]["phase"] == "Pending"
    await healthy(lab, pods, "driver-never-prepares")
    sound(await pods.view(waiting), lab, BY_DRA)


async def test_no_driver(lab: Lab, cluster: Cluster, pods: Pods, faulty: Any) -> None:
    await faulty("no-driver")
    assert [s async for s in cluster.list("resource.k8s.io/v1", "ResourceSlice")] == []
    node = await cluster.get("v1", "Node", BY_PLUGIN)
    assert node["status"]["allocatable"][IDENTITY.extended_resource] == "0"
    await healthy(lab, pods, "no-driver")


async def test_a_driver_that_renumbers(lab: Lab, cluster: Cluster, pods: Pods, faulty: Any) -> None:
    await faulty("driver-renumbers-devices")
    first = devices(lab, BY_DRA)["/dev/aiconform-accel0"]
    await pods.claim("first", selector=f'device.attributes["{IDENTITY.driver}"].uuid == "{first.uuid}"')
    sound(await pods.look("first", BY_DRA, claim="first"), lab, BY_DRA)
    (slice_,) = [s async for s in cluster.list("resource.k8s.io/v1", "ResourceSlice")]
    assert slice_["spec"]["devices"][0]["name"] == first.name
    assert slice_["spec"]["devices"][0]["attributes"]["uuid"]["string"] != first.uuid
    await healthy(lab, pods, "driver-renumbers-devices")


async def test_an_allocator_that_overcommits(lab: Lab, pods: Pods, faulty: Any) -> None:
    await faulty("allocator-overcommits")
    greedy = await pods.claim("greedy", count=5)
    granted = await pods.until(greedy, lambda seen: seen.get("status", {}).get("allocation"))
    assert len(granted["status"]["allocation"]["devices"]["results"]) == 5
    sound(await pods.look("greedy", BY_DRA, claim="greedy"), lab, BY_DRA, count=4)
    await pods.remove(granted)
    await healthy(lab, pods, "allocator-overcommits")


async def test_no_dra_api(lab: Lab, cluster: Cluster, pods: Pods, faulty: Any) -> None:
    running = await pods.start("running", BY_DRA, container("holder", STAY))
    await pods.phase(running, "Running")
    await faulty("no-dra-api")
    assert "resource.k8s.io" not in await cluster.groups()
    sound(await pods.look("by-request", BY_PLUGIN, resource=IDENTITY.extended_resource), lab, BY_PLUGIN)
    await healthy(lab, pods, "no-dra-api")
    assert (await pods.phase(running, "Running"))["status"]["containerStatuses"][0]["restartCount"] == 0
