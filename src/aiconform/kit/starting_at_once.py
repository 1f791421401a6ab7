"""Many Pods that start at once, followed by one watch: each watch of its own would keep a connection."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from aiconform.cluster import Cluster, ClusterError, NotCreated, Object, Stuck, TimedOut, wait
from aiconform.kit.pods import not_in_time, refused, start_of


@dataclass(frozen=True)
class Started:
    """What became of a Pod.

    running: once it runs. problem: why it did not start on its node; late: it was not refused, the time is over. error:
    why it did not that has nothing to do with its node's devices, as `pods.started` raises it.
    """

    running: Object | None = None
    problem: str = ""
    late: bool = False
    error: ClusterError | None = None


async def each_started(cluster: Cluster, created: Sequence[Object], *, labels: str, seconds: float) -> list[Started]:
    """What became of each of these Pods, which are of one Namespace. labels: which all of them have.

    Raises ClusterError if the Pods cannot be read.
    """
    if not created:
        return []
    last = {pod["metadata"]["uid"]: pod for pod in created}
    found: dict[str, Started] = {}
    known: set[str] = set()

    def all_told(there: Sequence[Object]) -> bool | None:
        now = {each["metadata"]["uid"]: each for each in there if each["metadata"]["uid"] in last}
        for uid in last.keys() - found.keys():
            if (seen := now.get(uid)) is not None:
                last[uid] = seen
                if became := _became(seen):
                    found[uid] = became
            elif uid in known:
                found[uid] = Started(error=Stuck(f"{start_of(last[uid])}: it was deleted by someone else"))
        known.update(now)
        return len(found) == len(last) or None

    namespace, what = created[0]["metadata"]["namespace"], f"{len(created)} Pods to start"
    with contextlib.suppress(TimedOut):
        await wait.among(cluster, "v1", "Pod", namespace, all_told, labels=labels, seconds=seconds, what=what)
    return [found.get(uid) or await _late(cluster, seen, seconds) for uid, seen in last.items()]


def _became(seen: Object) -> Started | None:
    """What became of a Pod; None as long as it starts."""
    try:
        if (running := wait.running(seen)) is None:
            return None
        problem = refused(running)
    except NotCreated as error:
        return Started(problem=str(error))
    except Stuck as error:
        return Started(error=error)
    return Started(problem=problem) if problem else Started(running)


async def _late(cluster: Cluster, seen: Object, seconds: float) -> Started:
    over = TimedOut(f"{start_of(seen)}: not within {seconds:.0f} s; last seen: {wait.describe(seen)}")
    try:
        return Started(problem=await not_in_time(cluster, seen, over), late=True)
    except (Stuck, TimedOut) as error:
        return Started(error=error)
