"""What autoscalers report if the cloud gives them no machine for now: its capacity, or the quota of the account."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aiconform.cluster import Object
from aiconform.platform.autoscaling.karpenter import POOL_LABEL
from aiconform.platform.autoscaling.pools import FLEX_START, Pool
from aiconform.platform.inventory import Platform

_SHORTAGE = re.compile(
    # GKE: https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-autoscaler-visibility
    r"GCE out of resources|GCE quota exceeded|scale\.up\.error\.(out\.of\.resources|quota\.exceeded)"
    r"|RESOURCE_POOL_EXHAUSTED|QUOTA_EXCEEDED|stockout"
    # Cluster Autoscaler's codes: https://github.com/kubernetes/autoscaler/tree/master/cluster-autoscaler/cloudprovider
    r"|OutOfResource|placeholder-cannot-be-fulfilled|cannot provision any more instances|Out of host capacity"
    # Karpenter: https://karpenter.sh/docs/troubleshooting/, and the codes of EC2
    r"|insufficient capacity|InsufficientCapacity|InsufficientInstanceCapacity|UnfulfillableCapacity"
    r"|ReservationCapacityExceeded|VcpuLimitExceeded|InstanceLimitExceeded|MaxSpotInstanceCountExceeded"
    # https://learn.microsoft.com/en-us/troubleshoot/azure/azure-kubernetes/
    r"|ZonalAllocationFailed|AllocationFailed|OverconstrainedAllocationRequest|SkuNotAvailable|QuotaExceeded"
    r"|exceeding approved .* quota"
    # What a ComputeClass or the labels of nodes declare, see pools.py.
    rf"|{FLEX_START}",
    re.IGNORECASE,
)
# Events of objects without a Namespace are in this one.
_OF_NODE_CLAIMS = ("default", "involvedObject.kind=NodeClaim")


def shortage(texts: Iterable[str]) -> str:
    """The first of these reports by which the cloud has no machine for now; empty if none says so."""
    return next((text for text in texts if _SHORTAGE.search(text)), "")


async def reported(platform: Platform, pool: Pool, since: str) -> tuple[str, ...]:
    """What Karpenter reports about machines that it ordered for this pool, each message once; () of other pools.

    since: a time of the API server, such as a creationTimestamp; what was reported before counts for nothing. These are
    events of NodeClaims, whose names begin with that of their pool. Raises ClusterError.
    """
    if pool.label is None or pool.label[0] != POOL_LABEL:
        return ()
    namespace, fields = _OF_NODE_CLAIMS
    events = [each async for each in platform.cluster.list("v1", "Event", namespace, fields=fields)]
    own = [each for each in events if _is_of(each, pool.label[1]) and _latest(each) >= since]
    return tuple(dict.fromkeys(f"{event.get('reason')}: {event.get('message')}" for event in own))


def _is_of(event: Object, pool: str) -> bool:
    return str((event.get("involvedObject") or {}).get("name", "")).rpartition("-")[0] == pool


def _latest(event: Object) -> str:
    """When it was reported last, in the form of RFC 3339 without fractions of a second; empty if nobody says."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return max((f"{time[:19]}Z" for time in times if time), default="")
