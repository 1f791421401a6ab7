"""The least API access that a run needs: what the probes declare, and what every run does itself."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from aiconform.check import Access, Check
from aiconform.cluster import Cluster, Object
from aiconform.cluster.space import INSTEAD
from aiconform.engine.identity import AUTHORITY

# What containers request follows the LimitRanges of their Namespace.
_EVERY_RUN = (
    Access("", "nodes", ("list",), everywhere=True),
    Access("", "pods", ("list",), everywhere=True),
    Access("", "events", ("list",)),
    Access("", "limitranges", ("list",)),
    Access("resource.k8s.io", "resourceslices", ("list",), everywhere=True),
    Access("resource.k8s.io", "resourceclaims", ("list",), everywhere=True),
    Access("resource.k8s.io", "deviceclasses", ("list",), everywhere=True),
    Access("resource.k8s.io", "devicetaintrules", ("list",), everywhere=True, optional=True),
)
# Namespaces are created, watched until they are deleted, and read for the cluster's identity (kube-system's UID).
RUN = (
    Access("", "namespaces", ("create", "delete", "get", "list", "watch"), everywhere=True),
    *_EVERY_RUN,
)
# In a Namespace that is given, a Lease owns what the run makes.
AS_GUEST = (
    Access("", "namespaces", ("get",), everywhere=True),
    Access("coordination.k8s.io", "leases", ("create", "get", "list", "delete")),
    *_EVERY_RUN,
)
# For the cluster's identity. A run goes on without it, so nobody is told that it is missing.
_IDENTIFYING = Access("", "configmaps", ("get",), names=(AUTHORITY,), everywhere=True)
READING = frozenset({"get", "list", "watch"})
Subject = tuple[str, str, tuple[str, ...]]


def pulling(references: Iterable[str]) -> tuple[Access, ...]:
    """What a run needs besides to pull images with the Secrets of these NAMESPACE/NAME."""
    names = tuple(sorted({reference.partition("/")[2] for reference in references}))
    if not names:
        return ()
    return (Access("", "secrets", ("get",), names=names, everywhere=True), Access("", "secrets", ("create",)))


def needed(checks: Iterable[Check], more: Iterable[Access] = (), *, optional: bool = True) -> dict[Subject, set[str]]:
    """(API group, resource, names of the only objects) -> verbs that a run of these checks uses; `more` besides.

    optional: also what it uses where it may.
    """
    return _verbs(_of((*RUN, *more), checks, optional))


def needed_within(
    checks: Iterable[Check], more: Iterable[Access] = (), *, optional: bool = True
) -> tuple[dict[Subject, set[str]], dict[Subject, set[str]]]:
    """The same for a run in a Namespace that is given: (what it uses there, what it reads elsewhere)."""
    every = _of((*AS_GUEST, *more), checks, optional)
    elsewhere = [replace(each, verbs=tuple(READING & {*each.verbs})) for each in every if each.everywhere]
    return _verbs(each for each in every if not each.everywhere), _verbs(elsewhere)


def beyond(check: Check) -> dict[str, str]:
    """What a check makes or changes beyond a Namespace, as `verbs resource` -> what helps without; empty if nothing.

    Without what it needs on few clusters only.
    """
    found: dict[str, str] = {}
    for access in check.access:
        if (
            access.everywhere
            and not access.optional
            and (verbs := [verb for verb in access.verbs if verb not in READING])
        ):
            found[f"{', '.join(verbs)} {access.resource}"] = INSTEAD.get(access.resource, "")
    return found


def _of(every_run: Iterable[Access], checks: Iterable[Check], optional: bool) -> list[Access]:
    declared = (*every_run, *(access for check in checks for access in check.access))
    return [access for access in declared if optional or not access.optional]


def _verbs(accesses: Iterable[Access]) -> dict[Subject, set[str]]:
    verbs: dict[Subject, set[str]] = defaultdict(set)
    for access in accesses:
        verbs[access.group, access.resource, access.names].update(access.verbs)
    for (group, resource, names), some in verbs.items():
        if names:
            some -= verbs.get((group, resource, ()), set())
    return {subject: asked for subject, asked in verbs.items() if asked}


class Permissions:
    """The permissions of these credentials. Each is asked for once, however many checks need it.

    namespace: the one that is given to the run, if any.
    """

    def __init__(self, cluster: Cluster, namespace: str = "") -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._asked: dict[tuple[str, ...], asyncio.Task[bool]] = {}

    async def missing(self, checks: Iterable[Check], more: Iterable[Access] = ()) -> list[str]:
        """The permissions that a run of these checks needs and that these credentials lack, as `verb resource`.

        Without the optional ones; `more` besides.
        """
        checks, more = tuple(checks), tuple(more)
        if await self._may("*", "*", "*"):
            # Most users are administrators: one request instead of hundreds.
            return []
        parts = [("", needed(checks, more, optional=False))]
        if self._namespace:
            here, elsewhere = needed_within(checks, more, optional=False)
            parts = [(self._namespace, here), ("", elsewhere)]
        wanted = [
            (verb, group, resource, name, namespace)
            for namespace, subjects in parts
            for (group, resource, names), verbs in sorted(subjects.items())
            for verb in sorted(verbs)
            for name in names or ("",)
        ]
        answers = await asyncio.gather(*(self._may(*each) for each in wanted))
        return [
            f"{verb} {resource} {name}".rstrip()
            for (verb, _, resource, name, _), may in zip(wanted, answers, strict=True)
            if not may
        ]

    async def _may(self, verb: str, group: str, resource: str, name: str = "", namespace: str = "") -> bool:
        question = (verb, group, resource, name, namespace)
        if question not in self._asked:
            asking = self._cluster.may(verb, group, resource, name=name, namespace=namespace)
            self._asked[question] = asyncio.ensure_future(asking)
        return await asyncio.shield(self._asked[question])


def cluster_role(name: str, checks: Iterable[Check], more: Iterable[Access] = ()) -> Object:
    """A ClusterRole with one rule for each resource, limited to names where these are known.

    Discovery and /version are open to every user by default.
    """
    return _role("ClusterRole", {"name": name}, needed(checks, (_IDENTIFYING, *more)))


def roles_within(
    name: str, namespace: str, checks: Iterable[Check], more: Iterable[Access] = ()
) -> tuple[Object, Object]:
    """A Role for a Namespace that is given to a run, and the ClusterRole of what it reads elsewhere."""
    here, elsewhere = needed_within(checks, (_IDENTIFYING, *more))
    return (
        _role("Role", {"name": name, "namespace": namespace}, here),
        _role("ClusterRole", {"name": name}, elsewhere),
    )


def _role(kind: str, metadata: Object, subjects: dict[Subject, set[str]]) -> Object:
    rules = [
        {
            "apiGroups": [group],
            "resources": [resource],
            **({"resourceNames": list(names)} if names else {}),
            "verbs": sorted(allowed),
        }
        for (group, resource, names), allowed in sorted(subjects.items())
    ]
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules}
