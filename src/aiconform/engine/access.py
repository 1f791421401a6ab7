"""The least API access that a run needs: what the probes declare, and what every run does itself."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from aiconform.check import Access, Check
from aiconform.cluster import Cluster, Object

# Namespaces are created, watched until they are deleted, and read for the cluster's identity (kube-system's UID). What
# containers request follows the LimitRanges of theirs.
RUN = (
    Access("", "namespaces", ("create", "delete", "get", "list", "watch")),
    Access("", "nodes", ("list",)),
    Access("", "pods", ("list",)),
    Access("", "events", ("list",)),
    Access("", "limitranges", ("list",)),
    Access("resource.k8s.io", "resourceslices", ("list",)),
    Access("resource.k8s.io", "resourceclaims", ("list",)),
    Access("resource.k8s.io", "deviceclasses", ("list",)),
)


def pulling(references: Iterable[str]) -> tuple[Access, ...]:
    """What a run needs besides to pull images with the Secrets of these NAMESPACE/NAME."""
    names = tuple(sorted({reference.partition("/")[2] for reference in references}))
    if not names:
        return ()
    return (Access("", "secrets", ("get",), names=names), Access("", "secrets", ("create",)))


Subject = tuple[str, str, tuple[str, ...]]


def needed(checks: Iterable[Check], more: Iterable[Access] = ()) -> dict[Subject, set[str]]:
    """(API group, resource, names of the only objects) -> verbs that a run of these checks uses; `more` besides."""
    verbs: dict[Subject, set[str]] = defaultdict(set)
    for access in (*RUN, *more, *(access for check in checks for access in check.access)):
        verbs[access.group, access.resource, access.names].update(access.verbs)
    for (group, resource, names), some in verbs.items():
        if names:
            some -= verbs.get((group, resource, ()), set())
    return {subject: asked for subject, asked in verbs.items() if asked}


class Permissions:
    """The permissions of these credentials. Each is asked for once, however many checks need it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._asked: dict[tuple[str, str, str, str], asyncio.Task[bool]] = {}

    async def missing(self, checks: Iterable[Check]) -> list[str]:
        """The permissions that a run of these checks needs and that these credentials lack, as `verb resource`."""
        if await self._may("*", "*", "*"):
            # Most users are administrators: one request instead of hundreds.
            return []
        wanted = [
            (verb, group, resource, name)
            for (group, resource, names), verbs in sorted(needed(checks).items())
            for verb in sorted(verbs)
            for name in names or ("",)
        ]
        answers = await asyncio.gather(*(self._may(*each) for each in wanted))
        return [
            f"{verb} {resource} {name}".rstrip()
            for (verb, _, resource, name), may in zip(wanted, answers, strict=True)
            if not may
        ]

    async def _may(self, verb: str, group: str, resource: str, name: str = "") -> bool:
        question = (verb, group, resource, name)
        if question not in self._asked:
            self._asked[question] = asyncio.ensure_future(self._cluster.may(verb, group, resource, name=name))
        return await asyncio.shield(self._asked[question])


def cluster_role(name: str, checks: Iterable[Check], more: Iterable[Access] = ()) -> Object:
    """A ClusterRole with one rule for each resource, limited to names where these are known.

    Discovery and /version are open to every user by default.
    """
    rules = [
        {
            "apiGroups": [group],
            "resources": [resource],
            **({"resourceNames": list(names)} if names else {}),
            "verbs": sorted(allowed),
        }
        for (group, resource, names), allowed in sorted(needed(checks, more).items())
    ]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }
