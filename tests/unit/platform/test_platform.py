"""What a platform offers, read from API objects with their traps."""

from __future__ import annotations

import asyncio
import gc
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.empty_cluster import EmptyCluster

from aiconform.cluster import Unreachable
from aiconform.engine.capacity import Capacity
from aiconform.lab.build.images import BUSYBOX
from aiconform.platform import Accelerators, NodeAccelerators, Platform
from aiconform.platform.accelerators.nodes import tolerations, usable_node
from aiconform.platform.accelerators.offered import requested
from aiconform.platform.accelerators.plugins import by_device_plugin
from aiconform.platform.accelerators.profiles import load_profiles
from aiconform.platform.accelerators.published import by_dra
from aiconform.platform.accelerators.resource_slices import published
from aiconform.platform.images import IMAGES, Images

Object = dict[str, Any]


def node(name: str, *, ready: bool = True, cordoned: bool = False, **allocatable: str) -> Object:
    spec: Object = {"unschedulable": True} if cordoned else {}
    spec["taints"] = [
        {"key": "nvidia.com/gpu", "effect": "NoSchedule"},
        {"key": "soft", "effect": "PreferNoSchedule"},
    ]
    return {
        "metadata": {"name": name, "labels": {"nvidia.com/gpu.product": "H100"}},
        "spec": spec,
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown", "message": "gone quiet"}],
            "allocatable": {"cpu": "8", "hugepages-2Mi": "0", **allocatable},
        },
    }


def resource_slice(
    devices: list[str], *, pool: str = "n1", generation: int = 1, count: int = 1, beta: bool = False, **spec: Any
) -> Object:
    attributes = {"model": {"string": "H100"}, "index": {"int": 3}, "driverVersion": {"version": "1.2.3"}}
    body = {"attributes": attributes}
    return {
        "metadata": {"name": f"{pool}-{generation}-{devices}"},
        "spec": {
            "driver": "gpu.nvidia.com",
            "pool": {"name": pool, "generation": generation, "resourceSliceCount": count},
            "nodeName": "n1",
            "devices": [{"name": name, **({"basic": body} if beta else body)} for name in devices],
            **spec,
        },
    }


def names(slices: list[Object]) -> list[str]:
    return [device.name for device in published(slices)[0]]


def test_only_the_newest_generation_of_a_pool_counts() -> None:
    assert names([resource_slice(["old"]), resource_slice(["new"], generation=2)]) == ["new"]


def test_an_incomplete_pool_offers_nothing_and_is_told() -> None:
    devices, incomplete = published([resource_slice(["a"], count=2)])
    assert devices == []
    assert incomplete[0].problem == "1 of 2 ResourceSlices of generation 1"


@given(st.permutations([(1, "a"), (1, "b"), (2, "c"), (2, "d"), (2, "e")]))
def test_the_order_of_slices_does_not_matter(order: list[tuple[int, str]]) -> None:
    slices = [resource_slice([name], generation=generation, count=3) for generation, name in order]
    assert sorted(names(slices)) == ["c", "d", "e"]


def test_the_fields_of_the_beta_versions_are_read_the_same() -> None:
    (old,), (new,) = published([resource_slice(["a"], beta=True)])[0], published([resource_slice(["a"])])[0]
    assert old == new
    assert old.attributes == {"model": "H100", "index": 3, "driverVersion": "1.2.3"}
    assert old.product == "H100"


def test_a_node_can_be_named_in_each_way() -> None:
    selector = {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n7"]}]}]}
    whole = resource_slice(["a"], nodeName=None, nodeSelector=selector)
    by_host = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["n7"]}
    labelled = {"nodeSelectorTerms": [{"matchExpressions": [by_host, {"key": "rack", "operator": "Exists"}]}]}
    assert published([resource_slice(["a"], nodeName=None, nodeSelector=labelled)])[0][0].node == "n7"
    several = {"nodeSelectorTerms": [{"matchExpressions": [{**by_host, "values": ["n7", "n8"]}]}]}
    assert published([resource_slice(["a"], nodeName=None, nodeSelector=several)])[0][0].node is None
    # A host name can be another than the name of its node, even that of another node.
    hosts = [node("i-1"), node("n7")]
    for named, host in zip(hosts, ("n7", "x"), strict=True):
        named["metadata"]["labels"]["kubernetes.io/hostname"] = host
    assert published([resource_slice(["a"], nodeName=None, nodeSelector=labelled)], hosts)[0][0].node == "i-1"
    assert published([resource_slice(["a"], nodeName=None, nodeSelector=selector)], hosts)[0][0].node == "n7"
    each = resource_slice([], pool="p", perDeviceNodeSelection=True)
    each["spec"]["devices"] = [{"name": "x", "nodeName": "n8"}, {"name": "y", "allNodes": True}]
    everywhere = resource_slice(["z"], pool="q", nodeName=None, allNodes=True)
    found = {device.name: device.node for device in published([whole, each, everywhere])[0]}
    assert found == {"a": "n7", "x": "n8", "y": None, "z": None}


