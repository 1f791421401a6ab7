"""Where a Pod can have only all devices of a host, every check asks for all of them, in either way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from aiconform.check import NothingToLookAt, Settings
from aiconform.checks.dra_support import CHECK
from aiconform.checks.dra_support import probes as dra_support
from aiconform.checks.dra_support.assertions import selector_is_satisfied
from aiconform.checks.dra_support.observations import Allocation
from aiconform.checks.driver_runtime_management import probes as driver_runtime_management
from aiconform.checks.gang_scheduling import placement
from aiconform.checks.pod_autoscaling.scaled_workload import deployment
from aiconform.checks.secure_accelerator_access import probes as secure_accelerator_access
from aiconform.checks.secure_accelerator_access.containers import Containers
from aiconform.cluster import Object
from aiconform.engine.capacity import held
from aiconform.platform import AcceleratorGroup, Device, NodeAccelerators
from aiconform.platform.accelerators.offered import Accelerators
from aiconform.platform.monitoring.collection import CollectionMethod

NODE: Object = {"metadata": {"name": "n1", "labels": {}}, "spec": {}, "status": {}}
ATTRIBUTES = {"tpuGen": "v6e", "uuid": "tpu-25541d5c"}
CHIPS = tuple(Device("tpu.google.com", "n1", f"accel{n}", "n1", {**ATTRIBUTES, "index": n}) for n in range(4))
BY_PLUGIN = NodeAccelerators("device-plugin", "n1", "google.com/tpu", "v6e", total=4, free=4, unit=4)
BY_DRA = NodeAccelerators(
    "dra", "n1", "tpu.google.com", "v6e", total=4, free=4, unit=4, devices=CHIPS, published=4, device_class="tpu"
)


class Fake:
    """Platform, cluster and scratch in one, in which whatever is created is there at once.

    given: the devices that a claim is allocated; as many as it asks for by default.
    """

    def __init__(self, given: tuple[Device, ...] | None = None) -> None:
        self.cluster = self
        self.images = {"shell": "shell:1"}
        self.labels = {"run": "1"}
        self.created: list[Object] = []
        self._given = given

    async def resource_api(self) -> str:
        return "resource.k8s.io/v1"

    async def node(self, _: str) -> Object:
        return NODE

    def name(self, part: str) -> str:
        return f"probe-{part}"

    cluster_name = name

    def tell(self, _: str) -> None: ...

    async def fitted(self, template: Object) -> Object:
        return template

    async def create(self, obj: Object) -> Object:
        made = {**obj, "metadata": {**obj["metadata"], "namespace": "run", "uid": obj["metadata"]["name"]}}
        self.created.append(made)
        return made

    async def get(self, _: str, kind: str, name: str, namespace: str) -> Object:
        (claim,) = (each for each in self.created if (each["kind"], each["metadata"]["name"]) == (kind, name))
        if kind == "Pod":
            return {**claim, "spec": {**claim["spec"], "nodeName": ""}}
        count = claim["spec"]["devices"]["requests"][0]["exactly"]["count"]
        given = CHIPS[:count] if self._given is None else self._given
        allocated = [{"driver": each.driver, "pool": each.pool, "device": each.name} for each in given]
        return {**claim, "status": {"allocation": {"devices": {"results": allocated}}}}

    async def list(self, _: str, kind: str, *, fields: str) -> AsyncIterator[Object]:
        if kind == "Node":
            return
        assert kind == "ResourceSlice"
        assert "spec.driver=" in fields
        devices = [
            {
                "name": each.name,
                "attributes": {
                    key: {"int": value} if isinstance(value, int) else {"string": value}
                    for key, value in each.attributes.items()
                },
            }
            for each in CHIPS
        ]
        pool = {"name": "n1", "generation": 1, "resourceSliceCount": 1}
        yield {"spec": {"driver": "tpu.google.com", "pool": pool, "nodeName": "n1", "devices": devices}}

    @property
    def asked(self) -> list[int]:
        """How many devices each claim, or each Pod by a resource, asks for."""
        found = []
        for obj in self.created:
            if obj["kind"] in ("ResourceClaim", "ResourceClaimTemplate"):
                spec = obj["spec"]["spec"] if obj["kind"].endswith("Template") else obj["spec"]
                found += [each["exactly"]["count"] for each in spec["devices"]["requests"]]
            spec = obj["spec"]["template"]["spec"] if obj["kind"] == "Deployment" else obj.get("spec") or {}
            found += [int(each) for each in map(_limit, spec.get("containers", ())) if each]
        return found


def _limit(made: Object) -> str:
    return str((made["resources"].get("limits") or {}).get("google.com/tpu", ""))


Asking = Callable[[Any, NodeAccelerators], Awaitable[Any]]


async def _gang(fake: Any, target: NodeAccelerators) -> None:
    made = await placement.template(fake, fake, target, [NODE], 0)
    fake.created.append({"kind": "Pod", **made})


WAYS_OF_ASKING: dict[str, Asking] = {
    "secure_accelerator_access": lambda fake, target: Containers(fake, fake, target, 1.0).holder("holder"),
    "driver_runtime_management": lambda fake, target: driver_runtime_management._created(fake, fake, target, "true"),
    "gang_scheduling": _gang,
    "gang_scheduling, a filler": lambda fake, target: placement._filler(fake, fake, target, 1),
    "pod_autoscaling": lambda fake, target: deployment(fake, fake, target, CollectionMethod("as the user says")),
}


@pytest.mark.parametrize("target", [BY_PLUGIN, BY_DRA], ids=["device-plugin", "dra"])
@pytest.mark.parametrize("check", WAYS_OF_ASKING)
async def test_every_check_asks_for_all_devices_of_a_host(check: str, target: NodeAccelerators) -> None:
    fake = Fake()
    await WAYS_OF_ASKING[check](fake, target)
    assert fake.asked == [4]


async def allocated(monkeypatch: pytest.MonkeyPatch, fake: Fake, target: NodeAccelerators = BY_DRA) -> Allocation:
    async def started(*args: Any, **_: Any) -> tuple[Object, str]:
        return args[2], ""

    monkeypatch.setattr(dra_support, "holder_started", started)
    probe = next(each for each in CHECK.probes if each.name == "allocation")
    return cast(Allocation, await probe.function(fake, fake, Settings(), target))


async def test_a_claim_for_a_host_selects_by_what_its_devices_have_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake()
    seen = await allocated(monkeypatch, fake)
    assert (fake.asked, seen.asked, len(seen.allocated), seen.wanted) == ([4], 4, 4, ATTRIBUTES)
    assert seen.given == ATTRIBUTES
    finding = selector_is_satisfied(seen)
    assert (finding.holds, finding.subjects) == (True, 4)


async def test_a_claim_for_one_device_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = await allocated(monkeypatch, Fake(CHIPS[3:]), replace(BY_DRA, unit=1))
    assert (seen.asked, seen.wanted["index"], seen.given["index"]) == (1, 3, 3)
    assert selector_is_satisfied(seen).holds is True


OTHER = Device("tpu.google.com", "n2", "accel0", "n2", {})


@pytest.mark.parametrize("given", [(), CHIPS[:1], (*CHIPS, OTHER), (OTHER, *CHIPS[1:]), (*CHIPS[:3], OTHER)])
async def test_a_host_that_is_not_given_whole_fails(monkeypatch: pytest.MonkeyPatch, given: tuple[Device, ...]) -> None:
    assert selector_is_satisfied(await allocated(monkeypatch, Fake(given))).holds is False


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"free": 3, "devices": CHIPS[:3]}, "3 are free of the 4 that a Pod must ask for"),
        ({"free": 0, "devices": ()}, "all are in use"),
        ({"total": 40, "free": 40, "unit": 40}, "a claim can request 32 at most"),
    ],
)
async def test_what_cannot_be_asked_for_is_not_tried(
    monkeypatch: pytest.MonkeyPatch, change: Object, said: str
) -> None:
    fake = Fake()
    with pytest.raises(NothingToLookAt, match=said):
        await allocated(monkeypatch, fake, replace(BY_DRA, **change))
    assert fake.created == []


@pytest.mark.parametrize("module", [secure_accelerator_access.isolation, driver_runtime_management.installed])
async def test_a_host_that_is_held_in_part_is_not_tried(module: Any) -> None:
    anything: Any = SimpleNamespace()
    with pytest.raises(NothingToLookAt, match="3 are free of the 4 that a Pod must ask for"):
        await module(anything, anything, Settings(), replace(BY_DRA, free=3))


@pytest.mark.parametrize("target", [BY_PLUGIN, BY_DRA], ids=["device-plugin", "dra"])
def test_the_plan_says_what_a_probe_holds(target: NodeAccelerators) -> None:
    here = ("n1", target.kind)
    assert [held(target, most) for most in (0, 1, 2, 1 << 20)] == [{}, {here: 4}, {here: 4}, {here: 4}]
    both = held(AcceleratorGroup((target, replace(target, node="n2"))), 2)
    assert both == {here: 4, ("n2", target.kind): 4}
    assert held(replace(target, unit=1), 2) == {here: 2}
    assert held(replace(target, free=3), 1) == {here: 3}
    assert held(None, 2) == {}


def test_three_pods_need_three_hosts() -> None:
    hosts = tuple(replace(BY_DRA, node=f"n{number}") for number in range(4))
    assert Accelerators(hosts[:2], ()).places(3) == ()
    (place,) = Accelerators(hosts, ()).places(3)
    assert [each.node for each in place.members] == ["n0", "n1", "n2"]


def test_hosts_of_another_size_are_no_place_together() -> None:
    # A template asks for as many as one of them has, which another cannot give.
    hosts = [replace(BY_DRA, node="a"), replace(BY_DRA, node="b", total=8, free=8, unit=8), replace(BY_DRA, node="c")]
    assert Accelerators(tuple(hosts), ()).places(3) == ()
    (place,) = Accelerators(tuple(hosts), ()).places(2)
    assert {each.unit for each in place.members} == {4}
    (gangs,) = placement._places_by("dra", hosts)
    assert {each.node for each in gangs.members} == {"a", "c"}
