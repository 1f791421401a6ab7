"""The only place that knows the Kubernetes client.

`connect` opens a `Cluster`; `wait` waits by watches; `Scratch` is the space of a run that leaves nothing behind.
"""

from aiconform.cluster.api import Cluster, Event, Object, Resource, connect
from aiconform.cluster.errors import (
    ApiError,
    ClusterError,
    Conflict,
    Expired,
    Forbidden,
    NoCluster,
    NotFound,
    Rejected,
    ServerFailed,
    Stuck,
    TimedOut,
    Unauthorized,
    Unreachable,
    WebhookUnreached,
)
from aiconform.cluster.transport import Answer

__all__ = [
    "Answer",
    "ApiError",
    "Cluster",
    "ClusterError",
    "Conflict",
    "Event",
    "Expired",
    "Forbidden",
    "NoCluster",
    "NotFound",
    "Object",
    "Rejected",
    "Resource",
    "ServerFailed",
    "Stuck",
    "TimedOut",
    "Unauthorized",
    "Unreachable",
    "WebhookUnreached",
    "connect",
]
