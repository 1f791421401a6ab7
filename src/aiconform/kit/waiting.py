"""A Pod that has to wait for a device: what the scheduler decides, and whether it stays so."""

from __future__ import annotations

from aiconform.cluster import Cluster, ClusterError, Object, TimedOut, wait
from aiconform.kit.pods import started, unschedulable


async def decided(cluster: Cluster, created: Object, *, seconds: float) -> Object:
    """The Pod, once the scheduler placed it or said why it does not. Raises ClusterError."""
    return await wait.until(cluster, created, _decided, seconds=seconds, what="the scheduler to decide")


async def kept_waiting(cluster: Cluster, created: Object, *, seconds: float, window: float) -> tuple[str, str]:
    """(what the scheduler says of a Pod that waits all the time, "") or ("", what became of one that it placed).

    seconds: the longest time until the scheduler decides, and until a Pod runs that it placed. window: how long to
    watch one that waits, after that decision. Raises ClusterError.
    """
    if waits := unschedulable(await decided(cluster, created, seconds=seconds)):
        try:
            await wait.until(cluster, created, _placed, seconds=window, what="a Pod that has to wait")
        except TimedOut:
            return waits.words, ""
    try:
        running, problem = await started(cluster, created, seconds=seconds)
    except ClusterError as error:
        running, problem = None, str(error)
    return "", "it runs" if running else problem


def _decided(seen: Object) -> Object | None:
    return seen if seen["spec"].get("nodeName") or unschedulable(seen) else None


def _placed(seen: Object) -> Object | None:
    return seen if seen["spec"].get("nodeName") else None
