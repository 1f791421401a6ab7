"""The Pods that are scaled: sets their metric, waits for the first one, and finds the devices that each holds."""

from __future__ import annotations

from aiconform.checks.pod_autoscaling.observations import Scaled
from aiconform.checks.pod_autoscaling.scaled_workload import REPLICAS, load
from aiconform.checks.pod_autoscaling.scaling_history import ScalingHistory
from aiconform.cluster import Object, Stuck, TimedOut, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import untold_taints
from aiconform.kit.pods import meanwhile, refused_pods
from aiconform.kit.starting import LATE_SECONDS, blame_device
from aiconform.kit.together import gather
from aiconform.platform import AcceleratorPlace, Platform
from aiconform.platform.accelerators.devices import allocated_names
from aiconform.platform.accelerators.holders import holders
from aiconform.platform.accelerators.offered import extended_resources


async def set_metric(platform: Platform, pod: Object, value: int) -> None:
    """Set what the first Pod reports, and so the sum over all Pods. Raises ClusterError."""
    # The Pod that reports is the last one to be removed when the Deployment is scaled down.
    annotations = {**load(value), "controller.kubernetes.io/pod-deletion-cost": "1000"}
    await wait.reaching_webhooks(lambda: platform.cluster.patch(pod, {"metadata": {"annotations": annotations}}))


async def first_pod(
    platform: Platform, scratch: Scratch, history: ScalingHistory, target: AcceleratorPlace, patience: float
) -> Object:
    """The first Pod, when it runs. Raises ClusterError."""
    if not await history.until(lambda: history.running(), patience):
        await _require_admitted(platform, scratch, history)
        raise TimedOut(
            f"the first Pod does not run after {patience:.0f} s: {_states(history) or 'it does not exist'}; the "
            f"accelerators of {target} are held by {await now_held(platform, target)}"
            f"{await untold_taints(platform, target.way)}"
        )
    return history.running()[0]


async def _require_admitted(platform: Platform, scratch: Scratch, history: ScalingHistory) -> None:
    """Raises Stuck if admission refuses Pods of the Deployment."""
    if said := await refused_pods(platform.cluster, await scratch.namespace(), history.name):
        raise Stuck(said)


def _states(history: ScalingHistory) -> str:
    return "; ".join(f"{name}: {wait.describe(each)}" for name, each in history.pods.items())


async def now_held(platform: Platform, target: AcceleratorPlace) -> str:
    """Who holds accelerators of the target, read again."""
    return await holders(platform.afresh(), target.members)


async def why_not_running(
    platform: Platform, scratch: Scratch, history: ScalingHistory, target: AcceleratorPlace
) -> str:
    """Why scheduled Pods do not run; empty if they do.

    Raises Stuck if admission refuses a Pod, if one is unschedulable, or if no Pod starts.
    """
    waiting = [each for each in history.pods.values() if each.get("status", {}).get("phase") == "Pending"]
    if len(history.running()) >= REPLICAS:
        return ""
    # What was refused before says nothing of Pods that the autoscaler never requested.
    if history.last and history.last.desired >= REPLICAS > len(history.running()) + len(waiting):
        await _require_admitted(platform, scratch, history)
    if any(not each["spec"].get("nodeName") for each in waiting):
        raise Stuck(
            f"the autoscaler requested more Pods, and they are unschedulable on {target}; its accelerators "
            f"are held by {await now_held(platform, target)}{await untold_taints(platform, target.way)}"
        )
    said = _states(history)
    late = await gather(*(blame_device(platform, scratch, each, said) for each in waiting))
    if waiting and all(late):
        # They run after all; the watch of the Pods may be a moment behind.
        await history.until(lambda: len(history.running()) >= REPLICAS, LATE_SECONDS)
    return _states(history) if waiting and len(history.running()) < REPLICAS else ""


async def holding(
    platform: Platform, history: ScalingHistory, target: AcceleratorPlace, namespace: str
) -> tuple[Scaled, ...]:
    """The running Pods, with the accelerators that each holds. Raises Stuck if one ran, and no longer does."""
    held: dict[str, list[str]] = {}
    if target.way == "dra":
        async for claim in platform.cluster.list(await platform.resource_api() or "", "ResourceClaim", namespace):
            devices = allocated_names(claim)
            for user in (claim.get("status") or {}).get("reservedFor") or []:
                held.setdefault(user["name"], []).extend(devices)
        for pod in history.running():
            name = pod["metadata"]["name"]
            if name not in held and (why := await meanwhile(platform.cluster, pod)):
                raise Stuck("; ".join([f"Pod {name} ran", *why]))
    else:
        for name, pod in history.pods.items():
            held[name] = [f"{name}/{number}" for number in range(extended_resources(pod)[target.name])]
    return tuple(
        Scaled(name=pod["metadata"]["name"], devices=tuple(held.get(pod["metadata"]["name"], ())))
        for pod in history.running()
    )
