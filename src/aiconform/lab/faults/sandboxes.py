"""Faults of sandboxes: each takes one thing away that separates a sandbox from its host."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from aiconform.lab.addons import gvisor
from aiconform.lab.faults.fault import Fault, InCluster, InSandboxes, assertions
from aiconform.lab.faults.policies import changing
from aiconform.lab.faults.sandbox_config import HOST

if TYPE_CHECKING:
    from aiconform.cluster import Cluster

_CHECK = "workload_sandboxing"
_RUNTIME_CLASS = "node.k8s.io/v1"
_NO_HANDLER = "nowhere"
_SECONDS = 30.0


async def _set_handler(cluster: Cluster, handler: str) -> None:
    """Have the RuntimeClass name this handler. It cannot be changed, so the object is replaced."""
    from aiconform.cluster import NotFound, wait

    try:
        found = await cluster.get(_RUNTIME_CLASS, "RuntimeClass", gvisor.RUNTIME_CLASS)
    except NotFound:
        found = None
    if found and found["handler"] == handler:
        return
    if found:
        await cluster.delete(found)
        await wait.gone(cluster, found, seconds=_SECONDS)
    labels = found["metadata"].get("labels", {}) if found else {}
    await cluster.apply(
        {
            "apiVersion": _RUNTIME_CLASS,
            "kind": "RuntimeClass",
            "metadata": {"name": gvisor.RUNTIME_CLASS, "labels": labels},
            "handler": handler,
        }
    )


def _fault(name: str, description: str, *breaks: str) -> Fault:
    return Fault(name, description, assertions(_CHECK, *breaks), InSandboxes(), needs=(gvisor.ADD_ON.name,))


_KERNEL, _MEMORY, _HOST_FILES = "kernel_is_another", "memory_is_isolated", "host_filesystem_is_unreachable"

FAULTS = (
    _fault("sandbox-is-runc", "The sandbox's handler is the ordinary runtime.", _KERNEL, _MEMORY),
    _fault(
        "sandbox-shares-processes",
        "The sandbox's handler is the ordinary runtime, in the process namespace of its host.",
        *(_KERNEL, _MEMORY, "no_foreign_process_is_visible"),
    ),
    _fault("sandbox-shares-network", "The sandbox is in the network of its host.", "network_is_isolated"),
    _fault("sandbox-mounts-host", f"The sandbox has folders of its host at {HOST}, for reading.", _HOST_FILES),
    _fault(
        "sandbox-fakes-kernel",
        "The sandbox's handler is the ordinary runtime; what files and uname tell of kernel and memory is faked.",
        *(_KERNEL, _MEMORY),  # sysinfo(2) tells the memory, too
    ),
    _fault("sandbox-sees-all-memory", "The sandbox has no limit of memory but its host's memory.", _MEMORY),
    _fault("sandbox-without-services", "The sandbox reaches the Pods of its node only.", "services_are_reachable"),
    _fault(
        "sandbox-is-privileged",
        "The sandbox's handler is the ordinary runtime, with the privileges of its host.",
        *(_KERNEL, _MEMORY, "host_is_not_changed"),
    ),
    Fault(
        "sandbox-lost-with-accelerator",
        "Pods that ask for an accelerator run without their sandbox.",
        assertions(_CHECK, "kernel_is_another_with_accelerator"),
        changing(
            "sandbox-lost-with-accelerator",
            "pods",
            "[JSONPatch{op: 'remove', path: '/spec/runtimeClassName'}]",
            condition="has(object.spec.runtimeClassName) && object.spec.containers.exists(each, has(each.resources) && "
            "(has(each.resources.claims) || "
            "has(each.resources.limits) && each.resources.limits.exists(name, name.contains('/'))))",
        ),
        needs=(gvisor.ADD_ON.name,),
    ),
    Fault(
        "sandbox-handler-missing",
        "The sandbox's RuntimeClass names a handler that no node has.",
        assertions(_CHECK, _KERNEL),
        InCluster(
            on=partial(_set_handler, handler=_NO_HANDLER),
            off=partial(_set_handler, handler=gvisor.HANDLER),
        ),
        needs=(gvisor.ADD_ON.name,),
    ),
)