def offered(slices: list[Object], nodes: list[Object], claims: list[Object] | None = None) -> Accelerators:
    classes = [
        {"metadata": {"name": "any"}, "spec": {}},
        {
            "metadata": {"name": "gpu.nvidia.com"},
            "spec": {"selectors": [{"cel": {"expression": "device.driver == 'gpu.nvidia.com'"}}]},
        },
    ]
    return by_dra(nodes, *published(slices), claims or [], classes)


def test_what_cannot_be_had_is_passed_over_in_words() -> None:
    tainted = resource_slice([], pool="t")
    tainted["spec"]["devices"] = [{"name": "bad", "taints": [{"key": "broken", "effect": "NoExecute"}]}]
    elsewhere = resource_slice(["c"], pool="n2", nodeName="n2")
    network = resource_slice(["eth1"], pool="net", driver="dra.net")
    found = offered([resource_slice(["a", "b"]), tainted, elsewhere, network], [node("n1"), node("n2", ready=False)])
    assert [(entry.node, entry.total, entry.free) for entry in found.offered] == [("n1", 2, 2)]
    told = " ".join(found.passed_over)
    assert "broken=:NoExecute" in told
    assert "n2 is not Ready: gone quiet" in told
    assert "dra.net" in told


def test_held_devices_are_not_free() -> None:
    result = {"driver": "gpu.nvidia.com", "pool": "n1", "device": "a"}
    claim = {"metadata": {"name": "c", "namespace": "x"}, "status": {"allocation": {"devices": {"results": [result]}}}}
    admin = {
        "metadata": {"name": "m"},
        "status": {"allocation": {"devices": {"results": [{**result, "device": "b", "adminAccess": True}]}}},
    }
    (entry,) = offered([resource_slice(["a", "b"])], [node("n1")], [claim, admin]).offered
    assert [device.name for device in entry.devices] == ["b"]
    assert entry.device_class == "gpu.nvidia.com"


def test_extended_resources_of_device_plugins() -> None:
    nodes = [node("n1", **{"nvidia.com/gpu": "4", "example.com/thing": "2"}), node("n2", **{"nvidia.com/gpu": "0"})]
    pod = {
        "spec": {"nodeName": "n1", "containers": [{"resources": {"limits": {"nvidia.com/gpu": "3"}}}]},
        "status": {"phase": "Running"},
    }
    done = {**pod, "status": {"phase": "Succeeded"}}
    found = by_device_plugin(nodes, requested([pod, done]))
    (entry,) = found.offered
    assert (entry.node, entry.total, entry.free, entry.product) == ("n1", 4, 1, "H100")
    assert "example.com/thing" in " ".join(found.passed_over)


@pytest.mark.parametrize(
    ("before", "held"),
    [
        ([], 1),
        ([("sidecar", "1")], 2),
        ([("init", "3")], 3),
        ([("sidecar", "1"), ("init", "3")], 4),
        ([("init", "1"), ("sidecar", "2")], 3),
    ],
)
def test_sidecars_and_init_containers_hold_what_the_scheduler_counts(before: list[tuple[str, str]], held: int) -> None:
    def container(kind: str, number: str) -> Object:
        always = {"restartPolicy": "Always"} if kind == "sidecar" else {}
        return {"resources": {"limits": {"nvidia.com/gpu": number, "cpu": "1"}}, **always}

    spec = {"nodeName": "n1", "containers": [container("main", "1")]}
    pod = {"spec": {**spec, "initContainers": [container(*each) for each in before]}, "status": {"phase": "Running"}}
    assert requested([pod]) == {("n1", "nvidia.com/gpu"): held}


