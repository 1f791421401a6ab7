"""Faults of an operator (JobSet) and of what it needs: its webhook, its lease, its Pods, its children."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from aiconform.lab.config import LabError
from aiconform.lab.faults.action import Action
from aiconform.lab.faults.denials import Denial, action

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

_NAMESPACE = "jobset-system"
_DEPLOYMENT = "jobset-controller-manager"
_WEBHOOKS = "jobset-validating-webhook-configuration"
_WEBHOOK = "vjobset.kb.io"
_SERVICE = "jobset-webhook-service"
_LABELS = "control-plane=controller-manager"
_SECONDS = 90.0
_JOBSET = ("jobset.x-k8s.io/v1alpha2", "JobSet")
_ACCOUNT = f"system:serviceaccount:{_NAMESPACE}:{_DEPLOYMENT}"
_COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector"


async def _deployment(cluster: Cluster) -> Object:
    return await cluster.get("apps/v1", "Deployment", _DEPLOYMENT, _NAMESPACE)


async def _pods(cluster: Cluster, *, ready: int, others: int = 0) -> None:
    """Wait until so many of the controller's Pods are ready and so many others are there. Raises LabError."""
    from aiconform.cluster import TimedOut, wait

    def condition(pods: Sequence[Object]) -> bool | None:
        states = [
            any(entry["type"] == "Ready" and entry["status"] == "True" for entry in pod["status"].get("conditions", ()))
            and not pod["metadata"].get("deletionTimestamp")
            for pod in pods
        ]
        return True if (states.count(True), states.count(False)) == (ready, others) else None

    try:
        await wait.among(
            cluster,
            "v1",
            "Pod",
            _NAMESPACE,
            condition,
            labels=_LABELS,
            seconds=_SECONDS,
            what=f"{ready} ready Pods of JobSet's controller and {others} others",
        )
    except TimedOut as error:
        raise LabError(str(error)) from error


async def _works(cluster: Cluster) -> None:
    """Wait until the webhook answers and a Pod that is there leads. Raises LabError."""
    await _answers(cluster)
    await _leads(cluster)


async def _leads(cluster: Cluster) -> None:
    from aiconform.cluster import TimedOut, wait

    pods = cluster.list("v1", "Pod", _NAMESPACE, labels=_LABELS)
    names = [pod["metadata"]["name"] async for pod in pods]

    def condition(leases: Sequence[Object]) -> bool | None:
        holders = [lease["spec"].get("holderIdentity") or "" for lease in leases]
        return True if any(holder.startswith(f"{name}_") for holder in holders for name in names) else None

    try:
        await wait.among(
            cluster,
            "coordination.k8s.io/v1",
            "Lease",
            _NAMESPACE,
            condition,
            seconds=_SECONDS,
            what=f"one of {', '.join(names)} to lead",
        )
    except TimedOut as error:
        raise LabError(str(error)) from error


async def _answers(cluster: Cluster) -> None:
    from aiconform.cluster import Rejected, ServerFailed

    # Refused by the webhook alone, so that nothing is made.
    refused = {
        "apiVersion": _JOBSET[0],
        "kind": _JOBSET[1],
        "metadata": {"name": "refused", "namespace": "default"},
        "spec": {"replicatedJobs": [], "successPolicy": {"operator": "All", "targetReplicatedJobs": ["absent"]}},
    }
    deadline = asyncio.get_running_loop().time() + _SECONDS
    while True:
        try:
            await cluster.delete(await cluster.create(refused))
        except Rejected:
            return
        except ServerFailed:
            pass
        if asyncio.get_running_loop().time() > deadline:
            raise LabError(f"JobSet's webhook does not answer within {_SECONDS:.0f} s")
        await asyncio.sleep(0.5)


def _scaled(replicas: int) -> Action:
    async def on(cluster: Cluster) -> None:
        await cluster.patch(await _deployment(cluster), {"spec": {"replicas": replicas}})
        await _pods(cluster, ready=0)

    async def off(cluster: Cluster) -> None:
        await cluster.patch(await _deployment(cluster), {"spec": {"replicas": 1}})
        await _pods(cluster, ready=1)
        await _works(cluster)

    return Action(on, off)


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
    denied = action(
        Denial("operator-does-not-come-back", "", "v1", "pods", "CREATE", when="true", namespace=_NAMESPACE)
    )

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
    denied = action(
        Denial(
            "operator-lease-stuck",
            "coordination.k8s.io",
            "v1",
            "leases",
            "UPDATE",
            allowed="object.spec.holderIdentity == oldObject.spec.holderIdentity",
            namespace=_NAMESPACE,
        )
    )

    async def on(cluster: Cluster) -> None:
        # Without one that leads it would not even work before a restart.
        await _leads(cluster)
        await denied.on(cluster)

    async def off(cluster: Cluster) -> None:
        await denied.off(cluster)
        await _leads(cluster)

    return Action(on, off)


ACTIONS: Mapping[str, Action] = {
    "operator-stopped": _scaled(0),
    "operator-update-stuck": _stuck_update(),
    "operator-webhook-ignored": _ignored_webhook(),
    "operator-makes-nothing": action(
        Denial(
            "operator-makes-nothing",
            "batch",
            "v1",
            "jobs",
            "CREATE",
            when=f"request.userInfo.username == '{_ACCOUNT}'",
        )
    ),
    # The first Job of a JobSet is made before its status has any.
    "operator-replaces-nothing": action(
        Denial(
            "operator-replaces-nothing",
            "batch",
            "v1",
            "jobs",
            "CREATE",
            when=f"request.userInfo.username == '{_ACCOUNT}'",
            allowed=(
                "!object.metadata.ownerReferences.exists(owner, owner.uid == params.metadata.uid) || "
                "!has(params.status) || !has(params.status.replicatedJobsStatus) || "
                "params.status.replicatedJobsStatus.all(each, each.ready == 0)"
            ),
            param=_JOBSET,
        )
    ),
    "operator-does-not-come-back": _without_new_pods(),
    "operator-lease-stuck": _stuck_lease(),
    "children-stay": action(
        Denial("children-stay", "batch", "v1", "jobs", "DELETE", when=f"request.userInfo.username == '{_COLLECTOR}'")
    ),
}
"""By the name of the fault, which the registry describes."""
