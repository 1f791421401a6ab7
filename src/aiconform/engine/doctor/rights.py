"""Who the credentials are of, and what they lack."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from aiconform.check import Access, Check
from aiconform.cluster import Cluster, ClusterError
from aiconform.cluster.reading import reading
from aiconform.engine.access import Permissions
from aiconform.engine.doctor.points import Point

# https://kubernetes.io/docs/reference/access-authn-authz/authentication/#self-subject-review
_REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {}}


async def user(cluster: Cluster) -> Point:
    """The name and the groups, as the API server knows them. Nothing depends on whether it tells."""
    try:
        answer = await cluster.create(dict(_REVIEW))
        with reading("the SelfSubjectReview"):
            about = answer["status"]["userInfo"]
            name, groups = str(about["username"]), [str(each) for each in about.get("groups") or ()]
    except ClusterError as error:
        return Point("user", "undecided", (f"whose credentials these are is not known: {error}",), counts=False)
    return Point("user", "fine", (f"{name}, in {', '.join(groups) or 'no group'}",), counts=False)


async def permissions(
    asking: Permissions, checks: Sequence[Check], counted: Collection[str], more: Sequence[Access], role: str
) -> Point:
    """What a run of these checks needs and these credentials may not, each with who needs it.

    counted: the checks that the verdict depends on. more: what the run needs besides. role: the command that prints it.
    """
    lacking: dict[str, list[str]] = defaultdict(list)
    try:
        every = await asking.missing([], more)
        for check in checks:
            for permission in await asking.missing([check]):
                if permission not in every:
                    lacking[permission].append(check.id)
    except ClusterError as error:
        return Point("permissions", "undecided", (str(error),))
    if not every and not lacking:
        return Point("permissions", "fine", (f"all that a run of {len(checks)} check(s) needs",))
    found = [f"{permission}: every run needs it" for permission in every]
    found += [f"{permission}: {', '.join(needing)} cannot run without it" for permission, needing in lacking.items()]
    counts = bool(every) or any(id_ in counted for needing in lacking.values() for id_ in needing)
    return Point("permissions", "in-the-way", tuple(found), f"`{role}` prints a role that allows it", counts)
