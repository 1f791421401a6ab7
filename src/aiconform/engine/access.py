"""The least API access of a run: what the checks' probes declare, and what every run does itself."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from aiconform.checks.contract import Access, Check
from aiconform.cluster import Cluster, Object

# Namespaces are made, watched until they are gone, and read for the cluster's identity (kube-system's UID).
RUN = (
    Access("", "namespaces", ("create", "delete", "get", "list", "watch")),
    Access("", "nodes", ("list",)),
    Access("", "pods", ("list",)),
    Access("", "events", ("list",)),
    Access("resource.k8s.io", "resourceslices", ("list",)),
    Access("resource.k8s.io", "resourceclaims", ("list",)),
    Access("resource.k8s.io", "deviceclasses", ("list",)),
)


def needed(checks: Iterable[Check]) -> dict[tuple[str, str], set[str]]:
    """(API group, resource) -> verbs that a run of these checks uses."""
    verbs: dict[tuple[str, str], set[str]] = defaultdict(set)
    for access in (*RUN, *(access for check in checks for access in check.access)):
        verbs[access.group, access.resource].update(access.verbs)
    return verbs


async def missing(cluster: Cluster, checks: Iterable[Check]) -> list[str]:
    """What these credentials may not do of it, as `verb resource`."""
    asked = [(verb, *key) for key, verbs in sorted(needed(checks).items()) for verb in sorted(verbs)]
    answers = await asyncio.gather(*(cluster.may(*each) for each in asked))
    return [f"{verb} {resource}" for (verb, _, resource), allowed in zip(asked, answers, strict=True) if not allowed]


def cluster_role(name: str, checks: Iterable[Check]) -> Object:
    """A ClusterRole with one rule for each resource. Discovery and /version are open to every user by default."""
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": sorted(allowed)}
        for (group, resource), allowed in sorted(needed(checks).items())
    ]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }
