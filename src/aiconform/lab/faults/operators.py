"""Faults of an operator (JobSet): in its webhook, its Lease, its Pods and its child objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiconform.lab.faults.fault import Fault, InCluster, assertions
from aiconform.lab.faults.policies import refusing
from aiconform.lab.faults.workloads import SECONDS, admission, leads, restart, scale

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

_NAMESPACE = "jobset-system"
_DEPLOYMENT = "jobset-controller-manager"
_WEBHOOKS = "jobset-validating-webhook-configuration"
_WEBHOOK = "vjobset.kb.io"
_SERVICE = "jobset-webhook-service"
_LABELS = "control-plane=controller-manager"
_JOBSET = ("jobset.x-k8s.io/v1alpha2", "JobSet")
_ACCOUNT = f"system:serviceaccount:{_NAMESPACE}:{_DEPLOYMENT}"
_COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector"


async def _deployment(cluster: Cluster) -> Object:
    return await cluster.get("apps/v1", "Deployment", _DEPLOYMENT, _NAMESPACE)


async def _pods(cluster: Cluster, *, ready: int, others: int = 0) -> None:
    """Wait until the controller has this many ready Pods and this many others. Raises TimedOut."""
    from aiconform.cluster import conditions, wait

    def condition(pods: Sequence[Object]) -> bool | None:
        states = [conditions.is_true(pod, "Ready") and not pod["metadata"].get("deletionTimestamp") for pod in pods]
        return True if (states.count(True), states.count(False)) == (ready, others) else None

    what = f"{ready} ready Pods of JobSet's controller and {others} others"
    await wait.among(cluster, "v1", "Pod", _NAMESPACE, condition, labels=_LABELS, seconds=SECONDS, what=what)


async def _works(cluster: Cluster) -> None:
    """Wait until the webhook answers and one of the existing Pods is the leader. Raises LabError, TimedOut."""
    await admission(cluster, _ASKED, reached=True)
    await leads(cluster, _NAMESPACE, _LABELS)


# A dry run with this object shows whether its webhook answers.
_ASKED: dict[str, Any] = {
    "apiVersion": _JOBSET[0],
    "kind": _JOBSET[1],
    "metadata": {"name": "aiconform-lab-answers", "namespace": "default"},
    "spec": {"replicatedJobs": []},
}


async def _stop(cluster: Cluster) -> None:
    await scale(cluster, _NAMESPACE, _DEPLOYMENT, 0)


async def _start(cluster: Cluster) -> None:
    await scale(cluster, _NAMESPACE, _DEPLOYMENT, 1)
    await _works(cluster)


def _stuck_update() -> InCluster:
    async def on(cluster: Cluster) -> None:
        await _selected(cluster, {"aiconform.dev/absent": "true"})
        await _pods(cluster, ready=1, others=1)

    async def off(cluster: Cluster) -> None:
        await _selected(cluster, None)
        await _pods(cluster, ready=1)

    async def _selected(cluster: Cluster, labels: Mapping[str, str] | None) -> None:
        patch = {"spec": {"template": {"spec": {"nodeSelector": labels}}}}
        await cluster.patch(await _deployment(cluster), patch)

    return InCluster(on, off)


def _ignored_webhook() -> InCluster:
    async def on(cluster: Cluster) -> None:
        await _set(cluster, "Ignore", "absent")

    async def off(cluster: Cluster) -> None:
        await _set(cluster, "Fail", _SERVICE)
        await _works(cluster)

    async def _set(cluster: Cluster, policy: str, service: str) -> None:
        configuration = await cluster.get(
            "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", _WEBHOOKS
        )
        for webhook in configuration["webhooks"]:
            if webhook["name"] == _WEBHOOK:
                webhook["failurePolicy"] = policy
                webhook["clientConfig"]["service"]["name"] = service
        await cluster.patch(configuration, {"webhooks": configuration["webhooks"]})

    return InCluster(on, off)


def _without_new_pods() -> InCluster:
    denied = _refusing("operator-does-not-come-back", "", "pods", "CREATE", f"request.namespace == '{_NAMESPACE}'")

    async def off(cluster: Cluster) -> None:
        await denied.off(cluster)
        # On its own, the ReplicaSet would retry only minutes later.
        await restart(cluster, _NAMESPACE, _DEPLOYMENT, lambda spec: None)
        await _works(cluster)

    return InCluster(denied.on, off)


def _stuck_lease() -> InCluster:
    denied = refusing(
        "operator-lease-stuck",
        "coordination.k8s.io",
        "leases",
        "object.spec.holderIdentity == oldObject.spec.holderIdentity",
        condition=f"request.namespace == '{_NAMESPACE}'",
    )

    async def on(cluster: Cluster) -> None:
        # Without a leader it would not work before a restart either.
        await leads(cluster, _NAMESPACE, _LABELS)
        await denied.on(cluster)

    async def off(cluster: Cluster) -> None:
        await denied.off(cluster)
        await leads(cluster, _NAMESPACE, _LABELS)

    return InCluster(on, off)


def _refusing(name: str, group: str, resource: str, operation: str, condition: str) -> InCluster:
    return refusing(name, group, resource, "false", operation=operation, condition=condition)


def _by(account: str) -> str:
    return f"request.userInfo.username == '{account}'"


def _fault(name: str, description: str, *breaks: str, how: InCluster) -> Fault:
    return Fault(name, description, assertions("robust_controller", *breaks), how, needs=("jobset",))


FAULTS = (
    _fault(
        "operator-stopped",
        "JobSet's controller is scaled to zero.",
        *("operator_is_ready", "webhook_refuses", "resource_becomes_ready"),
        how=InCluster(_stop, _start),
    ),
    _fault(
        "operator-update-stuck",
        "A rollout of JobSet's controller is stuck: no node fits the new Pod.",
        "operator_is_ready",
        how=_stuck_update(),
    ),
    _fault(
        "operator-webhook-ignored",
        "The API server cannot reach JobSet's webhook and admits every JobSet (failurePolicy: Ignore).",
        "webhook_refuses",
        how=_ignored_webhook(),
    ),
    _fault(
        "operator-makes-nothing",
        "The API server refuses the Jobs that JobSet's controller creates.",
        "resource_becomes_ready",
        how=_refusing("operator-makes-nothing", "batch", "jobs", "CREATE", _by(_ACCOUNT)),
    ),
    _fault(
        "operator-replaces-nothing",
        "The API server refuses the Jobs that JobSet's controller creates to replace deleted ones.",
        "child_is_recreated",
        # The first Job of a JobSet is created before its status has any.
        how=refusing(
            "operator-replaces-nothing",
            "batch",
            "jobs",
            "!object.metadata.ownerReferences.exists(owner, owner.uid == params.metadata.uid) || "
            "!has(params.status) || !has(params.status.replicatedJobsStatus) || "
            "params.status.replicatedJobsStatus.all(each, each.ready == 0)",
            operation="CREATE",
            condition=_by(_ACCOUNT),
            params=_JOBSET,
        ),
    ),
    _fault(
        "operator-does-not-come-back",
        "No new Pod can be created for JobSet's controller: a deleted one is not replaced.",
        "controller_restarts",
        how=_without_new_pods(),
    ),
    _fault(
        "operator-lease-stuck",
        "The Lease of JobSet's controller cannot change its holder: a new Pod is ready but never becomes the leader.",
        "works_after_restart",
        how=_stuck_lease(),
    ),
    _fault(
        "children-stay",
        "The garbage collector cannot delete Jobs: they remain when their owner is deleted.",
        "children_are_deleted",
        how=_refusing("children-stay", "batch", "jobs", "DELETE", _by(_COLLECTOR)),
    ),
)
