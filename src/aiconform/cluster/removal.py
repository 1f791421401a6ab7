"""Removing what a run made: it is known by its labels, and waited for until it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress

from aiconform.cluster import conditions, wait
from aiconform.cluster.api import Cluster, Object
from aiconform.cluster.errors import ClusterError, NotFound, TimedOut

MANAGED_BY = "app.kubernetes.io/managed-by"
RUN_LABEL = "aiconform.dev/run"
CLEANUP_SECONDS = 60.0
# How often Pods that are still there are looked at; longer than the grace period of the suite's own.
_LOST_SECONDS = 5.0


async def left_behind(cluster: Cluster, run: str | None = None) -> list[Object]:
    """The Namespaces of this run, or of all runs. They own everything else that a run created."""
    labels = f"{MANAGED_BY}=aiconform," + (f"{RUN_LABEL}={run}" if run else RUN_LABEL)
    return [namespace async for namespace in cluster.list("v1", "Namespace", labels=labels)]


async def remove(cluster: Cluster, namespaces: Sequence[Object]) -> None:
    """Delete Namespaces and wait until they and the cluster-scoped objects that they own are gone."""
    existing = []
    for namespace in namespaces:
        if "uid" in namespace["metadata"]:
            existing.append(namespace)
            continue
        try:
            existing.append(await cluster.get("v1", "Namespace", namespace["metadata"]["name"]))
        except NotFound:
            continue
    await asyncio.gather(*(cluster.delete(namespace) for namespace in existing))
    async with dropping_lost_pods(cluster, {namespace["metadata"]["name"] for namespace in existing}):
        ends = await asyncio.gather(
            *(wait.gone(cluster, namespace, seconds=CLEANUP_SECONDS) for namespace in existing), return_exceptions=True
        )
    stayed = []
    for namespace, end in zip(existing, ends, strict=True):
        if isinstance(end, ClusterError):
            stayed.append(f"{namespace['metadata']['name']} ({await _why_it_stays(cluster, namespace)})")
        elif end is not None:
            raise end
    if stayed:
        raise TimedOut(f"Namespaces that are not deleted: {'; '.join(stayed)}")


async def left_in(cluster: Cluster, namespace: str, run: str | None = None) -> list[Object]:
    """The Leases that own what this run, or all runs, made in a Namespace that is not theirs."""
    labels = f"{MANAGED_BY}=aiconform," + (f"{RUN_LABEL}={run}" if run else RUN_LABEL)
    return [lease async for lease in cluster.list("coordination.k8s.io/v1", "Lease", namespace, labels=labels)]


async def clear(cluster: Cluster, lease: Object) -> None:
    """Delete the Lease, which owns what its run made in the Namespace, and wait until its Pods are gone.

    The Namespace and what others made in it stay. Raises TimedOut.
    """
    metadata = lease["metadata"]
    namespace, labels = metadata["namespace"], f"{RUN_LABEL}={metadata['labels'][RUN_LABEL]}"
    await cluster.delete(lease)
    async with dropping_lost_pods(cluster, {namespace}, labels):
        await wait.all_gone(cluster, "v1", "Pod", namespace, labels, seconds=CLEANUP_SECONDS)


async def clear_each(cluster: Cluster, leases: Sequence[Object]) -> None:
    """The same for several runs: what stays of one keeps nothing of the others. Raises TimedOut."""
    ends = await asyncio.gather(*(clear(cluster, lease) for lease in leases), return_exceptions=True)
    stayed = []
    for lease, end in zip(leases, ends, strict=True):
        if isinstance(end, ClusterError):
            stayed.append(f"{lease['metadata']['name']} ({end})")
        elif end is not None:
            raise end
    if stayed:
        raise TimedOut(f"runs of which something is not deleted: {'; '.join(stayed)}")


@asynccontextmanager
async def dropping_lost_pods(cluster: Cluster, namespaces: Collection[str], labels: str = "") -> AsyncIterator[None]:
    """While the body waits for deletions: deleted Pods whose node is not Ready are dropped from the API.

    Nobody else reports that their containers have ended. Should the node come back, its kubelet ends them.
    """

    async def keep_dropping() -> None:
        while True:
            await asyncio.sleep(_LOST_SECONDS)
            # What it could not drop, the wait reports.
            with suppress(ClusterError):
                for namespace in sorted(namespaces):
                    await _drop_lost_pods(cluster, namespace, labels)

    task = asyncio.create_task(keep_dropping())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _drop_lost_pods(cluster: Cluster, namespace: str, labels: str) -> None:
    deleted = [
        pod
        async for pod in cluster.list("v1", "Pod", namespace, labels=labels)
        if "deletionTimestamp" in pod["metadata"] and "nodeName" in pod["spec"]
    ]
    for name in sorted({pod["spec"]["nodeName"] for pod in deleted}):
        nodes = [node async for node in cluster.list("v1", "Node", fields=f"metadata.name={name}")]
        if not any(conditions.is_true(node, "Ready") for node in nodes):
            lost = [pod for pod in deleted if pod["spec"]["nodeName"] == name]
            await asyncio.gather(*(cluster.delete(pod, grace=0) for pod in lost))


async def _why_it_stays(cluster: Cluster, namespace: Object) -> str:
    try:
        found = await cluster.get("v1", "Namespace", namespace["metadata"]["name"])
    except ClusterError as error:
        return str(error)
    messages = [
        condition.message
        for condition in conditions.read(found.get("status"))
        if condition.is_true and condition.message
    ]
    return "; ".join(messages) or "no reason given"
