"""What a run creates on a cluster: everything is labelled, owned and deleted by UID, and deletion is awaited.

A run has one Namespace. Its other Namespaces (for other Pod Security levels) and all its cluster-scoped objects are
owned by that one, so that deleting it collects everything, even after the tool was killed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Literal

from aiconform.cluster import conditions, wait
from aiconform.cluster.api import Cluster, Object
from aiconform.cluster.errors import ClusterError, Forbidden, NotFound, Rejected, TimedOut
from aiconform.cluster.guest import Guest, has_pods, without_user

MANAGED_BY = "app.kubernetes.io/managed-by"
RUN_LABEL = "aiconform.dev/run"
PROBE_LABEL = "aiconform.dev/probe"
PodSecurity = Literal["restricted", "baseline", "privileged"]
# What the restricted Pod Security Standard asks of a container.
RESTRICTED: Object = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": 65534,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
# OpenShift gives each Namespace a range of users and, by its SCC restricted-v2, refuses Pods that name another.
# https://docs.openshift.com/container-platform/latest/authentication/managing-security-context-constraints.html
_CHOOSES_USERS = "security.openshift.io/v1"
NO_WISHES = Guest()
CLEANUP_SECONDS = 60.0
# How often Pods that are still there are looked at; longer than the grace period of the suite's own.
_LOST_SECONDS = 5.0


class Space:
    """All Namespaces of one run. They are created when first needed."""

    def __init__(self, cluster: Cluster, run: str, guest: Guest = NO_WISHES) -> None:
        self.cluster = cluster
        self.run = run
        self.guest = guest
        self.users_are_chosen = False
        """Whether the cluster chooses the users of Pods: a restricted one then names none."""
        self._namespaces: dict[PodSecurity, Object] = {}
        self._ranges: dict[str, list[Object]] = {}
        self._making = asyncio.Lock()

    async def namespace(self, level: PodSecurity) -> str:
        """The run's Namespace for Pods of this Pod Security level."""
        async with self._making:
            owner = self._namespaces.get("restricted")
            if owner is None:
                owner = await self._make(f"aiconform-{self.run}", "restricted", owner=None)
            if level not in self._namespaces:
                await self._make(f"aiconform-{self.run}-{level}", level, owner=owner)
        return str(self._namespaces[level]["metadata"]["name"])

    async def look(self) -> None:
        """Find out what the cluster chooses itself. Raises ClusterError."""
        self.users_are_chosen = bool(await self.cluster.resources(_CHOOSES_USERS))

    async def ranges(self, namespace: str, *, afresh: bool = False) -> list[Object]:
        """The LimitRanges of a Namespace, read once; none where they may not be read: a refusal then names them."""
        if afresh or namespace not in self._ranges:
            try:
                self._ranges[namespace] = [each async for each in self.cluster.list("v1", "LimitRange", namespace)]
            except (Forbidden, NotFound):
                self._ranges[namespace] = []
        return self._ranges[namespace]

    async def _make(self, name: str, level: PodSecurity, owner: Object | None) -> Object:
        metadata: Object = {
            "name": name,
            "labels": {
                MANAGED_BY: "aiconform",
                RUN_LABEL: self.run,
                "pod-security.kubernetes.io/enforce": level,
            },
        }
        if owner:
            metadata["ownerReferences"] = [owner_reference(owner)]
        # Recorded before the request: if it is cancelled halfway, `close` still looks for the Namespace.
        self._namespaces[level] = self.guest.fitted({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        draft = self._namespaces[level]
        self._namespaces[level] = await wait.reaching_webhooks(lambda: self.cluster.create(draft))
        return self._namespaces[level]

    @property
    def owner(self) -> Object:
        """The Namespace that owns everything else; exists only after the first `namespace` call."""
        return self._namespaces["restricted"]

    async def end(self) -> None:
        """Request the deletion of all Namespaces. Nothing can be created afterwards.

        The namespace controller waits five seconds before it acts, so an early request saves time.
        """
        await asyncio.gather(*(self.cluster.delete(namespace) for namespace in self._namespaces.values()))

    async def close(self) -> None:
        """Delete all Namespaces of the run and wait until they are gone. Raises TimedOut with the names of the rest."""
        if self._namespaces:
            await remove(self.cluster, list(self._namespaces.values()))


class Scratch:
    """What one probe creates, in the run's Namespace for the probe's Pod Security level.

    The Namespace is created with the first object, so a probe that only reads leaves no trace.
    """

    def __init__(
        self, space: Space, probe: str, security: PodSecurity, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self.cluster = space.cluster
        self.probe = probe
        self.security = security
        self.tell = tell
        """Shows users a line about what the probe is waiting for."""
        self.created: list[Object] = []
        self._space = space

    def name(self, part: str) -> str:
        """A name that no other probe of the run uses."""
        return f"{self.probe}-{part}"

    def cluster_name(self, part: str) -> str:
        """A name for a cluster-scoped object, which no other run uses either."""
        return f"aiconform-{self._space.run}-{self.probe}-{part}"

    @property
    def labels(self) -> dict[str, str]:
        """The labels of every object created here. Set them in templates too, so that deletion is awaited."""
        return {MANAGED_BY: "aiconform", RUN_LABEL: self._space.run, PROBE_LABEL: self.probe}

    @property
    def selector(self) -> str:
        return f"{RUN_LABEL}={self._space.run},{PROBE_LABEL}={self.probe}"

    async def namespace(self) -> str:
        """The Namespace of its namespaced objects."""
        return await self._space.namespace(self.security)

    async def create(self, obj: Object, *, webhook_seconds: float | None = None) -> Object:
        """Create `obj` with the run's labels, in the Namespace or, if cluster-scoped, owned by the run's Namespace.

        While an admission webhook is not reached or is behind, the request is retried for `webhook_seconds`, by default
        as long as the task is patient.
        """
        resource = await self.cluster.resource(obj["apiVersion"], obj["kind"])
        namespace = await self._space.namespace(self.security)
        metadata = {**obj["metadata"], "labels": {**obj["metadata"].get("labels", {}), **self.labels}}
        if resource.namespaced:
            metadata["namespace"] = namespace
        else:
            metadata["ownerReferences"] = [owner_reference(self._space.owner)]
        obj = {**obj, "metadata": metadata}
        known = await self._space.ranges(namespace) if has_pods(obj) else []
        try:
            return await self._create(self._fitted(obj, known), webhook_seconds)
        except Rejected:
            # A controller may have given the Namespace a LimitRange since.
            if not has_pods(obj) or (now := await self._space.ranges(namespace, afresh=True)) == known:
                raise
            return await self._create(self._fitted(obj, now), webhook_seconds)

    def _fitted(self, obj: Object, ranges: Sequence[Object]) -> Object:
        """The object as this cluster, and these LimitRanges, ask for it."""
        obj = self._space.guest.fitted(obj, ranges)
        return without_user(obj, RESTRICTED["runAsUser"]) if self._space.users_are_chosen else obj

    async def _create(self, obj: Object, webhook_seconds: float | None) -> Object:
        self.created.append(obj)
        # An interrupted request may still have created the object: the clean-up knows its name and labels.
        created = await wait.reaching_webhooks(lambda: self.cluster.create(obj), seconds=webhook_seconds)
        self.created = [created if entry is obj else entry for entry in self.created]
        return created

    async def remains(self) -> Object:
        """The objects created here as they are now, and warning events: `{"objects": [...], "events": [...]}`."""
        kinds = sorted(
            {(obj["apiVersion"], obj["kind"], obj["metadata"].get("namespace") or "") for obj in self.created}
        )
        objects: list[Object] = []
        for api_version, kind, namespace in kinds:
            found = self.cluster.list(api_version, kind, namespace or None, labels=self.selector)
            objects += [obj async for obj in found]
        for obj in objects:
            obj["metadata"].pop("managedFields", None)
        uids = {obj["metadata"]["uid"] for obj in objects}
        namespace = await self._space.namespace(self.security)
        events = [
            {key: event.get(key) for key in ("type", "reason", "message", "count", "firstTimestamp", "involvedObject")}
            async for event in self.cluster.list("v1", "Event", namespace, fields="type=Warning")
            if event["involvedObject"].get("uid") in uids
        ]
        return {"objects": objects, "events": events}

    async def close(self) -> None:
        """Delete everything that was created here and wait until it is gone. Raises TimedOut with what is left."""
        created = [obj for obj in self.created if "uid" in obj["metadata"]]
        unsure = [obj for obj in self.created if "uid" not in obj["metadata"]]
        await asyncio.gather(*(self.cluster.delete(obj) for obj in (*created, *unsure)))
        kinds = {(obj["apiVersion"], obj["kind"], obj["metadata"].get("namespace")) for obj in (*created, *unsure)}
        namespaces = {namespace for *_, namespace in kinds if namespace}
        async with _dropping_lost_pods(self.cluster, namespaces, self.selector):
            await asyncio.gather(
                *(
                    wait.all_gone(self.cluster, *kind, labels=self.selector, seconds=CLEANUP_SECONDS)
                    for kind in sorted(kinds, key=str)
                )
            )


def owner_reference(owner: Object) -> Object:
    metadata = owner["metadata"]
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": metadata["name"], "uid": metadata["uid"]}


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
    async with _dropping_lost_pods(cluster, {namespace["metadata"]["name"] for namespace in existing}):
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


@asynccontextmanager
async def _dropping_lost_pods(cluster: Cluster, namespaces: Collection[str], labels: str = "") -> AsyncIterator[None]:
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
