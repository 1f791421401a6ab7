"""What a probe creates on a cluster: everything is labelled, owned and deleted by UID, and deletion is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiconform.cluster import wait
from aiconform.cluster.api import Object
from aiconform.cluster.errors import BeyondNamespace, OverQuota, Rejected
from aiconform.cluster.guest import has_pods
from aiconform.cluster.removal import CLEANUP_SECONDS, RUN_LABEL, dropping_lost_pods
from aiconform.cluster.space import INSTEAD, RESTRICTED_USER, PodSecurity, Space, owner_reference

PROBE_LABEL = "aiconform.dev/probe"
# What the restricted Pod Security Standard asks of a container.
RESTRICTED: Object = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": RESTRICTED_USER,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


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
        return {**self._space.labels, PROBE_LABEL: self.probe}

    @property
    def priority_class(self) -> str:
        """The PriorityClass that the user gives to every Pod; empty if none."""
        return str(self._space.guest.pod_template.get("spec", {}).get("priorityClassName", ""))

    @property
    def selector(self) -> str:
        return f"{RUN_LABEL}={self._space.run},{PROBE_LABEL}={self.probe}"

    @property
    def namespace_uid(self) -> str:
        """The UID of the run's first Namespace, once something was created; empty in a Namespace that is given."""
        return "" if self._space.given else str(self._space.owner["metadata"].get("uid", ""))

    async def namespace(self) -> str:
        """The Namespace of its namespaced objects."""
        return await self._space.namespace(self.security)

    async def create(
        self, obj: Object, *, webhook_seconds: float | None = None, security: PodSecurity | None = None
    ) -> Object:
        """Create `obj` with the run's labels, in the Namespace or, if cluster-scoped, owned by the run's Namespace.

        security: of the Namespace, for an object that needs another Pod Security level than the probe.

        Raises BeyondNamespace for a cluster-scoped object where the run works in a Namespace that is given. While an
        admission webhook is not reached or is behind, the request is retried for `webhook_seconds`, by default
        as long as the task is patient.
        """
        resource = await self.cluster.resource(obj["apiVersion"], obj["kind"])
        if self._space.given and not resource.namespaced:
            instead = INSTEAD.get(resource.plural, "run this check without --namespace")
            raise BeyondNamespace(
                f"this needs a {obj['kind']}, which is an object of the cluster, and with --namespace a run makes "
                f"none: {instead}"
            )
        namespace = await self._space.namespace(security or self.security)
        metadata = {**obj["metadata"], "labels": {**obj["metadata"].get("labels", {}), **self.labels}}
        if resource.namespaced:
            metadata["namespace"] = namespace
            if owners := self._space.owners:
                metadata["ownerReferences"] = owners
        else:
            metadata["ownerReferences"] = [owner_reference(self._space.owner)]
        obj = {**obj, "metadata": metadata}
        known = await self._space.ranges(namespace) if has_pods(obj) else []
        try:
            return await self._create(self._space.fitted(obj, known), webhook_seconds)
        except Rejected:
            # A controller may have given the Namespace a LimitRange since.
            if not has_pods(obj) or (now := await self._space.ranges(namespace, afresh=True)) == known:
                raise
            return await self._create(self._space.fitted(obj, now), webhook_seconds)

    async def fitted(self, template: Object) -> Object:
        """A Pod template as `create` makes it, for what names its requests elsewhere."""
        return self._space.fitted(template, await self._space.ranges(await self.namespace()))

    async def _create(self, obj: Object, webhook_seconds: float | None) -> Object:
        self.created.append(obj)

        async def request() -> Object:
            try:
                return await self.cluster.create(obj)
            except OverQuota as error:
                self.tell(f"waiting for quota: {error}")
                raise

        # An interrupted request may still have created the object: the clean-up knows its name and labels.
        created = await wait.reaching_webhooks(request, seconds=webhook_seconds)
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
        async with dropping_lost_pods(self.cluster, namespaces, self.selector):
            await asyncio.gather(
                *(
                    wait.all_gone(self.cluster, *kind, labels=self.selector, seconds=CLEANUP_SECONDS)
                    for kind in sorted(kinds, key=str)
                )
            )
