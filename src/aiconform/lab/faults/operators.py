"""Faults of an operator (JobSet) and of what it needs: its webhook, its lease, its Pods, its children."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiconform.lab.faults.action import Action
from aiconform.lab.faults.policies import refusing
from aiconform.lab.faults.workloads import SECONDS, admission, scale

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
    """Wait until so many of the controller's Pods are ready and so many others are there. Raises TimedOut."""
    from aiconform.cluster import conditions, wait

    def condition(pods: Sequence[Object]) -> bool | None:
        states = [conditions.is_true(pod, "Ready") and not pod["metadata"].get("deletionTimestamp") for pod in pods]
        return True if (states.count(True), states.count(False)) == (ready, others) else None

    what = f"{ready} ready Pods of JobSet's controller and {others} others"
    await wait.among(cluster, "v1", "Pod", _NAMESPACE, condition, labels=_LABELS, seconds=SECONDS, what=what)


async def _works(cluster: Cluster) -> None:
    """Wait until the webhook answers and a Pod that is there leads. Raises LabError, TimedOut."""
    await admission(cluster, _ASKED, reached=True)
    await _leads(cluster)


async def _leads(cluster: Cluster) -> None:
    from aiconform.cluster import wait

    pods = cluster.list("v1", "Pod", _NAMESPACE, labels=_LABELS)
    names = [pod["metadata"]["name"] async for pod in pods]

    def condition(leases: Sequence[Object]) -> bool | None:
        holders = [lease["spec"].get("holderIdentity") or "" for lease in leases]
        return True if any(holder.startswith(f"{name}_") for holder in holders for name in names) else None

    what = f"one of {', '.join(names)} to lead"
    lease = ("coordination.k8s.io/v1", "Lease", _NAMESPACE)
    await wait.among(cluster, *lease, condition, seconds=SECONDS, what=what)


# Its webhook is asked about this one.
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


def _stuck_update() -> Action:
    async def on(cluster: Cluster) -> None:
        await _selected(cluster, {"aiconform.dev/absent": "true"})
        await _pods(cluster, ready=1, others=1)

    async def off(cluster: Cluster) -> None:
        await _selected(cluster, None)
        await _pods(cluster, ready=1)

    async def _selected(cluster: Cluster, labels: Mapping[str, str] | None) -> None:
        patch = {"spec": {"template": {"spec": {"nodeSelector": labels}}}}
        await cluster.patch(await _deployment(cluster), patch)

    return Action(on, off)


def _ignored_webhook() -> Action:
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

    return Action(on, off)


def _without_new_pods() -> Action:
    denied = _refusing("operator-does-not-come-back", "", "pods", "CREATE", f"request.namespace == '{_NAMESPACE}'")

    async def off(cluster: Cluster) -> None:
        await denied.off(cluster)
        # Its ReplicaSet would try again only minutes later.
        note = {"aiconform.dev/healed": str(time.time_ns())}
        deployment = await _deployment(cluster)
        await cluster.patch(deployment, {"spec": {"template": {"metadata": {"annotations": note}}}})
        await _pods(cluster, ready=1)
        await _works(cluster)

    return Action(denied.on, off)


def _stuck_lease() -> Action:
    denied = refusing(
        "operator-lease-stuck",
        "coordination.k8s.io",
        "leases",
        "object.spec.holderIdentity == oldObject.spec.holderIdentity",
        condition=f"request.namespace == '{_NAMESPACE}'",
    )

    async def on(cluster: Cluster) -> None:
        # Without one that leads it would not even work before a restart.
        await _leads(cluster)
        await denied.on(cluster)

    async def off(cluster: Cluster) -> None:
        await denied.off(cluster)
        await _leads(cluster)

    return Action(on, off)


def _refusing(name: str, group: str, resource: str, operation: str, condition: str) -> Action:
    return refusing(name, group, resource, "false", operation=operation, condition=condition)


def _by(account: str) -> str:
    return f"request.userInfo.username == '{account}'"


ACTIONS: Mapping[str, Action] = {
    "operator-stopped": Action(_stop, _start),
    "operator-update-stuck": _stuck_update(),
    "operator-webhook-ignored": _ignored_webhook(),
    "operator-makes-nothing": _refusing("operator-makes-nothing", "batch", "jobs", "CREATE", _by(_ACCOUNT)),
    # The first Job of a JobSet is made before its status has any.
    "operator-replaces-nothing": refusing(
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
    "operator-does-not-come-back": _without_new_pods(),
    "operator-lease-stuck": _stuck_lease(),
    "children-stay": _refusing("children-stay", "batch", "jobs", "DELETE", _by(_COLLECTOR)),
}
"""By the name of the fault, which the registry describes."""
