"""A Pod that claims an interface and an accelerator of one PCIe root: which, and what it has to show."""

from __future__ import annotations

from typing import Any

import pytest
from support.aligned import ACCELERATORS, AlignedFabric, accelerator, place, tried
from support.networked import Fabric, attributes, broken, held, reason, undecided

from aiconform.check import NotApplicable
from aiconform.checks.high_performance_networking.observations import Alignment
from aiconform.cluster import Forbidden, Object, Stuck
from aiconform.engine.capacity import held as devices_held
from aiconform.platform.networks.roots import STANDARD

ALIGNED = "aligned_with_accelerator"


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Pods do here, they do at once."""
    monkeypatch.setattr("aiconform.kit.starting.LATE_SECONDS", 0.05)
    monkeypatch.setattr("aiconform.kit.starting.CONTROL_SECONDS", 0.2)


async def test_both_by_one_claim_that_the_scheduler_has_to_match() -> None:
    cluster = AlignedFabric()
    found = await tried(cluster)
    assert held(found) == {ALIGNED: True}
    (claim,) = cluster.of("ResourceClaim")
    asked = claim["spec"]["devices"]
    assert [each["name"] for each in asked["requests"]] == ["interface-0", "accelerator"]
    assert asked["constraints"] == [{"requests": ["interface-0", "accelerator"], "matchAttribute": STANDARD}]
    assert [each["metadata"]["name"] for each in cluster.of("Pod")] == ["probe-aligned"]
    assert "not compared" in reason(found, ALIGNED)
    assert found.accelerator.startswith(f"{ACCELERATORS}/n")
    # The check's other Pods take the first one of each node.
    assert found.pod is not None
    assert [each.name for each in found.pod.devices] == ["fast1"]
    assert found.interface_root == found.accelerator_root == "pci0000:17"


async def test_the_accelerator_counts_as_held_meanwhile() -> None:
    target = await place(AlignedFabric())
    (((node, kind), count),) = devices_held(target, 1).items()
    assert target.pair is not None
    assert (node, kind[1], count) == (target.pair.device.device.node, ACCELERATORS, 1)
    assert devices_held(await place(AlignedFabric(offering=2, rails=1)), 1)


async def test_an_unused_port_is_not_taken_where_another_is_up() -> None:
    cluster = AlignedFabric()
    attributes(cluster.links["n1"][1], state="down")
    found = await tried(cluster)
    assert found.pod is not None
    assert [(each.node, each.name) for each in found.pod.devices] == [("n2", "fast1")]


async def test_a_root_of_another_domain_is_as_good() -> None:
    cluster = AlignedFabric()
    for links, devices in zip(cluster.links.values(), cluster.accelerators.values(), strict=True):
        for each in (*links, *devices):
            each["attributes"][f"{ACCELERATORS}/pcieRoot"] = {"string": each["attributes"].pop(STANDARD)["string"]}
    for each in cluster.accelerators["n1"]:
        each["attributes"]["pcieRoot"] = each["attributes"].pop(f"{ACCELERATORS}/pcieRoot")
    cluster.accelerators["n2"] = []
    found = await tried(cluster)
    assert found.attribute == f"{ACCELERATORS}/pcieRoot"
    assert held(found) == {ALIGNED: True}


@pytest.mark.parametrize(
    ("path", "holds", "words"),
    [
        ("/sys/devices/pci0000:17/0000:17:00.0/net/fast1", True, "as the kernel says"),
        ("/sys/devices/pci0000:3a/0000:3a:00.0/net/fast1", False, "the kernel has on pci0000:3a"),
        ("/sys/devices/platform/soc/net/fast1", True, "not compared"),
        ("", True, "not compared"),
    ],
)
async def test_what_the_kernel_says_of_the_interface(path: str, holds: bool, words: str) -> None:
    cluster = AlignedFabric()
    cluster.hardware = {"fast1": path, "eth0": "/sys/devices/pci0000:00/0000:00:02.0/virtio1"}
    found = await tried(cluster)
    assert held(found) == {ALIGNED: holds}
    assert words in reason(found, ALIGNED)


async def test_a_root_that_is_not_written_as_the_kernel_writes_it_is_not_compared() -> None:
    cluster = AlignedFabric(rails=1)
    cluster.hardware = {"fast0": "/sys/devices/pci0000:3a/0000:3a:00.0/net/fast0"}
    for each in [one[0] for found in (cluster.links, cluster.accelerators) for one in found.values()]:
        each["attributes"][STANDARD] = {"string": "switch 4"}
    found = await tried(cluster)
    assert held(found) == {ALIGNED: True}
    assert "calls its root pci0000:3a: not compared" in reason(found, ALIGNED)


async def test_an_interface_that_is_not_in_the_pod_fails() -> None:
    found = await tried(AlignedFabric("aligned-interface-lost"))
    assert broken(found) == {ALIGNED}
    assert "and has lo, eth0" in reason(found, ALIGNED)


class Tunnels(AlignedFabric):
    """Where the kernel gives every network an interface of its own. state: of that one."""

    def __init__(self, flags: str, state: str, *faults: str) -> None:
        super().__init__(*faults)
        self.tunnel = ("tunl0", "-", flags, state, list[str]())

    def interfaces(self, pod: Object) -> list[tuple[str, str, str, str, list[str]]]:
        return [*super().interfaces(pod), self.tunnel]


async def test_another_interface_is_not_taken_for_the_claimed_one() -> None:
    found = await tried(Tunnels("0x80", "down", "aligned-interface-lost"))
    assert broken(found) == {ALIGNED}
    found = await tried(Tunnels("0x81", "unknown", "aligned-interface-lost"))
    assert undecided(found) == {ALIGNED}
    assert "nothing tells whether that is tunl0" in reason(found, ALIGNED)
    assert broken(await tried(Tunnels("0x80", "down"))) == set()


async def test_devices_of_two_roots_fail() -> None:
    cluster = AlignedFabric()
    cluster.matches = False
    found = await tried(cluster)
    assert broken(found) == {ALIGNED}
    assert "pci0000:17 and pci0000:16" in reason(found, ALIGNED)


DEVICE_PODS = {"probe-aligned", "probe-aligned-interface", "probe-aligned-accelerator"}
REFUSED = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "prepare: claim of two drivers"}


async def test_a_pod_that_starts_with_neither_both_fails() -> None:
    cluster = AlignedFabric()
    cluster.states["-aligned"] = REFUSED
    found = await tried(cluster)
    assert broken(found) == {ALIGNED}
    assert "claim of two drivers" in reason(found, ALIGNED)
    names = {each["metadata"]["name"] for each in cluster.ever}
    assert names >= DEVICE_PODS


async def test_each_pod_has_the_image_that_is_asked_for() -> None:
    cluster = AlignedFabric()
    cluster.states["-aligned"] = REFUSED
    await tried(cluster, image="mirror.example/busybox:1")
    pods = {each["metadata"]["name"]: each["spec"] for each in cluster.ever if each["kind"] == "Pod"}
    assert {pods[name]["containers"][0]["image"] for name in DEVICE_PODS} == {"mirror.example/busybox:1"}


@pytest.mark.parametrize(
    ("end", "words"),
    [("-aligned-interface", "(fast1|fast0) of dra.net"), ("-aligned-accelerator", "an accelerator of")],
)
async def test_a_device_that_does_not_work_alone_either_decides_nothing(end: str, words: str) -> None:
    cluster = AlignedFabric()
    cluster.states["-aligned"] = cluster.states[end] = REFUSED
    found = await tried(cluster)
    assert (broken(found), undecided(found)) == (set(), {ALIGNED})
    assert "nor does one with" in reason(found, ALIGNED)
    assert words.split("(")[0] in reason(found, ALIGNED)


async def test_a_node_on_which_no_pod_starts_decides_nothing() -> None:
    cluster = AlignedFabric()
    for end in ("-aligned", "-control"):
        cluster.states[end] = REFUSED
    found = await tried(cluster)
    assert undecided(found) == {ALIGNED}
    assert "no Pod starts on" in reason(found, ALIGNED)


async def test_a_claim_that_waits_for_what_others_took_meanwhile_decides_nothing() -> None:
    cluster = AlignedFabric()
    target = await place(cluster)
    assert target.pair is not None
    cluster.stuck = {(target.pair.accelerators.node, "gpu-1")}
    found = await tried(cluster, target)
    assert undecided(found) == {ALIGNED}
    assert "cannot allocate all claims" in reason(found, ALIGNED)


@pytest.mark.parametrize("others", ["the interfaces", "the accelerators"])
async def test_devices_that_are_taken_decide_nothing(others: str) -> None:
    cluster = AlignedFabric(offering=1)
    names = ("fast0", "fast1") if others == "the interfaces" else ("gpu-0", "gpu-1")
    driver = "dra.net" if others == "the interfaces" else ACCELERATORS
    results = [{"driver": driver, "pool": "n1", "device": name} for name in names]
    status = {"allocation": {"devices": {"results": results}}}
    about = {"name": "training", "namespace": "team"}
    cluster.objects.append({"kind": "ResourceClaim", "metadata": about, "status": status, "spec": {}})
    slices = cluster.slices
    # A driver may go on publishing what is in use.
    held_devices, cluster.held = cluster.held, lambda: set()  # type: ignore[method-assign]
    assert slices()
    found = await tried(cluster)
    cluster.held = held_devices  # type: ignore[method-assign]
    assert undecided(found) == {ALIGNED}
    assert "not both free" in reason(found, ALIGNED)


def _without_roots(cluster: AlignedFabric) -> None:
    for each in [one for links in cluster.links.values() for one in links]:
        del each["attributes"][STANDARD]


def _of_other_roots(cluster: AlignedFabric) -> None:
    cluster.accelerators = {name: [accelerator(1, "pci0000:99")] for name in cluster.links}


def _on_other_nodes(cluster: AlignedFabric) -> None:
    cluster.accelerators = {"n3": [accelerator(0, "pci0000:16")]}


def _none(cluster: AlignedFabric) -> None:
    cluster.accelerators = {}


@pytest.mark.parametrize("change", [_without_roots, _of_other_roots, _on_other_nodes, _none])
async def test_where_nothing_is_of_one_root_it_is_left_out(change: Any) -> None:
    cluster = AlignedFabric()
    change(cluster)
    found = await tried(cluster)
    assert held(found) == {}
    assert "no usable node publishes" in reason(found, ALIGNED)
    assert devices_held(await place(cluster), 1) == {}
    assert cluster.ever == []


async def test_accelerators_that_may_not_be_read_decide_nothing() -> None:
    class Closed(AlignedFabric):
        async def list(self, api_version: str, kind: str, namespace: str | None = None, **more: Any) -> Any:
            if kind == "Pod":
                raise Forbidden("forbidden", verb="list", resource="pods")
            async for each in super().list(api_version, kind, namespace, **more):
                yield each

    found = await tried(Closed())
    assert undecided(found) == {ALIGNED}
    assert "forbidden" in reason(found, ALIGNED)


async def test_without_network_devices_the_check_does_not_apply() -> None:
    with pytest.raises(NotApplicable):
        await place(Fabric(offering=0))


async def test_what_the_claim_does_not_tell_decides_nothing() -> None:
    found = await tried(AlignedFabric())
    assert found.pod is not None
    unknown = [
        found.model_copy(update={"accelerator": ""}),
        found.model_copy(update={"accelerator_root": ""}),
        found.model_copy(update={"interface_root": ""}),
        found.model_copy(update={"pod": found.pod.model_copy(update={"devices": ()})}),
        Alignment(),
    ]
    assert [undecided(each) for each in unknown] == [{ALIGNED}] * len(unknown)


async def test_rdma_without_an_interface_is_left_out() -> None:
    found = await tried(AlignedFabric())
    assert found.pod is not None
    bare = [each.model_copy(update={"without": "by its character devices"}) for each in found.pod.devices]
    assert held(found.model_copy(update={"pod": found.pod.model_copy(update={"devices": tuple(bare)})})) == {}


async def test_trouble_of_the_moment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = AlignedFabric()

    async def broken_down(*_: Any, **__: Any) -> Object:
        raise Stuck("the quota is exhausted")

    monkeypatch.setattr("aiconform.checks.high_performance_networking.claims.NetworkClaims.of", broken_down)
    found = await tried(cluster)
    assert undecided(found) == {ALIGNED}
    assert "the quota is exhausted" in reason(found, ALIGNED)


async def test_few_requests_are_made() -> None:
    cluster = AlignedFabric()
    await tried(cluster)
    assert cluster.requests < 20
