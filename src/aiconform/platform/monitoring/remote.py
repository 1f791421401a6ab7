"""A query API that is reached at a URL instead of through the API server: with TLS, a token and a path of its own.

Managed and multi-tenant systems are read so: Thanos Querier on OpenShift, Grafana Mimir, managed Prometheus of clouds.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aiconform.cluster import Cluster, ClusterError
from aiconform.platform.monitoring.metrics import MetricSample
from aiconform.platform.monitoring.prometheus import NO_TENANT, QUERY_BYTES, QUERY_SECONDS, vector

_CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"


@dataclass(frozen=True)
class RemoteQueryApi:
    """A query API at a URL, with its path prefix.

    token_file: a file with a bearer token; it is read again for each query, because tokens are renewed. ca_file: the
    certificates that its TLS is checked by, in place of the system's. tenant: sent as X-Scope-OrgID.
    """

    url: str
    token_file: str = ""
    ca_file: str = ""
    tenant: str = ""
    why: str = "as given"
    namespace: str = ""
    """Of its Service: it has none that is known."""

    def __post_init__(self) -> None:
        """Raises ValueError for a URL that cannot be used."""
        parts = urlsplit(self.url)
        # Reading the port raises ValueError for one that there cannot be.
        if parts.port == 0 or parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give a URL such as https://HOST/PREFIX")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("give the URL without credentials and parameters; a token is given in a file")
        if self.token_file and parts.scheme != "https":
            raise ValueError("a token is sent by https only")

    def __str__(self) -> str:
        return self.url.rstrip("/")

    async def query(self, _: Cluster, expression: str) -> list[MetricSample]:
        """The samples of an instant vector now. Raises ClusterError with the response if that has none."""
        import httpx

        try:
            async with (
                httpx.AsyncClient(verify=self._context(), timeout=QUERY_SECONDS) as client,
                client.stream(
                    "GET", f"{self}/api/v1/query", params={"query": expression}, headers=self._headers()
                ) as answer,
            ):
                text = b""
                async for part in answer.aiter_bytes():
                    text += part
                    if len(text) > QUERY_BYTES:
                        raise ClusterError(f"the query API {self} sends more than {QUERY_BYTES >> 20} MiB")
        except httpx.HTTPError as error:
            hint = "; give its certificate authority: --set ai_service_metrics.query_ca_file=FILE"
            why = f"{error or type(error).__name__}{hint if _CERTIFICATE in str(error) else ''}"
            raise ClusterError(f"the query API {self} cannot be reached: {why}") from error
        if answer.status_code == 401 and NO_TENANT in text.decode("utf-8", "replace"):
            raise ClusterError(f"the query API {self} asks for a tenant: --set ai_service_metrics.query_tenant=NAME")
        if answer.status_code in (401, 403) or answer.is_redirect:
            told = "does not accept the token" if self.token_file else "requires authentication"
            way_out = "--set ai_service_metrics.query_token_file=FILE"
            raise ClusterError(f"the query API {self} {told} (HTTP {answer.status_code}): {way_out}")
        return vector(str(self), answer.status_code, text.decode("utf-8", "replace"))

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise ClusterError(f"{self.ca_file} has no certificates that can be used: {error}") from error

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if self.tenant:
            headers["X-Scope-OrgID"] = self.tenant
        if self.token_file:
            try:
                token = Path(self.token_file).read_text("ascii").strip()
            except (OSError, UnicodeDecodeError) as error:
                # The file's content stays out of the message.
                raise ClusterError(f"no token can be read from {self.token_file}: {type(error).__name__}") from None
            if not token or any(character.isspace() for character in token):
                raise ClusterError(f"no token can be read from {self.token_file}: it holds none, or more than a token")
            headers["Authorization"] = f"Bearer {token}"
        return headers
