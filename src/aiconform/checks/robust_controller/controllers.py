"""The controller of an operator: its Deployment and Pods, and their deletion."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiconform.checks.robust_controller.observations import ControllerPod, ControllerState
from aiconform.checks.robust_controller.operator_steps import owned
from aiconform.cluster import Cluster, Forbidden, Object, TimedOut, conditions, wait


async def controller(cluster: Cluster, deployment: Object, *, seconds: float) -> ControllerState:
    """A Deployment and its Pods, once all of them are ready or the time is over."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    replica_sets = await _replica_sets(cluster, deployment)
    last = ControllerState(
        namespace=metadata["namespace"],
        name=metadata["name"],
        images=[container["image"] for container in spec["template"]["spec"]["containers"]],
        wanted=spec.get("replicas", 1),
        pods=[],
    )

    def condition(objects: Sequence[Object]) -> ControllerState | None:
        nonlocal last
        last = last.model_copy(update={"pods": _controller_pods(objects, replica_sets)})
        return last if last.complete else None

    return await _settled(cluster, deployment, condition, seconds) or last


async def _replica_sets(cluster: Cluster, deployment: Object) -> set[str]:
    """UIDs of the ReplicaSets of a Deployment."""
    listed = cluster.list("apps/v1", "ReplicaSet", deployment["metadata"]["namespace"], labels=_selector(deployment))
    return {obj["metadata"]["uid"] for obj in owned([obj async for obj in listed], deployment)}


def _selector(deployment: Object) -> str:
    labels = deployment["spec"]["selector"].get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _controller_pods(pods: Sequence[Object], replica_sets: set[str]) -> list[ControllerPod]:
    return [
        ControllerPod(
            name=pod["metadata"]["name"],
            uid=pod["metadata"]["uid"],
            ready=not pod["metadata"].get("deletionTimestamp") and conditions.is_true(pod, "Ready"),
        )
        for pod in pods
        # A ReplicaSet keeps Pods that were evicted or ended with their node, beside those that replaced them.
        if not wait.ended(pod)
        and any(reference["uid"] in replica_sets for reference in pod["metadata"].get("ownerReferences") or [])
    ]


async def restart(
    cluster: Cluster, deployment: Object, before: ControllerState, *, seconds: float, advice: str
) -> ControllerState:
    """Delete the controller's Pods, and wait until as many new ones are ready or the time is over.

    Raises Forbidden with `advice`.
    """
    replica_sets = await _replica_sets(cluster, deployment)
    for pod in before.pods:
        metadata = {"name": pod.name, "namespace": before.namespace, "uid": pod.uid}
        try:
            await cluster.delete({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
        except Forbidden as error:
            raise Forbidden(
                f"deleting Pod {pod.name} of {before.namespace}/{before.name}: {error}; {advice}",
                verb=error.verb,
                resource=error.resource,
            ) from error
    old = {pod.uid for pod in before.pods}
    last = before

    def condition(objects: Sequence[Object]) -> ControllerState | None:
        nonlocal last
        last = before.model_copy(update={"pods": _controller_pods(objects, replica_sets)})
        new = [pod for pod in last.pods if pod.ready and pod.uid not in old]
        done = len(new) >= before.ready and not old & {pod.uid for pod in last.pods}
        return last if done else None

    return await _settled(cluster, deployment, condition, seconds) or last


async def _settled(
    cluster: Cluster,
    deployment: Object,
    condition: Callable[[Sequence[Object]], ControllerState | None],
    seconds: float,
) -> ControllerState | None:
    """The result of `condition` for the Pods that a Deployment may own; None if there is none in time."""
    metadata = deployment["metadata"]
    try:
        return await wait.among(
            cluster,
            "v1",
            "Pod",
            metadata["namespace"],
            condition,
            labels=_selector(deployment),
            seconds=seconds,
            what=f"the Pods of {metadata['name']}",
        )
    except TimedOut:
        return None
