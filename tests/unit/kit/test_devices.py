"""Asking for devices: what is created, and what a Pod gets from it, for both ways of asking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiconform.cluster import Conflict, NotFound, Object, Stuck
from aiconform.kit.devices import DeviceRequest, allocated_claim, claim_request, request_devices
from aiconform.platform import NodeAccelerators

DRIVER = "gpu.example.com"


class FakePlatform:
    async def resource_api(self) -> str:
        return "resource.k8s.io/v1"


class FakeScratch:
    """Creates objects after a moment, as a cluster does; a name that exists is a conflict."""

    def __init__(self) -> None:
        self.labels = {"run": "1"}
        self.created: list[Object] = []
        self._names: set[tuple[str, str]] = set()

    def name(self, part: str) -> str:
        return f"probe-{part}"

    def cluster_name(self, part: str) -> str:
        return f"run-probe-{part}"

    async def create(self, obj: Object) -> Object:
        await asyncio.sleep(0)
        key = (obj["kind"], obj["metadata"]["name"])
        if key in self._names:
            raise Conflict(f"create {key}")
        self._names.add(key)
        self.created.append(obj)
        return obj

    def of(self, kind: str) -> list[Object]:
        return [obj for obj in self.created if obj["kind"] == kind]


def target(way: Any, device_class: str = "", **fields: Any) -> NodeAccelerators:
    name = DRIVER if way == "dra" else "example.com/gpu"
    return NodeAccelerators(way, "n1", name, "A", total=4, free=4, device_class=device_class, **fields)


async def ask(scratch: FakeScratch, about: NodeAccelerators, **fields: Any) -> DeviceRequest:
    return await request_devices(FakePlatform(), scratch, about, **fields)  # type: ignore[arg-type]


async def test_a_device_plugin_needs_a_limit_and_nothing_else() -> None:
    scratch = FakeScratch()
    asked = await ask(scratch, target("device-plugin"), count=3, template=True)
    assert asked == DeviceRequest({"limits": {"example.com/gpu": "3"}})
    assert not scratch.created


async def test_a_claim_is_created_and_named_in_the_pod() -> None:
    scratch = FakeScratch()
    asked = await ask(scratch, target("dra", "gpus"), count=2, selector="true")
    (claim,) = scratch.created
    assert asked.claim == claim
    assert claim["spec"]["devices"]["requests"] == [
        {
            "name": "device",
            "exactly": {
                "deviceClassName": "gpus",
                "allocationMode": "ExactCount",
                "count": 2,
                "selectors": [{"cel": {"expression": "true"}}],
            },
        }
    ]
    assert asked.resources == {"claims": [{"name": "device"}]}
    assert asked.pod_spec == {"resourceClaims": [{"name": "device", "resourceClaimName": "probe-claim"}]}


async def test_a_claim_selects_the_kind_and_asks_for_what_is_left_of_a_shared_device() -> None:
    scratch = FakeScratch()
    await ask(
        scratch, target("dra", "gpus", selector="kind", capacity=(("cores", 1.5), ("memory", 2.0**33))), selector="mine"
    )
    asked = scratch.created[0]["spec"]["devices"]["requests"][0]["exactly"]
    assert [entry["cel"]["expression"] for entry in asked["selectors"]] == ["kind", "mine"]
    assert asked["capacity"] == {"requests": {"cores": "1500m", "memory": "8589934592"}}


async def test_a_template_labels_the_claims_of_its_pods() -> None:
    scratch = FakeScratch()
    asked = await ask(scratch, target("dra", "gpus"), template=True)
    (template,) = scratch.of("ResourceClaimTemplate")
    assert template["spec"]["metadata"] == {"labels": scratch.labels}
    assert template["spec"]["spec"]["devices"]["requests"][0]["exactly"]["count"] == 1
    assert asked.pod_spec == {"resourceClaims": [{"name": "device", "resourceClaimTemplateName": "probe-claim"}]}
    assert asked.claim is None


@pytest.mark.parametrize(
    ("count", "unit", "sizes"), [(32, 1, [32]), (33, 1, [32, 1]), (64, 1, [32, 32]), (2, 20, [32, 8])]
)
@pytest.mark.parametrize("template", [True, False])
async def test_a_claim_has_32_devices_at_most(count: int, unit: int, sizes: list[int], template: bool) -> None:
    scratch = FakeScratch()
    asked = await ask(scratch, target("dra", "gpus", unit=unit), count=count, name="n" * 63, template=template)
    specs = [each["spec"]["spec"] if template else each["spec"] for each in scratch.created]
    assert [spec["devices"]["requests"][0]["exactly"]["count"] for spec in specs] == sizes
    names = [each["metadata"]["name"] for each in scratch.created]
    assert max(map(len, names)) <= 63
    source = "resourceClaimTemplateName" if template else "resourceClaimName"
    assert [each[source] for each in asked.pod_spec["resourceClaims"]] == names
    assert [each["name"] for each in asked.resources["claims"]] == ["device", "device-2"][: len(sizes)]
    assert list(asked.claims) == ([] if template else scratch.created)


async def test_the_unit_of_allocation_is_asked_for() -> None:
    asked = await ask(FakeScratch(), target("device-plugin", unit=4))
    assert asked.resources == {"limits": {"example.com/gpu": "4"}}


@pytest.mark.parametrize("together", [True, False])
async def test_a_class_is_created_once_where_the_platform_has_none(together: bool) -> None:
    scratch = FakeScratch()
    requests = [ask(scratch, target("dra"), name=name) for name in ("one", "two")]
    if together:
        await asyncio.gather(*requests)
    else:
        for request in requests:
            await request
    (device_class,) = scratch.of("DeviceClass")
    assert device_class["spec"]["selectors"] == [{"cel": {"expression": f'device.driver == "{DRIVER}"'}}]
    claims = scratch.of("ResourceClaim")
    assert sorted(claim["metadata"]["name"] for claim in claims) == ["one", "two"]
    names = {claim["spec"]["devices"]["requests"][0]["exactly"]["deviceClassName"] for claim in claims}
    assert names == {device_class["metadata"]["name"]}


def test_a_request_has_the_shape_of_its_version() -> None:
    new = claim_request("resource.k8s.io/v1", "c", selectors=["true"])
    old = claim_request("resource.k8s.io/v1beta1", "c", selectors=["true"])
    assert new == {"name": "device", "exactly": {key: value for key, value in old.items() if key != "name"}}


CLAIM: Object = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceClaim",
    "metadata": {"namespace": "ns", "name": "c"},
}
POD: Object = {"metadata": {"namespace": "ns", "name": "p"}, "spec": {"nodeName": "n"}}
ALLOCATION = {"devices": {"results": [{"driver": DRIVER, "pool": "n", "device": "gpu-0"}]}}


class OfOnePod:
    """A cluster with one Pod and its claim."""

    def __init__(self, pod: Object | None, allocation: Object | None = None) -> None:
        self.pod, self.allocation = pod, allocation

    async def get(self, _: str, kind: str, name: str, namespace: str) -> Object:
        if kind == "ResourceClaim":
            return {**CLAIM, "status": {"allocation": self.allocation} if self.allocation else {}}
        if self.pod is None:
            raise NotFound("not there")
        return self.pod

    async def list(self, *about: str, fields: str) -> AsyncIterator[Object]:
        yield {"metadata": {"name": "n"}, "spec": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}


async def test_a_claim_without_an_allocation_says_something_only_of_a_pod_that_runs() -> None:
    async def read(pod: Object | None, allocation: Object | None = None, running: Object | None = POD) -> Object:
        return await allocated_claim(OfOnePod(pod, allocation), CLAIM, running)  # type: ignore[arg-type]

    assert (await read(None, ALLOCATION))["status"]["allocation"] == ALLOCATION
    assert await read(POD) == {**CLAIM, "status": {}}, "nothing was allocated, and the Pod runs all the same"
    assert await read(None, running=None) == {**CLAIM, "status": {}}, "the Pod never ran"
    with pytest.raises(Stuck, match="ResourceClaim c is allocated nothing any more; Pod p ran; someone else deleted"):
        await read(None)
