"""The faults of virtual devices: which hardware can have each, and what the one does that changes DeviceClasses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.fake_kubelet import configuration

from aiconform.cluster import NotFound
from aiconform.lab.accelerators import Offer, cluster_objects, devices_of, identities
from aiconform.lab.accelerators.slices import describe
from aiconform.lab.accelerators.virtual import VIRTUAL_WAYS
from aiconform.lab.faults.fault import InCluster
from aiconform.lab.faults.registry import FAULTS, possible
from aiconform.lab.faults.virtual import ANOTHER_CLASS
from aiconform.platform.accelerators.resource_slices import published
from aiconform.platform.accelerators.selecting import DeviceClass, choose

Object = dict[str, Any]
VIRTUAL = {*VIRTUAL_WAYS, ANOTHER_CLASS}


def test_each_fault_is_possible_where_devices_are_virtual_in_one_of_its_ways() -> None:
    assert {name for name, fault in FAULTS.items() if "virtualized_accelerator" in fault.checks} == VIRTUAL
    assert {*possible()} >= VIRTUAL
    assert VIRTUAL - {*possible("intel-gpu-sriov")} == {"virtual-by-another-interface"}
    assert VIRTUAL & {*possible("nvidia-vgpu")} == {
        "virtual-device-does-not-open",
        "virtual-device-is-given-twice",
        "virtual-device-is-not-released",
        "virtual-shows-whole-memory",
        "virtual-devices-leak",
    }
    others = [name for name in identities() if name not in ("simulated", "nvidia-vgpu", "intel-gpu-sriov")]
    assert not any(VIRTUAL & {*possible(name)} for name in others)
    kept = FAULTS["virtual-device-is-not-released"]
    assert not kept.suits(identities()["nvidia-vgpu"], Offer.DEVICE_PLUGIN)
    assert not kept.suits(identities()["simulated"], Offer.DEVICE_PLUGIN)


class Cluster:
    """An API server that has the DeviceClasses of some identities."""

    def __init__(self, *names: str, versions: tuple[str, ...] = ("v1",)) -> None:
        self.versions = versions
        objects = [each for name in names for each in cluster_objects(identities()[name])]
        self.classes: dict[str, Object] = {
            each["metadata"]["name"]: each for each in objects if each["kind"] == "DeviceClass"
        }

    async def groups(self) -> dict[str, tuple[str, ...]]:
        return {"resource.k8s.io": self.versions} if self.versions else {}

    async def get(self, api_version: str, kind: str, name: str) -> Object:
        assert kind == "DeviceClass"
        if name not in self.classes:
            raise NotFound(f"{name} not found", status=404)
        return self.classes[name]

    async def apply(self, obj: Object) -> None:
        self.classes[obj["metadata"]["name"]] = obj

    async def delete(self, obj: Object) -> None:
        self.classes.pop(obj["metadata"]["name"], None)


@pytest.mark.parametrize("identity", ["simulated", "intel-gpu-sriov"])
async def test_virtual_devices_may_need_another_device_class(identity: str) -> None:
    cluster, how = Cluster(identity, "amd"), FAULTS[ANOTHER_CLASS].how
    assert isinstance(how, InCluster)
    sound = dict(cluster.classes)
    made = configuration(Path("/lab"), identity=identities()[identity], count=2)
    spec = {"driver": made.identity.driver, "nodeName": "n", "pool": {"name": "n", "resourceSliceCount": 1}}
    devices, _ = published([{"spec": {**spec, "devices": describe(made, devices_of(made))}}])
    virtual = [device for device, known in zip(devices, devices_of(made), strict=True) if known.virtual]
    whole = [device for device in devices if device not in virtual]
    usual = made.identity.device_class

    def chosen() -> tuple[str, ...]:
        found = [DeviceClass(each) for each in cluster.classes.values()]
        return tuple(
            choose(found, each, others) for each, others in ((devices, []), (whole, virtual), (virtual, whole))
        )

    assert chosen() == (usual, usual, usual)
    for _ in range(2):
        await how.on(cluster)  # type: ignore[arg-type]
        assert chosen() == ("", usual, f"virtual.{usual}")
    assert cluster.classes["gpu.amd.com"] == sound["gpu.amd.com"]
    for _ in range(2):
        await how.off(cluster)  # type: ignore[arg-type]
        assert cluster.classes == sound


async def test_a_cluster_without_such_classes_is_left_alone() -> None:
    how = FAULTS[ANOTHER_CLASS].how
    assert isinstance(how, InCluster)
    for cluster in (Cluster("amd"), Cluster("simulated", versions=())):
        before = dict(cluster.classes)
        await how.on(cluster)  # type: ignore[arg-type]
        await how.off(cluster)  # type: ignore[arg-type]
        assert cluster.classes == before
