"""Whether sandboxed Pods that ask for an accelerator stay in their sandbox, by the shapes of real platforms."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.sandboxed import GVISOR, HOST, KATA, Node, NodeScratch, kernel, platform, settings

from aiconform.check import Finding, NothingToLookAt
from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.workload_sandboxing.accelerated import one_accelerator, with_accelerator
from aiconform.checks.workload_sandboxing.observations import Accelerated
from aiconform.cluster import Object
from aiconform.platform import NodeAccelerators

ASSERTION = "kernel_is_another_with_accelerator"
GPU = NodeAccelerators("device-plugin", "n1", "nvidia.com/gpu", "H100", total=4, free=4, profile="NVIDIA GPU")
LIMITS = {"nvidia.com/gpu": "1"}
# It tells nothing but a release, which is the node's.
SILENT = kernel("6.8.0-45-generic", "", "", 0)


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Pods do here, they do at once."""
    monkeypatch.setattr("aiconform.checks.workload_sandboxing.starts._LOOK_SECONDS", 0.05)
    monkeypatch.setattr("aiconform.checks.workload_sandboxing.starts._REFUSED_SECONDS", 0.1)
    monkeypatch.setattr("aiconform.kit.starting.LATE_SECONDS", 0.05)


class Accelerators(Node):
    """with_accelerator: what the kernel of Pods with an accelerator says, in place of their class's."""

    def __init__(self, *classes: tuple[str, str], with_accelerator: list[str] | None = None, **more: object) -> None:
        super().__init__(*classes, **more)  # type: ignore[arg-type]
        self.with_accelerator = with_accelerator

    def printed(self, made: Object) -> list[str]:
        asks = "resources" in made["spec"]["containers"][0] and _asks(made)
        if asks and self.with_accelerator is not None:
            kernels, self.kernels = self.kernels, dict.fromkeys(self.kernels, self.with_accelerator)
            try:
                return super().printed(made)
            finally:
                self.kernels = kernels
        return super().printed(made)


def _asks(made: Object) -> bool:
    limits = made["spec"]["containers"][0]["resources"].get("limits") or {}
    return "nvidia.com/gpu" in limits


async def tried(cluster: Node, target: NodeAccelerators | None = GPU) -> tuple[Finding, Accelerated]:
    try:
        seen = await with_accelerator(platform(cluster), NodeScratch(cluster), settings(), target)  # type: ignore[arg-type]
    finally:
        cluster.made, cluster.created = cluster.created, []
    return findings(load_check("workload_sandboxing"), seen)[ASSERTION], seen


@pytest.mark.parametrize("own", [GVISOR, KATA])
async def test_a_sandbox_that_supports_accelerators(own: list[str]) -> None:
    cluster = Accelerators(("sandbox", "runsc"), kernels={"sandbox": own})
    found, seen = await tried(cluster)
    assert found.holds is True
    assert "its device nodes: /dev/nvidia0 opened" in found.reason
    (made,) = cluster.made
    assert _asks(made)
    assert made["spec"]["runtimeClassName"] == "sandbox"
    assert [each.device for each in seen.pods[0].opens] == ["/dev/nvidia0"], "not what any container may have"


async def test_not_all_that_a_container_prints_of_devices_is_kept() -> None:
    cluster = Accelerators(("gvisor", "runsc"))
    cluster.opens = [f"own /dev/nvidia{number} {'x' * 1000}" for number in range(1000)]
    _, seen = await tried(cluster)
    assert len(seen.pods[0].opens) == 400
    assert len(seen.model_dump_json()) < 200_000


async def test_a_device_that_the_sandbox_does_not_open_or_show_is_told() -> None:
    cluster = Accelerators(("gvisor", "runsc"))
    cluster.opens = ["own /dev/nvidia0 sh: can't open /dev/nvidia0: No such device or address"]
    found, _ = await tried(cluster)
    assert found.holds is True
    assert "No such device" in found.reason
    cluster = Accelerators(("gvisor", "runsc"))
    cluster.opens = []
    found, _ = await tried(cluster)
    assert found.holds is True
    assert "no device node" in found.reason


async def test_a_pod_that_loses_its_sandbox_with_an_accelerator() -> None:
    found, seen = await tried(Accelerators(("gvisor", "runsc"), with_accelerator=HOST))
    assert found.holds is False
    assert "one kernel: boot id boot-1" in found.reason
    assert seen.pods[0].without is not None


async def test_a_class_that_is_no_sandbox_loses_none() -> None:
    found, _ = await tried(Accelerators(("gvisor", "runsc"), kernels={"gvisor": HOST}))
    assert found.holds is None
    assert not found.applies
    assert "no sandbox without an accelerator either" in found.reason


async def test_a_kernel_that_tells_nothing_decides_nothing() -> None:
    found, _ = await tried(Accelerators(("gvisor", "runsc"), with_accelerator=SILENT))
    assert found.holds is None
    assert found.applies


async def test_a_sandbox_that_runs_no_pod_with_an_accelerator_does_not_support_it() -> None:
    cluster = Accelerators(("gvisor", "runsc"))
    cluster.broken = {"gvisor": "device /dev/nvidia0 is not supported"}
    found, _ = await tried(cluster)
    assert found.holds is None
    assert not found.applies
    assert "is not supported" in found.reason


async def test_a_class_of_its_own_for_accelerators_is_tried_after_another() -> None:
    cluster = Accelerators(("kata-qemu", "kata-qemu"), ("kata-qemu-nvidia-gpu", "kata-qemu-nvidia-gpu"))
    cluster.broken = {"kata-qemu": "no VFIO"}
    found, seen = await tried(cluster)
    assert found.holds is True
    assert [each.name for each in seen.pods] == ["kata-qemu", "kata-qemu-nvidia-gpu"]


async def test_without_accelerators_nothing_is_tried() -> None:
    cluster = Accelerators(("gvisor", "runsc"))
    found, _ = await tried(cluster, None)
    assert not found.applies
    assert not cluster.made


async def test_accelerators_that_others_hold_are_nothing_to_look_at() -> None:
    with pytest.raises(NothingToLookAt, match="in use"):
        await tried(Accelerators(("gvisor", "runsc")), replace(GPU, free=0))


@pytest.mark.parametrize(("labels", "chosen"), [({}, True), ({"sandbox": "gvisor"}, False)])
async def test_only_nodes_where_the_class_may_run_are_chosen(labels: dict[str, str], chosen: bool) -> None:
    cluster = Accelerators(("gvisor", "runsc"))
    cluster.status["allocatable"] = {"nvidia.com/gpu": "4"}
    for each in cluster.objects:
        if each["kind"] == "RuntimeClass":
            each["scheduling"] = {"nodeSelector": labels}
    found = await one_accelerator(platform(cluster), settings())
    assert [each and each.name for each in found] == (["nvidia.com/gpu"] if chosen else [None])
