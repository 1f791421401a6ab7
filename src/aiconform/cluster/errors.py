"""Errors of the connection to a cluster, as one tree.

ClusterError
├── NoCluster         no kubeconfig, no such context, unreadable credentials
├── Unreachable       the API server does not answer
├── Unauthorized      the API server does not accept the credentials
├── Forbidden         the credentials lack a permission (with verb and resource)
├── NotFound          the object does not exist, or its kind is not served
├── Conflict          the object exists already, or has changed
├── Rejected          invalid, or rejected by an admission webhook or a quota
│   ├── OverQuota         a quota has no room at the moment
│   └── AdmissionBehind   admission does not know yet what was just created, such as a PriorityClass
│       └── WebhookBehind     an admission webhook answers, but does not know a new Namespace yet
├── Expired           the resourceVersion of a watch or a page is too old
├── ServerFailed      the API server answered 5xx, or kept answering 429
│   └── WebhookUnreached  the API server cannot reach an admission webhook
├── Stuck             an object is in an unrecoverable state
│   ├── BeyondNamespace   an object of the cluster, in a run that works in one Namespace
│   └── NotCreated        the runtime could not create or start a container
└── TimedOut          the deadline of a wait has passed
"""

from __future__ import annotations


class ClusterError(Exception):
    """Base of all errors of requests to a cluster; the text is meant for the user."""


class NoCluster(ClusterError):
    """There is no cluster to connect to."""


class Unreachable(ClusterError):
    """The API server did not answer. `lasting`: it will not be otherwise a moment later."""

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


class ApiError(ClusterError):
    """The API server answered a request with an error.

    `status` is the HTTP status, `reason` the `reason` of the Status object, if it sent one.
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Unauthorized(ApiError):
    """401."""


class Forbidden(ApiError):
    """403 by authorisation. `verb` and `resource` are those of the request, as RBAC names them."""

    def __init__(self, message: str, *, verb: str, resource: str, status: int = 403, reason: str = "Forbidden") -> None:
        super().__init__(message, status=status, reason=reason)
        self.verb = verb
        self.resource = resource


class NotFound(ApiError):
    """404."""


class Conflict(ApiError):
    """409. `repeated`: an earlier try of the same request failed, and may have been carried out all the same."""

    repeated = False


class Rejected(ApiError):
    """400, 422, or a 403 that came from admission (a quota, Pod Security, a webhook)."""


class OverQuota(Rejected):
    """A ResourceQuota has room for the request, but others use it at the moment."""


class Expired(ApiError):
    """410: start the list or the watch again."""


class ServerFailed(ApiError):
    """5xx, or 429 for too long."""


class WebhookUnreached(ServerFailed):
    """The API server could not reach the admission webhook `webhook`."""

    def __init__(self, message: str, *, webhook: str, status: int = 500, reason: str = "") -> None:
        super().__init__(message, status=status, reason=reason)
        self.webhook = webhook


class AdmissionBehind(Rejected):
    """Admission refused an object because it does not know yet what was created just before: its caches are behind."""


class WebhookBehind(AdmissionBehind):
    """The admission webhook `webhook` answered, but does not know the Namespace yet: its caches are behind."""

    def __init__(self, message: str, *, webhook: str, status: int = 403, reason: str = "") -> None:
        super().__init__(message, status=status, reason=reason)
        self.webhook = webhook


class Stuck(ClusterError):
    """An unrecoverable state; the text says which."""


class BeyondNamespace(Stuck):
    """A run in a Namespace that is given makes nothing at the scope of the cluster."""


class NotCreated(Stuck):
    """The container runtime could not create or start a container of a Pod."""


class TimedOut(ClusterError):
    """A wait ended at its deadline; the text says after how long, and the last state."""


class NoAnswer(TimedOut):
    """A response was not complete at its deadline."""
