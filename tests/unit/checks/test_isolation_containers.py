"""The Pods of secure_accelerator_access: what they do where a policy refuses root, and where the baseline Pod goes."""

from __future__ import annotations

from typing import Any

import pytest

from aiconform.checks.secure_accelerator_access.containers import Containers, node_without_accelerators
from aiconform.cluster import Object, Rejected
from aiconform.cluster.amounts import with_amounts
from aiconform.cluster.scratch import RESTRICTED
from aiconform.kit.as_root import AS_ROOT
from aiconform.kit.container_view import View
from aiconform.platform import Device, NodeAccelerators

TPU = NodeAccelerators("device-plugin", "n1", "google.com/tpu", "v5e", total=4, free=4, unit=4)
GPU = NodeAccelerators("device-plugin", "n1", "nvidia.com/gpu", "H100", total=8, free=8)


def node(name: str, *, labels: dict[str, str] | None = None, taints: Any = (), **capacity: str) -> Object:
    ready = {"type": "Ready", "status": "True"}
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"taints": list(taints)},
        "status": {
            "conditions": [ready],
            "capacity": {key.replace("__", "/"): value for key, value in capacity.items()},
        },
    }


class FakePlatform:
    def __init__(self, *nodes: Object, devices: tuple[Device, ...] = ()) -> None:
        self._nodes, self._devices = list(nodes), list(devices)
        self.images = {"shell": "shell:1"}

    async def nodes(self) -> list[Object]:
        return self._nodes

    async def node(self, name: str) -> Object:
        return next(each for each in self._nodes if each["metadata"]["name"] == name)

    async def devices(self) -> tuple[list[Device], list[Any]]:
        return self._devices, []


class FakeScratch:
    """refuses: whether a policy refuses containers that run as root."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.created: list[Object] = []

    def name(self, part: str) -> str:
        return f"probe-{part}"

    async def create(self, obj: Object) -> Object:
        if self.refuses and any(each["securityContext"].get("runAsUser") == 0 for each in obj["spec"]["containers"]):
            raise Rejected("policy: containers must not run as root", status=403)
        self.created.append(obj)
        return obj


def containers(scratch: FakeScratch, target: NodeAccelerators = GPU) -> Containers:
    return Containers(FakePlatform(node("n1")), scratch, target, 1.0)  # type: ignore[arg-type]


async def test_containers_run_as_root_and_make_nodes_where_they_may() -> None:
    scratch = FakeScratch()
    made = containers(scratch)
    holder, sibling = (await made.holder("holder"))["spec"]["containers"]
    assert holder["securityContext"] == sibling["securityContext"] == AS_ROOT
    assert {"MKNOD", "DAC_OVERRIDE"} == {*AS_ROOT["capabilities"]["add"]}
    assert holder["resources"] == with_amounts({"limits": {"nvidia.com/gpu": "1"}})
    assert sibling["resources"] == with_amounts({})
    assert made.unprivileged == ""


async def test_where_a_policy_refuses_root_the_rest_is_looked_at_and_the_reason_kept() -> None:
    scratch = FakeScratch(refuses=True)
    made = containers(scratch)
    holder, sibling = (await made.holder("holder"))["spec"]["containers"]
    assert holder["securityContext"] == sibling["securityContext"] == RESTRICTED
    assert made.unprivileged == "policy: containers must not run as root"


@pytest.mark.parametrize(
    ("said", "decided"),
    [
        ('admission webhook "policy.example.com" denied the request: NVIDIA_VISIBLE_DEVICES is not allowed', True),
        ('pods "probe-asker" is forbidden: exceeded quota: small', False),
        ('pods "probe-asker" is forbidden: maximum cpu usage per Container is 5m, but limit is 1', False),
    ],
)
async def test_only_a_policy_refuses_a_pod_for_its_environment(
    monkeypatch: pytest.MonkeyPatch, said: str, decided: bool
) -> None:
    made = containers(FakeScratch())

    async def refuse(name: str, node: Object, environment: dict[str, str]) -> View:
        if environment:
            raise Rejected(said, status=403)
        return View(nodes=[], environment={}, mounts=[])

    monkeypatch.setattr(made, "_view", refuse)
    if decided:
        assert await made.asker() == (None, said)
    else:
        with pytest.raises(Rejected):
            await made.asker()


async def test_a_holder_asks_for_as_many_as_are_allocated_only_together() -> None:
    scratch = FakeScratch()
    await containers(scratch, TPU).holder("holder")
    assert scratch.created[0]["spec"]["containers"][0]["resources"]["limits"]["google.com/tpu"] == "4"


@pytest.mark.parametrize(
    "other",
    [
        node("n2", nvidia__com="8"),
        node("n2", labels={"nvidia.com/gpu.product": "H100"}),
        node("n2", taints=[{"key": "dedicated", "effect": "NoSchedule"}]),
        node("n2", labels={"kubernetes.io/os": "windows"}),
    ],
    ids=["resource", "label", "taint", "windows"],
)
async def test_the_baseline_pod_goes_to_a_node_without_accelerators(other: Object) -> None:
    found = await node_without_accelerators(FakePlatform(other, node("n3", cpu="4")))  # type: ignore[arg-type]
    assert found is not None
    assert found["metadata"]["name"] == "n3"
    assert await node_without_accelerators(FakePlatform(other)) is None  # type: ignore[arg-type]


async def test_a_node_with_dra_devices_is_no_baseline() -> None:
    here = Device("gpu.nvidia.com", "n3", "gpu-0", "n3", {})
    anywhere = Device("gpu.nvidia.com", "pool", "gpu-0", None, {})
    for device in (here, anywhere):
        platform = FakePlatform(node("n3"), devices=(device,))
        assert await node_without_accelerators(platform) is None  # type: ignore[arg-type]
