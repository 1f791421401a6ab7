"""A Namespace that a user gives to a run: whether the run can begin in it."""

from __future__ import annotations

from aiconform.cluster import Cluster, Forbidden, NotFound, Object, Stuck


async def given_namespace(cluster: Cluster, name: str) -> Object | None:
    """The Namespace; None if it may not be read: who may not read it may still work in it. Raises ClusterError."""
    try:
        found = await cluster.get("v1", "Namespace", name)
    except NotFound:
        raise Stuck(f"--namespace {name}: there is no such Namespace") from None
    except Forbidden:
        return None
    if "deletionTimestamp" in found["metadata"]:
        raise Stuck(f"--namespace {name}: this Namespace is being deleted")
    return found
