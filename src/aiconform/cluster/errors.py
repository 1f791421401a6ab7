"""What can go wrong between this tool and a cluster, as one tree.

ClusterError
├── NoCluster         no kubeconfig, no such context, unreadable credentials
├── Unreachable       the API server does not answer
├── Unauthorized      the API server does not accept the credentials
├── Forbidden         the credentials lack a permission (names verb and resource)
├── NotFound          the object, or the whole resource, is not there
├── Conflict          it exists already, or was changed in between
├── Rejected          invalid, or refused by an admission webhook or a quota
├── Expired           a watch's or a page's resourceVersion is too old
├── ServerFailed      the API server answered 5xx, or asked to come back later and stayed that way
│   └── WebhookUnreached  an admission webhook does not answer the API server
├── Stuck             an object reached a state that it will not leave by waiting
└── TimedOut          a wait's deadline passed
"""

from __future__ import annotations


class ClusterError(Exception):
    """Base of every error that talking to a cluster raises; its text is meant for the user."""


class NoCluster(ClusterError):
    """There is nothing to connect to."""


class Unreachable(ClusterError):
    """The API server did not answer."""


class ApiError(ClusterError):
    """The API server refused a request.

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
    """409."""


class Rejected(ApiError):
    """400, 422, or a 403 that came from admission (a quota, Pod Security, a webhook)."""


class Expired(ApiError):
    """410: start the list or the watch again."""


class ServerFailed(ApiError):
    """5xx, or 429 for longer than we wait."""


class WebhookUnreached(ServerFailed):
    """The API server could not ask the admission webhook `webhook`, or it does not know the Namespace yet."""

    def __init__(self, message: str, *, webhook: str, status: int = 500, reason: str = "") -> None:
        super().__init__(message, status=status, reason=reason)
        self.webhook = webhook


class Stuck(ClusterError):
    """Waiting on would be in vain; the text says what was seen."""


class TimedOut(ClusterError):
    """A wait ended without what it waited for; the text says for how long and what was seen last."""
