"""The only package that uses the Kubernetes client.

`connect` opens a `Cluster`; `wait` waits by watches; `Scratch` creates a probe's objects and deletes them.
"""

from aiconform.cluster.api import Cluster, Object, Resource, WatchEvent, connect
from aiconform.cluster.behind import ProxyResponse
from aiconform.cluster.errors import (
    AdmissionBehind,
    ApiError,
    BeyondNamespace,
    ClusterError,
    Conflict,
    Expired,
    Forbidden,
    NoAnswer,
    NoCluster,
    NotCreated,
    NotFound,
    OverQuota,
    Rejected,
    ServerFailed,
    Stuck,
    TimedOut,
    Unauthorized,
    Unreachable,
    WebhookBehind,
    WebhookUnreached,
)

__all__ = [
    "AdmissionBehind",
    "ApiError",
    "BeyondNamespace",
    "Cluster",
    "ClusterError",
    "Conflict",
    "Expired",
    "Forbidden",
    "NoAnswer",
    "NoCluster",
    "NotCreated",
    "NotFound",
    "Object",
    "OverQuota",
    "ProxyResponse",
    "Rejected",
    "Resource",
    "ServerFailed",
    "Stuck",
    "TimedOut",
    "Unauthorized",
    "Unreachable",
    "WatchEvent",
    "WebhookBehind",
    "WebhookUnreached",
    "connect",
]