def test_a_node_that_can_allocate_none_of_its_accelerators_is_named() -> None:
    lost = node("n1", **{"nvidia.com/gpu": "0"})
    lost["status"]["capacity"] = {"cpu": "8", "nvidia.com/gpu": "8", "example.com/thing": "2"}
    found = by_device_plugin([lost, node("n2", **{"nvidia.com/gpu": "8"})], {})
    assert [entry.node for entry in found.offered] == ["n2"]
    (told,) = found.passed_over
    assert told.startswith("none of the 8 nvidia.com/gpu of node n1 can be allocated")


def test_a_vendor_s_name_does_not_hide_that_a_device_is_simulated() -> None:
    real, lab = node("n1", **{"nvidia.com/gpu": "1"}), node("n2", **{"nvidia.com/gpu": "1"})
    lab["metadata"]["labels"]["nvidia.com/gpu.simulated"] = "true"
    found = by_device_plugin([real, lab], {}).offered
    assert [(each.node, each.simulated) for each in found] == [("n1", False), ("n2", True)]


def test_a_cordoned_node_offers_nothing() -> None:
    assert "cordoned" in str(usable_node(node("n1", cordoned=True)))
    assert usable_node(node("n1")) is None


def test_a_pod_tolerates_what_keeps_others_away() -> None:
    assert tolerations(node("n1")) == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def entry(node_name: str, free: int, product: str = "H100") -> NodeAccelerators:
    return NodeAccelerators("dra", node_name, "gpu.nvidia.com", product, total=8, free=free)


def test_one_node_of_each_kind_is_the_one_with_most_room() -> None:
    found = Accelerators((entry("n1", 1), entry("n2", 5), entry("n3", 5, "A100"), entry("n4", 2)), ())
    assert [each.node for each in found.one_of_each_kind()] == ["n2", "n3"]


def test_the_lab_has_the_image_that_test_pods_run() -> None:
    assert IMAGES["shell"] == BUSYBOX


def test_profiles_name_a_family_once() -> None:
    profiles = load_profiles().accelerators
    drivers = [driver for profile in profiles for driver in profile.drivers]
    assert len(drivers) == len(set(drivers))
    assert load_profiles().by_resource("nvidia.com/mig-1g.10gb") is load_profiles().by_driver("gpu.nvidia.com")


@pytest.mark.parametrize(("free", "together"), [(4, 2), (3, 1), (2, 1), (1, 1), (8, 4)])
async def test_probes_hold_no_more_devices_than_are_free(free: int, together: int) -> None:
    capacity, target = Capacity(), entry("n1", free)
    now = most = 0

    async def probe() -> None:
        nonlocal now, most
        async with capacity.hold(target, 2):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            now -= 1

    async with asyncio.timeout(5):
        await asyncio.gather(*(probe() for _ in range(6)))
    assert most == together


class Labelled(EmptyCluster):
    """Two nodes with accelerators, of which one has the labels that are asked for."""

    asked: ClassVar[list[str]] = []

    async def list(self, api_version: str, kind: str, *_: object, labels: str = "", fields: str = "") -> Any:
        self.asked.append(labels)
        if kind == "Node":
            for name in ("a", "b"):
                if labels in ("", f"pool={name}"):
                    yield {"kind": "Node", **node(name, **{"nvidia.com/gpu": "4"})}


@pytest.mark.parametrize(("selector", "expected"), [("", {"a", "b"}), ("pool=b", {"b"}), ("pool=c", set())])
async def test_only_accelerators_of_chosen_nodes_are_used(selector: str, expected: set[str]) -> None:
    platform = Platform(Labelled(), Images(), selector)  # type: ignore[arg-type]
    found = await platform.accelerators()
    assert {entry.node for entry in found.offered} == expected
    assert {entry.node for entry in (await platform.afresh().accelerators()).offered} == expected
    assert {entry.node for entry in (await platform.all_accelerators()).offered} == {"a", "b"}
    assert expected or "no node has the labels pool=c" in found.passed_over


async def test_a_read_that_fails_when_nobody_waits_any_more_prints_no_trace() -> None:
    class Failing:
        async def version(self) -> str:
            await asyncio.sleep(0.01)
            raise Unreachable("gone")

    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(Platform(Failing(), Images()).version(), 0.001)  # type: ignore[arg-type]
    await asyncio.sleep(0.05)
    gc.collect()
    assert not told
