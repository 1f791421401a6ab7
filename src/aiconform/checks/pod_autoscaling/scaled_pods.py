"""The Pods that pod_autoscaling has scaled: setting their metric, waiting for the first one, and what each holds."""

from __future__ import annotations

from aiconform.check import Observation
from aiconform.checks.pod_autoscaling.scaled_workload import WANTED, load
from aiconform.checks.pod_autoscaling.scaling_history import Watch
from aiconform.cluster import Object, Stuck, TimedOut
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.accelerators.devices import allocated_names
from aiconform.platform.accelerators.holders import holders
from aiconform.platform.accelerators.offered import extended_resources


class Scaled(Observation):
    """A running Pod of those that are scaled. `devices`: what it holds; by device plugins only the number is known."""

    name: str
    devices: tuple[str, ...]


async def set_metric(platform: Platform, pod: Object, name: str, value: int) -> None:
    """What the first Pod, and so all of them together, report from now on. Raises ClusterError."""
    # The one that reports is the last to go when Pods are taken away.
    annotations = {**load(name, value), "controller.kubernetes.io/pod-deletion-cost": "1000"}
    await platform.cluster.patch(pod, {"metadata": {"annotations": annotations}})


async def first_pod(platform: Platform, watch: Watch, target: NodeAccelerators, patience: float) -> Object:
    """The first Pod, running. Raises ClusterError."""
    if not await watch.until(lambda: watch.running(), patience):
        raise TimedOut(
            f"the first Pod does not run after {patience:.0f} s: {_states(watch) or 'there is none'}; the "
            f"accelerators of {target} are held by {await now_held(platform, target)}"
        )
    return watch.running()[0]


def _states(watch: Watch) -> str:
    from aiconform.cluster.wait import describe

    return "; ".join(f"{name}: {describe(each)}" for name, each in watch.pods.items())


async def now_held(platform: Platform, target: NodeAccelerators) -> str:
    """Who holds accelerators of the target, asked anew."""
    return await holders(platform.afresh(), [target])


async def what_is_missing(platform: Platform, watch: Watch, target: NodeAccelerators) -> str:
    """Why Pods that were placed do not run; empty if none. Raises Stuck if one found no room."""
    waiting = [each for each in watch.pods.values() if each.get("status", {}).get("phase") == "Pending"]
    if len(watch.running()) >= WANTED:
        return ""
    if any(not each["spec"].get("nodeName") for each in waiting):
        raise Stuck(
            f"the autoscaler asked for Pods, and the scheduler found no room for them on {target}; its accelerators "
            f"are held by {await now_held(platform, target)}"
        )
    return _states(watch) if waiting else ""


async def holding(platform: Platform, watch: Watch, target: NodeAccelerators, namespace: str) -> tuple[Scaled, ...]:
    """The running Pods, with the accelerators that are theirs."""
    held: dict[str, list[str]] = {}
    if target.way == "dra":
        async for claim in platform.cluster.list(await platform.resource_api() or "", "ResourceClaim", namespace):
            devices = allocated_names(claim)
            for user in (claim.get("status") or {}).get("reservedFor") or []:
                held.setdefault(user["name"], []).extend(devices)
    else:
        for name, pod in watch.pods.items():
            held[name] = [f"{name}/{number}" for number in range(extended_resources(pod)[target.name])]
    return tuple(
        Scaled(name=pod["metadata"]["name"], devices=tuple(held.get(pod["metadata"]["name"], ())))
        for pod in watch.running()
    )
