"""The Namespaces of a run.

A run has one Namespace. Its other Namespaces (for other Pod Security levels) and all its cluster-scoped objects are
owned by that one, so that deleting it collects everything, even after the tool was killed.

Or it works in a Namespace that is given. There a Lease owns what it makes, and it makes nothing at the scope of the
cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from aiconform.cluster import pull_secrets, wait
from aiconform.cluster.api import Cluster, Object
from aiconform.cluster.errors import Conflict, Forbidden, NotFound
from aiconform.cluster.guest import Guest, without_user
from aiconform.cluster.pull_secrets import PullSecret
from aiconform.cluster.removal import MANAGED_BY, RUN_LABEL, clear, remove

PodSecurity = Literal["restricted", "baseline", "privileged"]
# OpenShift gives each Namespace a range of users and, by its SCC restricted-v2, refuses Pods that name another.
# https://docs.openshift.com/container-platform/latest/authentication/managing-security-context-constraints.html
_CHOOSES_USERS = "security.openshift.io/v1"
RESTRICTED_USER = 65534
NO_WISHES = Guest()
_QUEUE = "name a queue (--set gang_scheduling.queue=NAME), or another operator (--set robust_controller.operator=NAME)"
# Resource -> what helps where a run makes none of it.
INSTEAD = {
    "priorityclasses": "name one with preemptionPolicy Never for all Pods (spec.priorityClassName of --pod-template)",
    "deviceclasses": "let an administrator make a DeviceClass that selects these devices",
    "clusterqueues": _QUEUE,
    "resourceflavors": _QUEUE,
    "topologies": _QUEUE,
    "queues": _QUEUE,
    "pods": "leave controllers alone (--set robust_controller.restart=false)",
}


class Space:
    """All Namespaces of one run. They are created when first needed."""

    def __init__(
        self, cluster: Cluster, run: str, guest: Guest = NO_WISHES, secrets: Sequence[PullSecret] = ()
    ) -> None:
        self.cluster = cluster
        self.run = run
        self.given = guest.namespace
        """The Namespace that the run works in; empty if it makes its own."""
        # Those of the given Namespace need no copy.
        here = [each.source.partition("/")[2] for each in secrets if each.source.startswith(f"{self.given}/")]
        others = [each for each in secrets if not each.source.startswith(f"{self.given}/")]
        self._secrets = {f"aiconform-{run}-pull-{number}": each for number, each in enumerate(others, 1)}
        self.guest = guest.pulling([*here, *self._secrets]) if secrets else guest
        self._lease: Object | None = None
        self._supplied: set[str] = set()
        self.users_are_chosen = False
        """Whether the cluster chooses the users of Pods: a restricted one then names none."""
        self._namespaces: dict[PodSecurity, Object] = {}
        self._ranges: dict[str, list[Object]] = {}
        self._making = asyncio.Lock()

    async def namespace(self, level: PodSecurity) -> str:
        """The run's Namespace for Pods of this Pod Security level."""
        async with self._making:
            name = await self._settled() if self.given else await self._own(level)
            if name not in self._supplied:
                for secret, source in self._secrets.items():
                    copy = source.copy(secret, name, self.labels, self.owners)
                    await pull_secrets.create(self.cluster, source, copy)
                self._supplied.add(name)
            return name

    async def _own(self, level: PodSecurity) -> str:
        """The run's own Namespace for Pods of this level."""
        owner = self._made("restricted") or await self._make("restricted", owner=None)
        made = self._made(level) or await self._make(level, owner=owner)
        return str(made["metadata"]["name"])

    def _made(self, level: PodSecurity) -> Object | None:
        """The Namespace, if it was made: a request that was refused is made again, for whoever needs it next."""
        found = self._namespaces.get(level)
        return found if found and "uid" in found["metadata"] else None

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

    def draft(self, level: PodSecurity, owner: Object | None = None) -> Object:
        """The Namespace for Pods of this level, before it is made. owner: the first one, of every other."""
        metadata: Object = {
            "name": f"aiconform-{self.run}" + (f"-{level}" if owner else ""),
            "labels": {**self.labels, "pod-security.kubernetes.io/enforce": level},
        }
        if owner:
            metadata["ownerReferences"] = [owner_reference(owner)]
        return self.guest.fitted({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def fitted(self, obj: Object, ranges: Sequence[Object]) -> Object:
        """The object as this cluster, and these LimitRanges, ask for it."""
        obj = self.guest.fitted(obj, ranges)
        return without_user(obj, RESTRICTED_USER) if self.users_are_chosen else obj

    async def _make(self, level: PodSecurity, owner: Object | None) -> Object:
        draft = self.draft(level, owner)
        # Recorded before the request: if it is cancelled halfway, `close` still looks for the Namespace.
        self._namespaces[level] = draft
        self._namespaces[level] = await self._create(draft)
        return self._namespaces[level]

    async def _create(self, draft: Object) -> Object:
        """The object as it was made; it has the run's name."""
        try:
            return await wait.reaching_webhooks(lambda: self.cluster.create(draft))
        except Conflict:
            # A request that was cancelled, as at the limit of a probe, made it all the same.
            about = draft["metadata"]
            return await self.cluster.get(draft["apiVersion"], draft["kind"], about["name"], about.get("namespace"))

    async def _settled(self) -> str:
        """The given Namespace, with what owns everything of the run in it."""
        if self.owners:
            return self.given
        draft: Object = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": f"aiconform-{self.run}", "namespace": self.given, "labels": self.labels},
            "spec": {"holderIdentity": f"aiconform-{self.run}"},
        }
        # Recorded before the request, as Namespaces are.
        self._lease = draft
        self._lease = await self._create(draft)
        return self.given

    def own(self, name: str) -> str:
        """The beginning of names that nobody else has in this Namespace: other runs work in a given one, too."""
        return f"{name}-{self.run}" if self.given else name

    @property
    def labels(self) -> dict[str, str]:
        """The labels of everything that the run makes."""
        return {MANAGED_BY: "aiconform", RUN_LABEL: self.run}

    @property
    def owners(self) -> list[Object]:
        """The owner references of what lies in the Namespace of the run: in its own none are needed."""
        return [owner_reference(self._lease)] if self._lease and "uid" in self._lease["metadata"] else []

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
        """Delete all Namespaces of the run and wait until they are gone. Raises TimedOut with the names of the rest.

        Of a given Namespace only what the run made in it.
        """
        if self._lease:
            await clear(self.cluster, self._lease)
        if self._namespaces:
            await remove(self.cluster, list(self._namespaces.values()))


def owner_reference(owner: Object) -> Object:
    metadata = owner["metadata"]
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": metadata["name"], "uid": metadata["uid"]}
