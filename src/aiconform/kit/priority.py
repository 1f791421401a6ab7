"""The priority of Pods that fill nodes or wait for room: nobody's Pods are evicted for them.

Without a PriorityClass they have the cluster's default priority, and the scheduler evicts any Pod below it, such as the
placeholders that keep spare nodes ready. The class belongs to the run's Namespace, which collects it.
"""

from __future__ import annotations

from dataclasses import replace

from aiconform.check import Access
from aiconform.cluster import BeyondNamespace, Conflict, Object, Rejected, Stuck, wait
from aiconform.cluster.scratch import Scratch
from aiconform.platform.accelerators.offered import extended_resources

VALUE = -10
"""The lowest priority for which Cluster Autoscaler still adds nodes (its flag expendable-pods-priority-cutoff). Real
work goes first: it may take the place of such a Pod, which ends a probe with an error.

https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md
"""
PRIORITY_ACCESS = (
    Access("scheduling.k8s.io", "priorityclasses", ("create", "get", "list", "watch", "delete"), everywhere=True),
)
# Of a probe whose Pods wait only where few devices are free, and only beside Pods of lower priority that hold some.
WAITING_ACCESS = tuple(replace(each, optional=True) for each in PRIORITY_ACCESS)


async def evicting_nobody(scratch: Scratch) -> str:
    """The name of the probe's PriorityClass, which is created first if need be; where it may not be, of the user's.

    Raises Stuck, ClusterError.
    """
    name = scratch.cluster_name("priority")
    if any(obj["kind"] == "PriorityClass" and obj["metadata"]["name"] == name for obj in scratch.created):
        return name
    try:
        await scratch.create(
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name},
                "value": VALUE,
                "preemptionPolicy": "Never",
                "description": "Pods of aiconform that fill nodes or wait for room; nobody is evicted for them.",
            }
        )
    except Conflict:
        # Another Pod of this probe asked for it at the same time: no other probe uses this name.
        return name
    except BeyondNamespace:
        if not scratch.priority_class:
            raise
        return await _harmless(scratch, scratch.priority_class)
    except Rejected as error:
        raise Stuck(
            "a policy forbids the PriorityClass without which Pods of this check could evict those of others: "
            f"{error}. Let it pass PriorityClasses with preemptionPolicy Never and a name that begins with aiconform-"
        ) from error
    return name


async def for_waiting(scratch: Scratch, beside: Object) -> str:
    """The PriorityClass of a Pod that may have to wait for devices on the node of `beside`.

    beside: a running Pod of the same probe, which asked for the same. Empty if nobody there could be evicted for a Pod
    without a class: then none is made. The scheduler evicts Pods only where the waiting one fits without them, so only
    those that hold some of what it lacks are in danger. Raises Stuck, ClusterError.

    https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/#preemption
    """
    priority, node, wanted = beside["spec"].get("priority") or 0, beside["spec"]["nodeName"], _held(beside)
    async for other in scratch.cluster.list("v1", "Pod", fields=f"spec.nodeName={node}"):
        lower = not wait.ended(other) and (other["spec"].get("priority") or 0) < priority
        if lower and wanted & _held(other):
            return await evicting_nobody(scratch)
    return ""


def _held(pod: Object) -> set[str]:
    """The extended resources that a Pod holds, and "claims" if it holds devices by DRA."""
    by_dra = pod["spec"].get("resourceClaims") or (pod.get("status") or {}).get("extendedResourceClaimStatus")
    return {*extended_resources(pod), *(("claims",) if by_dra else ())}


async def _harmless(scratch: Scratch, name: str) -> str:
    """The name of the user's PriorityClass, if nobody can be evicted for it. Raises Stuck, ClusterError."""
    found = await scratch.cluster.get("scheduling.k8s.io/v1", "PriorityClass", name)
    if found.get("preemptionPolicy") != "Never":
        raise Stuck(
            f"Pods of others could be evicted for PriorityClass {name} of --pod-template: name one with "
            "preemptionPolicy Never"
        )
    return name
