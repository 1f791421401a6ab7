"""Faults of gang scheduling: in Kueue's configuration, in the writes that Kueue is allowed, and in the schedulers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from aiconform.lab.addons import coscheduling
from aiconform.lab.build.images import BUSYBOX
from aiconform.lab.faults.fault import Change, Fault, InCluster, assertions
from aiconform.lab.faults.policies import changing, refusing
from aiconform.lab.faults.workloads import admission, configure, leads, restart

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

NAMESPACE = "kueue-system"
DEPLOYMENT = "kueue-controller-manager"
_ADMISSION = "admissionregistration.k8s.io/v1"
_WEBHOOKS = "kueue-webhook-service"
_ASKED_ABOUT_JOBS = {"Mutating": "mjob.kb.io", "Validating": "vjob.kb.io"}
_LABELS = "control-plane=controller-manager"
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


# A dry run with one of these shows whether its webhooks answer.
_FLAVOR: dict[str, Any] = {
    "apiVersion": "kueue.x-k8s.io/v1beta2",
    "kind": "ResourceFlavor",
    "metadata": {"name": "aiconform-lab-answers"},
}
_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
_JOB: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "aiconform-lab-answers", "namespace": "default", "labels": {_QUEUE_LABEL: "none"}},
    "spec": {
        "suspend": True,
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": BUSYBOX}]}},
    },
}


# Kueue


async def works(cluster: Cluster) -> None:
    """Wait until Kueue's webhooks answer and a controller leads. Raises TimedOut."""
    await admission(cluster, _FLAVOR, reached=True)
    await leads(cluster, NAMESPACE, _LABELS)


def _without_webhooks_for_jobs() -> InCluster:
    """Only for Jobs in a queue: they are also asked about all Pods, Deployments and Jobs of the cluster."""

    async def on(cluster: Cluster) -> None:
        queued = {"matchExpressions": [{"key": _QUEUE_LABEL, "operator": "Exists"}]}
        await act(cluster, f"{_WEBHOOKS}-absent", queued, reached=False)

    async def off(cluster: Cluster) -> None:
        await act(cluster, _WEBHOOKS, {}, reached=True)

    async def act(cluster: Cluster, service: str, selector: Object, *, reached: bool) -> None:
        for kind, name in _ASKED_ABOUT_JOBS.items():
            found = await cluster.get(
                _ADMISSION, f"{kind}WebhookConfiguration", f"kueue-{kind.lower()}-webhook-configuration"
            )
            for webhook in found["webhooks"]:
                if webhook["name"] == name:
                    webhook["clientConfig"]["service"]["name"] = service
                    webhook["objectSelector"] = selector
            await cluster.patch(found, {"webhooks": found["webhooks"]})
        await admission(cluster, _JOB, reached=reached)

    return InCluster(on, off)


def _arguments(*wanted: str) -> Change:
    def change(spec: Object) -> None:
        (container,) = spec["containers"]
        container["args"] = [each for each in container["args"] if not each.startswith(_FLAG)] + list(wanted)

    async def act(cluster: Cluster) -> None:
        await restart(cluster, NAMESPACE, DEPLOYMENT, change)
        await works(cluster)

    return act


def _refusing_kueue(name: str, allowed: str) -> InCluster:
    return refusing(name, "kueue.x-k8s.io", "workloads/status", allowed)


def _has(obj: str, kind: str, status: str, more: str = "") -> str:
    """CEL: whether a Workload has a condition."""
    test = f"c.type == '{kind}' && c.status == '{status}'{more}"
    return f"(has({obj}.status.conditions) && {obj}.status.conditions.exists(c, {test}))"


# The second scheduler


def _without_plugin() -> InCluster:
    """Run the second scheduler without its plugin."""
    place, name = (coscheduling.NAMESPACE, coscheduling.SCHEDULER), "coscheduling-off"
    file = ("scheduler-config", "scheduler-config.yaml")

    async def on(cluster: Cluster) -> None:
        config = yaml.safe_load((await cluster.get("v1", "ConfigMap", file[0], place[0]))["data"][file[1]])
        (profile,) = config["profiles"]
        profile["plugins"] = {"multiPoint": {}}
        await configure(cluster, *place, file, name, yaml.safe_dump(config))

    async def off(cluster: Cluster) -> None:
        await configure(cluster, *place, file, name, None)

    return InCluster(on, off)


def _fault(name: str, description: str, *breaks: str, how: InCluster, needs: str = "kueue") -> Fault:
    return Fault(name, description, assertions("gang_scheduling", *breaks), how, needs=(needs,))


FAULTS = (
    _fault(
        "kueue-webhooks-down",
        "Kueue's webhooks for Jobs in a queue do not answer.",
        "gang_runs",
        how=_without_webhooks_for_jobs(),
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
        how=_without_plugin(),
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
