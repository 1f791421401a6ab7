"""Faults of gang scheduling: in Kueue's configuration, in the writes that Kueue is allowed, and in the schedulers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import yaml

from aiconform.lab.addons import coscheduling
from aiconform.lab.faults.fault import Change, Fault, InCluster, assertions
from aiconform.lab.faults.policies import changing, refusing
from aiconform.lab.faults.workloads import admission, scale

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

_NAMESPACE = "kueue-system"
_DEPLOYMENT = "kueue-controller-manager"
_CONFIG = "kueue-manager-config"
_FILE = "controller_manager_config.yaml"
# Kueue refuses to start with any of these feature gates on while topology-aware scheduling is off.
_FLAG = "--feature-gates="
_GATES = _FLAG + ",".join(
    f"{gate}=false"
    for gate in (
        "TopologyAwareScheduling",
        "TASFailedNodeReplacement",
        "TASFailedNodeReplacementFailFast",
        "TASHandleOverlappingFlavors",
        "TASMultiLayerTopology",
        "TASProfileMixed",
        "TASRecomputeAssignmentWithinSchedulingCycle",
        "TASReplaceNodeOnNodeTaints",
        "TASReplaceNodeOnPodTermination",
        "TASRespectNodeAffinityPreferred",
    )
)


_SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "kueue-webhook-service", "namespace": _NAMESPACE},
}
# A dry run with this object shows whether its webhooks answer.
_FLAVOR: dict[str, Any] = {
    "apiVersion": "kueue.x-k8s.io/v1beta2",
    "kind": "ResourceFlavor",
    "metadata": {"name": "aiconform-lab-answers"},
}


# Kueue


async def _stop(cluster: Cluster) -> None:
    await scale(cluster, _NAMESPACE, _DEPLOYMENT, 0)


async def _start(cluster: Cluster) -> None:
    await scale(cluster, _NAMESPACE, _DEPLOYMENT, 1)
    await admission(cluster, _FLAVOR, reached=True)


def _leading(selector: str | None, reached: bool) -> Change:
    """Change the selector of its webhooks' Service.

    The controller keeps running: without it, Namespaces could not be deleted.
    """

    async def act(cluster: Cluster) -> None:
        await cluster.patch(_SERVICE, {"spec": {"selector": {"aiconform.dev/nothing": selector}}})
        await admission(cluster, _FLAVOR, reached=reached)

    return act


def _configured(change: Callable[[Object], None]) -> Change:
    """Run Kueue with a changed configuration file."""

    async def act(cluster: Cluster) -> None:
        await _stop(cluster)
        found = await cluster.get("v1", "ConfigMap", _CONFIG, _NAMESPACE)
        config = yaml.safe_load(found["data"][_FILE])
        change(config)
        target = {"apiVersion": "v1", "kind": "ConfigMap", **found}
        await cluster.patch(target, {"data": {_FILE: yaml.safe_dump(config)}})
        await _start(cluster)

    return act


def _without_jobs(config: Object) -> None:
    frameworks = config["integrations"]["frameworks"]
    config["integrations"]["frameworks"] = [name for name in frameworks if name != "batch/job"]


def _with_jobs(config: Object) -> None:
    _without_jobs(config)
    config["integrations"]["frameworks"].insert(0, "batch/job")


def _arguments(*wanted: str) -> Change:
    async def act(cluster: Cluster) -> None:
        await _stop(cluster)
        found = await cluster.get("apps/v1", "Deployment", _DEPLOYMENT, _NAMESPACE)
        containers = found["spec"]["template"]["spec"]["containers"]
        containers[0]["args"] = [each for each in containers[0]["args"] if not each.startswith(_FLAG)] + list(wanted)
        target = {"apiVersion": "apps/v1", "kind": "Deployment", **found}
        await cluster.patch(target, {"spec": {"template": {"spec": {"containers": containers}}}})
        await _start(cluster)

    return act


def _refusing_kueue(name: str, allowed: str) -> InCluster:
    return refusing(name, "kueue.x-k8s.io", "workloads/status", allowed)


def _has(obj: str, kind: str, status: str, more: str = "") -> str:
    """CEL: whether a Workload has a condition."""
    test = f"c.type == '{kind}' && c.status == '{status}'{more}"
    return f"(has({obj}.status.conditions) && {obj}.status.conditions.exists(c, {test}))"


# The second scheduler


def _scheduler_runs(*, plugin: bool) -> Change:
    """Run the second scheduler with or without its plugin."""

    async def act(cluster: Cluster) -> None:
        await scale(cluster, coscheduling.NAMESPACE, coscheduling.SCHEDULER, 0)
        found = await cluster.get("v1", "ConfigMap", "scheduler-config", coscheduling.NAMESPACE)
        config = yaml.safe_load(found["data"]["scheduler-config.yaml"])
        (profile,) = config["profiles"]
        plugins: dict[str, Any] = {"enabled": [{"name": "Coscheduling"}], "disabled": [{"name": "PrioritySort"}]}
        profile["plugins"] = {"multiPoint": plugins if plugin else {}}
        target = {"apiVersion": "v1", "kind": "ConfigMap", **found}
        await cluster.patch(target, {"data": {"scheduler-config.yaml": yaml.safe_dump(config)}})
        await scale(cluster, coscheduling.NAMESPACE, coscheduling.SCHEDULER, 1)

    return act


def _fault(name: str, description: str, *breaks: str, how: InCluster, needs: str = "kueue") -> Fault:
    return Fault(name, description, assertions("gang_scheduling", *breaks), how, needs=(needs,))


FAULTS = (
    Fault(
        "kueue-webhooks-down",
        "Kueue's webhooks do not answer.",
        assertions("gang_scheduling", "gang_runs"),
        InCluster(_leading("here", False), _leading(None, True)),
        needs=("kueue",),
        # They are asked about JobSets, too.
        disturbs=frozenset({"robust_controller"}),
    ),
    _fault(
        "kueue-ignores-jobs",
        "Kueue ignores Jobs, so their Pods are scheduled one by one.",
        *("no_pod_starts", "no_partial_hold"),
        how=InCluster(_configured(_without_jobs), _configured(_with_jobs)),
    ),
    _fault(
        "kueue-counts-quota-only",
        "Kueue admits Workloads by quota alone and ignores the capacity of nodes.",
        *("no_pod_starts", "no_partial_hold"),
        how=InCluster(_arguments(_GATES), _arguments()),
    ),
    _fault(
        "kueue-says-nothing",
        "Kueue cannot report that a Workload is waiting.",
        "wait_is_reported",
        how=_refusing_kueue("kueue-says-nothing", f"!{_has('object', 'QuotaReserved', 'False')}"),
    ),
    _fault(
        "kueue-never-releases",
        "Kueue never admits a Workload that had to wait.",
        *("waiting_gang_runs", "both_gangs_finish"),
        how=_refusing_kueue(
            "kueue-never-releases",
            f"!({_has('oldObject', 'QuotaReserved', 'False')} && {_has('object', 'QuotaReserved', 'True')})",
        ),
    ),
    _fault(
        "kueue-never-finishes",
        "Kueue does not release the quota of Workloads that have finished.",
        "both_gangs_finish",
        how=_refusing_kueue("kueue-never-finishes", f"!{_has('object', 'Finished', 'True')}"),
    ),
    _fault(
        "coscheduling-off",
        "The second scheduler runs without its plugin and schedules Pods one by one.",
        *("no_pod_starts", "no_partial_hold"),
        how=InCluster(_scheduler_runs(plugin=False), _scheduler_runs(plugin=True)),
        needs="coscheduling",
    ),
    _fault(
        "pod-groups-ignored",
        "Pods lose the reference to their PodGroup and are scheduled one by one.",
        *("no_pod_starts", "no_partial_hold"),
        how=changing(
            "pod-groups-ignored",
            "pods",
            "[JSONPatch{op: 'remove', path: '/spec/schedulingGroup'}]",
            condition="has(object.spec.schedulingGroup)",
        ),
        needs="workload-api",
    ),
)
