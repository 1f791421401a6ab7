"""Why an endpoint does not let a run read its metrics, and what helps.

A run reads through the API server's proxy. The API server takes the credential out of a request before it sends that
on, and a run has no other way to a Pod: it gives its own credential to none, since the Pod could use it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

_NAMED = "or name Pods that can be read so, --set accelerator_metrics.exporter=NAMESPACE/POD*"
# Never a rule of RBAC for all users: it is one of the whole cluster, and opens the API server's own metrics, too.
_WITHOUT = "The API server's proxy hands on no credential: let the exporter, or the proxy before it, answer without one"
WITH_CREDENTIAL = f"{_WITHOUT} (kube-rbac-proxy: --ignore-paths=/metrics), {_NAMED}"
WITHOUT_CERTIFICATE = f"The API server's proxy has no client certificate: let the exporter ask for none, {_NAMED}"
OVER_TLS = (
    "Declare the port that serves TLS, and say so where monitoring reads it (annotation prometheus.io/scheme: https, "
    f"or `scheme` of the PodMonitor or ServiceMonitor), {_NAMED}"
)
OUTSIDE_PODS = f"A run reads only what Pods answer: let Pods have these metrics, too, such as a collector's, {_NAMED}"
_REDIRECTS = (301, 302, 303, 307, 308)
_TLS_ALERT = "remote error: tls:"
"""What Go's clients say, such as the API server, when the other side ends the handshake."""
_MOST = 120


def by_status(status: int, text: str) -> tuple[str, str]:
    """(how an answer asks who reads, what helps); empty if it does not. Login pages are asked for by redirects."""
    if status in (401, 403):
        return f"requires authentication: it answers HTTP {status}{_quoted(text)}", WITH_CREDENTIAL
    if status in _REDIRECTS:
        return f"requires authentication, or moved: it redirects elsewhere (HTTP {status})", WITH_CREDENTIAL
    return "", ""


def over_tls(status: int, location: str, path: str) -> tuple[str, str]:
    """The same for a redirect to https and nothing else: it names the path that was asked for, as no login page does.

    One to the same host and port looks like any other: the API server writes its own proxy into it.
    """
    try:
        there = urlsplit(location)
    except ValueError:
        return "", ""
    if status not in _REDIRECTS or (there.scheme, there.path) != ("https", path):
        return "", ""
    return f" redirects to https (HTTP {status})", OVER_TLS


def by_tls(error: str) -> tuple[str, str]:
    """The same for the API server's error, if the endpoint refuses TLS without a client certificate."""
    if _TLS_ALERT not in error:
        return "", ""
    alert = error.partition(_TLS_ALERT)[2].strip().splitlines()[0][:_MOST]
    return f"requires authentication: it refuses TLS ({alert})", WITHOUT_CERTIFICATE


def _quoted(text: str) -> str:
    """The first line of an answer in parentheses, if it is one for people: it can name the user that it knows."""
    line = next(iter(text.strip().splitlines()), "")[:_MOST].strip()
    return f" ({line})" if line.isprintable() and line and line[0] not in "<{" else ""
