"""The Pods that probes make, and what becomes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aiconform.check import Access
from aiconform.cluster import (
    Cluster,
    ClusterError,
    NotCreated,
    NotFound,
    Object,
    Stuck,
    TimedOut,
    admission,
    conditions,
    wait,
)
from aiconform.cluster.amounts import with_amounts
from aiconform.cluster.conditions import Condition
from aiconform.cluster.scratch import RESTRICTED
from aiconform.platform.accelerators.nodes import Toleration, tolerations, usable_node

# The first process of a container has no default action for SIGTERM: without the trap, a deletion takes the full grace
# period.
STAY = "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"


POD_ACCESS = (
    Access("", "pods", ("create", "get", "list", "watch", "delete")),
    Access("", "pods/log", ("get",)),
    Access("", "nodes", ("list",), everywhere=True),
    Access("", "events", ("list",)),
)


def container(name: str, image: str, script: str, *, resources: Object | None = None, **fields: Any) -> Object:
    """A container that runs a shell script, restricted unless `securityContext` is given.

    It has requests and limits besides those of `resources`: some solutions sum them before the Pod is created.
    """
    return {
        "name": name,
        "image": image,
        "command": ["sh", "-c", script],
        "securityContext": RESTRICTED,
        "resources": with_amounts(resources),
        **fields,
    }


def pod(name: str, node: Object, containers: Sequence[Object], **spec: Any) -> Object:
    """A Pod that tolerates the taints of `node` and can be scheduled to no other node."""
    return pod_on_one_of(name, [node], containers, **spec)


def pod_on_one_of(name: str, nodes: Sequence[Object], containers: Sequence[Object], **spec: Any) -> Object:
    """A Pod that tolerates the taints of these nodes and can be scheduled to no other."""
    # A term can name one node only.
    terms = [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node["metadata"]["name"]]}]}
        for node in nodes
    ]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    every = [toleration for node in nodes for toleration in tolerations(node)]
    tolerated = [each for position, each in enumerate(every) if each not in every[:position]]
    return pod_anywhere(name, containers, affinity=affinity, tolerations=tolerated, **spec)


def pod_anywhere(
    name: str,
    containers: Sequence[Object],
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Object:
    """A Pod that can be scheduled to any node without taints."""
    about = {"labels": dict(labels or {}), "annotations": dict(annotations or {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **{field: values for field, values in about.items() if values}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "containers": list(containers),
            **spec,
        },
    }


def container_runs(seen: Object, name: str) -> bool:
    """Whether this container of a Pod runs; what admission adds to Pods may have ended, or end."""
    status = seen["status"]
    each = status.get("containerStatuses") or []
    return status.get("phase") == "Running" and any(
        entry["name"] == name and "running" in entry["state"] for entry in each
    )


def ready(seen: Object) -> Object | None:
    """The Pod, if it is Ready: a condition for `wait.until`. Raises Stuck for a Pod that cannot start."""
    wait.refuse_unrecoverable(seen)
    return seen if conditions.is_true(seen, "Ready") else None


def unschedulable(seen: Object) -> Condition | None:
    """What the scheduler says of a Pod for which it found no node; None if it found one or has not decided yet.

    It does not look at a Pod that is held by scheduling gates, as by Kueue for Pods that are not in a queue.
    """
    scheduled = conditions.find(seen, "PodScheduled")
    waits = scheduled is not None and scheduled.is_false and not seen["spec"].get("nodeName")
    waits = waits and scheduled is not None and scheduled.reason != "SchedulingGated"
    return scheduled if waits else None


# What a scheduler says that a node is short of. The last one is Kueue's, of topologies.
_SHORT = re.compile(r'insufficient |too many pods|volume|resource "(cpu|memory|pods|ephemeral-storage)"', re.IGNORECASE)


def waits_for_devices(message: str, name: str) -> bool:
    """Whether a scheduler can mean these devices, and does not only say that nodes are short of something else."""
    return name in message or "claim" in message or not _SHORT.search(message)


def refused_by_kubelet(seen: Object) -> str | None:
    """Why the kubelet rejected a Pod that was scheduled to its node, for example because Allocate failed."""
    status = seen.get("status") or {}
    if status.get("phase") == "Failed" and status.get("reason"):
        return f"{status['reason']}: {status.get('message', '')}"
    return None


# Why the kubelet fails Pods because of what its node is short of, or is about to do, at the moment: the reasons of its
# admission and eviction managers, in Kubernetes' pkg/kubelet/{lifecycle,eviction,nodeshutdown,preemption}.
_OF_THE_NODE = re.compile(
    r"Evicted|Preempting|Terminated|NodeShutdown|NodeAffinity|NodeLost|TopologyAffinityError"
    r"|OutOf(cpu|memory|pods|ephemeral-storage|hugepages-.*)"
)


# What the kubelet says of a Pod for which others left too little of a resource (Kubernetes' pkg/kubelet/lifecycle), as
# where two schedulers give away the same device. Where nobody uses one, its plugin offers less than it did.
_TAKEN_BY_OTHERS = re.compile(r"didn't have enough resource: .*, used: [1-9]\d*, capacity: [1-9]")
# Why a container that the runtime created has ended without having run.
_NEVER_RAN = {"StartError", "ContainerCannotRun"}


def trouble_of_the_node(seen: Object) -> str | None:
    """Why a Pod ended that has nothing to do with the Pod: evicted, preempted, a full node, one that shuts down.

    Also a device that the kubelet had given to another Pod by then.
    """
    status = seen.get("status") or {}
    disrupted = conditions.find(seen, "DisruptionTarget")
    if disrupted is not None and disrupted.is_true:
        return disrupted.words
    reason, said = status.get("reason") or "", status.get("message") or ""
    taken = reason.startswith("OutOf") and _TAKEN_BY_OTHERS.search(said)
    if status.get("phase") == "Failed" and (taken or _OF_THE_NODE.fullmatch(reason)):
        return refused_by_kubelet(seen)
    return None


async def lost_node(cluster: Cluster, name: str, tolerated: Sequence[Toleration] = ()) -> str | None:
    """Why no Pod can use the node of this name; None if one can, or if there is no name. Raises ClusterError.

    tolerated: taints that do not count.
    """
    found = [usable_node(node, tolerated) async for node in cluster.list("v1", "Node", fields=f"metadata.name={name}")]
    if name and not found:
        return f"node {name} is gone"
    return next(filter(None, found), None)


async def meanwhile(cluster: Cluster, pod: Object) -> list[str]:
    """What became of a Pod that ran, or of its node, as far as others are why; empty if it still runs undisturbed."""
    metadata = pod["metadata"]
    try:
        seen = await cluster.get("v1", "Pod", metadata["name"], metadata["namespace"])
        lost = await lost_node(cluster, seen["spec"].get("nodeName", ""))
    except NotFound:
        return ["someone else deleted the Pod"]
    except ClusterError as error:
        return [str(error)]
    going = "someone else deletes the Pod" if seen["metadata"].get("deletionTimestamp") else None
    return [trouble for trouble in (trouble_of_the_node(seen), lost, going) if trouble]


async def started(cluster: Cluster, created: Object, *, seconds: float) -> tuple[Object | None, str]:
    """(the running Pod, "") or (None, why the Pod did not start on its node).

    Whether a device is the reason, `starting.holder_started` finds out. Raises TimedOut if the Pod was not scheduled,
    NotCreated if the runtime could not start a container, and Stuck for reasons that have nothing to do with devices:
    an image that cannot be pulled, an evicted Pod or one that someone deleted, a node that is full or no longer Ready.
    """
    what = start_of(created)
    last: Object = created

    def condition(seen: Object) -> Object | None:
        nonlocal last
        last = seen
        return wait.running(seen)

    try:
        found = await wait.until(cluster, created, condition, seconds=seconds, what=what)
    except TimedOut as error:
        return None, await not_in_time(cluster, last, error)
    problem = refused(found)
    return (None, problem) if problem else (found, "")


def start_of(made: Object) -> str:
    """What is waited for, in words."""
    return f"Pod {made['metadata']['name']} to start"


async def not_in_time(cluster: Cluster, last: Object, error: TimedOut) -> str:
    """Why a Pod did not start on its node in time, by its last state. Raises as `started`."""
    node = last["spec"].get("nodeName")
    if not node:
        raise error
    if lost := await lost_node(cluster, node):
        raise Stuck(f"{start_of(last)}: {lost}") from error
    return f"{error}; {await events(cluster, last)}"


def refused(found: Object) -> str:
    """Why the kubelet refused a Pod that `wait.running` found; empty if it runs. Raises as `started`."""
    what = start_of(found)
    if trouble := trouble_of_the_node(found):
        raise Stuck(f"{what}: {trouble}")
    if problem := refused_by_kubelet(found):
        return problem
    if found["status"]["phase"] == "Failed":
        ends = [status["state"].get("terminated") or {} for status in wait.container_statuses(found)]
        if said := [f"{end['reason']}: {end.get('message', '')}" for end in ends if end.get("reason") in _NEVER_RAN]:
            raise NotCreated(f"{what}: {'; '.join(said)}")
        raise Stuck(f"Pod {found['metadata']['name']} failed: {wait.describe(found)}")
    return ""


async def refused_pods(cluster: Cluster, namespace: str, maker: str) -> str:
    """What the newest event says of Pods that admission refused, and what helps; empty if there is none.

    maker: how the names of the controllers that make the Pods begin, such as those of a Deployment's ReplicaSets.
    """
    found = [
        event["message"]
        async for event in cluster.list("v1", "Event", namespace, fields="type=Warning")
        if event["involvedObject"].get("name", "").startswith(maker)
        and admission.refuses_pods(event.get("message") or "")
    ]
    return f"the platform refuses Pods: {found[-1]}. What helps: {admission.way_out(found[-1])}" if found else ""


async def warnings(cluster: Cluster, obj: Object) -> list[Object]:
    """The warning events about an object."""
    metadata = obj["metadata"]
    found = cluster.list(
        "v1", "Event", metadata.get("namespace"), fields=f"involvedObject.uid={metadata['uid']},type=Warning"
    )
    return [event async for event in found]


# What the kubelet calls its warnings of devices that it could not prepare (Kubernetes' pkg/kubelet/events).
_OF_DEVICES = {"FailedPrepareDynamicResources", "UnexpectedAdmissionError"}


async def blames_devices(cluster: Cluster, seen: Object, name: str) -> bool:
    """Whether the kubelet refused a Pod, or a warning says that its devices (of this driver or resource) are the reason
    why it does not start.
    """
    return refused_by_kubelet(seen) is not None or any(
        event.get("reason") in _OF_DEVICES or name in (event.get("message") or "")
        for event in await warnings(cluster, seen)
    )


async def events(cluster: Cluster, obj: Object) -> str:
    """The newest warnings about an object."""
    found = [
        event.get("message") or event.get("reason") or "an event without a message"
        for event in await warnings(cluster, obj)
    ]
    return "; ".join(dict.fromkeys(found[-3:])) or "no warning events"
