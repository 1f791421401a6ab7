"""Which RuntimeClasses may be sandboxes, by their names and handlers, and in which order they are tried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sandboxed import Node, platform

from aiconform.cluster import Forbidden, Object
from aiconform.platform.sandboxes import AgentSandbox, choose, known_runtimes, sandboxes

NONE = AgentSandbox()


def classes(**handlers: str) -> list[Object]:
    return [{"metadata": {"name": name.replace("_", "-")}, "handler": handler} for name, handler in handlers.items()]


@pytest.mark.parametrize(
    ("name", "handler", "title"),
    [
        ("gvisor", "gvisor", "GKE Sandbox"),
        ("gvisor", "runsc", "gVisor"),
        ("sandboxed", "runsc-kvm", "gVisor"),
        ("kata-vm-isolation", "kata", "AKS Pod Sandboxing"),
        ("kata-qemu-snp", "kata-qemu-snp", "Confidential Containers"),
        ("kata-qemu-se", "kata-qemu-se", "Confidential Containers"),
        ("kata-cc-isolation", "kata-cc", "Confidential Containers"),
        ("kata-remote", "kata-remote", "Kata peer pods"),
        ("kata-remote-gpu", "kata-remote-gpu", "Kata peer pods"),
        ("kata-qemu-nvidia-gpu", "kata-qemu-nvidia-gpu", "Kata Containers for accelerators"),
        ("kata-fc", "kata-fc", "Kata Containers with Firecracker"),
        ("kata-dragonball", "kata-dragonball", "Kata Containers with another hypervisor"),
        ("runv", "runv", "ACK Sandboxed-Container"),
        ("edera", "edera", "Edera"),
    ],
)
def test_sandboxes_are_known(name: str, handler: str, title: str) -> None:
    (found,) = choose([{"metadata": {"name": name}, "handler": handler}], NONE).classes
    assert found.known
    assert found.known.title == title


@pytest.mark.parametrize(
    ("name", "handler", "title"),
    [
        ("nvidia", "nvidia", "NVIDIA Container Runtime"),
        ("nvidia-cdi", "nvidia-cdi", "NVIDIA Container Runtime"),
        ("habana", "habana", "Habana Container Runtime"),
        ("crun", "crun", "crun"),
        ("crun-wasm", "crun-wasm", "WebAssembly"),
        ("wasmtime-spin-v2", "spin", "WebAssembly"),
        ("sysbox-runc", "sysbox-runc", "Sysbox"),
        ("performance-gpu", "high-performance", "OpenShift's performance profile"),
        ("fast", "runc", "runc"),
    ],
)
def test_ordinary_runtimes_are_passed_over(name: str, handler: str, title: str) -> None:
    found = choose([{"metadata": {"name": name}, "handler": handler}], NONE)
    assert found.classes == ()
    assert title in found.passed_over[0]
    (named,) = choose([{"metadata": {"name": name}, "handler": handler}], NONE, name).classes
    assert named.name == name


def test_a_class_that_is_called_like_a_sandbox_is_tried_whatever_its_handler() -> None:
    (found,) = choose(classes(gvisor="runc"), NONE).classes
    assert (found.name, found.handler) == ("gvisor", "runc")


def test_of_kata_deploys_many_classes_the_usual_ones_come_first() -> None:
    names = ("clh", "cloud_hypervisor", "dragonball", "fc", "qemu", "qemu_runtime_rs", "qemu_tdx", "stratovirt")
    there = classes(**{f"kata_{name}": f"kata-{name.replace('_', '-')}" for name in names})
    found = [each.name for each in choose(there, NONE).classes]
    assert found[:2] == ["kata-clh", "kata-qemu"]
    assert found[-2:] == ["kata-qemu-tdx", "kata-fc"]


def test_known_ones_come_first_and_those_that_need_more_last() -> None:
    there = classes(kata_remote="kata-remote", zeta="zeta", kata="kata", gvisor="runsc", kata_qemu_tdx="kata-qemu-tdx")
    names = [each.name for each in choose(there, NONE).classes]
    assert names == ["gvisor", "kata", "kata-remote", "kata-qemu-tdx", "zeta"]
    agents = AgentSandbox("a/v1alpha1", "e/v1alpha1", (("agents/python", "zeta"),))
    first, *_ = choose(there, agents).classes
    assert "named by SandboxTemplate agents/python" in str(first)
    machine = next(each for each in choose(there, NONE).classes if each.name == "kata-remote")
    assert machine.machine


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=8, unique_by=lambda pair: pair[0]))
def test_every_class_is_tried_or_passed_over(pairs: list[tuple[str, str]]) -> None:
    there = [{"metadata": {"name": name}, "handler": handler} for name, handler in pairs]
    found = choose(there, NONE)
    assert len(found.classes) + len(found.passed_over) == len(pairs)
    assert found == choose(list(reversed(there)), NONE) or len(found.passed_over) > 1


def test_what_is_known_has_sources_and_reasons() -> None:
    known, ordinary = known_runtimes()
    assert all(each.source.startswith("https://") and (each.classes or each.handlers) for each in (*known, *ordinary))
    assert all(each.why for each in ordinary)
    assert not any(each.why for each in known)


class Agents(Node):
    """agent-sandbox is served; templates may be listed unless `closed`."""

    closed = False

    def list(self, api_version: str, kind: str, namespace: str | None = None, **fields: str):  # type: ignore[no-untyped-def,override]
        if kind == "SandboxTemplate" and self.closed:
            raise Forbidden("no permission to list sandboxtemplates", verb="list", resource="sandboxtemplates")
        return super().list(api_version, kind, namespace, **fields)


async def test_agent_sandbox_is_read_by_its_versions_and_templates() -> None:
    cluster = Agents(("own", "own"), ("gvisor", "runsc"))
    cluster.served = {"agents.x-k8s.io": ("v1beta1", "v1alpha1"), "extensions.agents.x-k8s.io": ("v1alpha1",)}
    spec = {"podTemplate": {"spec": {"runtimeClassName": "own"}}}
    cluster.objects.append({"kind": "SandboxTemplate", "metadata": {"name": "t", "namespace": "team"}, "spec": spec})
    found = await sandboxes(platform(cluster))
    assert found.agents.core == "agents.x-k8s.io/v1beta1"
    assert found.agents.extensions == "extensions.agents.x-k8s.io/v1alpha1"
    assert found.classes[0].template == "team/t"
    cluster.closed = True
    found = await sandboxes(platform(cluster))
    assert "its templates are not read" in found.agents.problem
    assert found.classes[0].name == "gvisor"


async def test_an_unknown_version_of_agent_sandbox_is_told() -> None:
    cluster = Agents()
    cluster.served = {"agents.x-k8s.io": ("v9",)}
    found = await sandboxes(platform(cluster))
    assert found.agents.core == ""
    assert "agents.x-k8s.io is served as v9 only" in found.looked
