"""The connections to an API server: TLS, and the proxy on the way."""

from __future__ import annotations

import ipaddress
import json
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

import aiohttp

from aiconform.cluster.credentials import basic_authorization
from aiconform.cluster.errors import NoCluster
from aiconform.cluster.kubeconfig import ClusterEntry

SOCKS = ("socks5", "socks5h")
PROXIES = ("http", "https", *SOCKS)
MOST = 100
"""Connections that are open at the same time."""
READ_BYTES = 2**21
"""Events of a watch can be larger than what aiohttp reads ahead."""


class Connection:
    """The connections to one server. They follow no redirect: its address is that of the kubeconfig, and no other.

    They are aiohttp's own: to import the client takes longer than to send the first requests.
    """

    def __init__(self, server: str, cluster: ClusterEntry, authority: bytes, certificate: tuple[bytes, bytes] | None):
        """certificate: (certificates, key) in PEM. Raises NoCluster, and ssl.SSLError for what is no certificate."""
        self._context = ssl.create_default_context(cadata=authority.decode("ascii", "ignore") or None)
        if cluster.insecure:
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
        # Certificates that kubectl accepts, and that Python 3.13 began to refuse: older CAs of clusters are such.
        self._context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if certificate:
            _present(self._context, *certificate)
        proxy = cluster.proxy_url or proxy_of_environment(server)
        if proxy:
            _check_proxy(proxy, cluster)
        self.secrets = _secrets(proxy)
        """What must be in no message."""
        self._socks = proxy if urlsplit(proxy).scheme in SOCKS else ""
        self._proxy = None if self._socks else proxy or None
        self._name = cluster.tls_server_name or None
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> aiohttp.ClientSession:
        # The environment's proxies are read above; a .netrc has no say in who we are.
        return aiohttp.ClientSession(connector=self._connector(), trust_env=False, read_bufsize=READ_BYTES)

    def _connector(self) -> aiohttp.BaseConnector:
        if not self._socks:
            return aiohttp.TCPConnector(limit=MOST, ssl=self._context)
        from aiohttp_socks import ProxyConnector

        url = self._socks.replace("socks5h:", "socks5:", 1)
        return ProxyConnector.from_url(url, rdns=True, limit=MOST, ssl=self._context)

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: Any, limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """Send one request; body: sent as JSON, unless it is None. All failures are those of aiohttp."""
        if self._session is None:
            self._session = self._opened()
        sent = self._session.request(
            method,
            url,
            headers=headers,
            data=None if body is None else json.dumps(body),
            timeout=limits,
            proxy=self._proxy,
            server_hostname=self._name,
            allow_redirects=False,
        )
        if not self._socks:
            return await sent
        from aiohttp_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError

        try:
            return await sent
        except (ProxyConnectionError, ProxyError, ProxyTimeoutError) as error:
            raise aiohttp.ClientConnectionError(f"its SOCKS proxy: {error}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _check_proxy(proxy: str, cluster: ClusterEntry) -> None:
    """Raises NoCluster, without the URL: it can hold a password."""
    which = "proxy-url" if cluster.proxy_url else "The proxy of the environment (HTTPS_PROXY or HTTP_PROXY)"
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in PROXIES and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise NoCluster(f"{which} is none that can be used: write http://, https:// or socks5://, HOST and :PORT.")
    if parts.scheme in SOCKS and cluster.tls_server_name:
        raise NoCluster(f"{which} is a SOCKS proxy, which does not work together with tls-server-name: leave out one.")


def _secrets(proxy: str) -> tuple[str, ...]:
    """The password in a proxy's URL, in each form that something may repeat."""
    parts = urlsplit(proxy)
    if not parts.password:
        return ()
    password = unquote(parts.password)
    sent = basic_authorization(unquote(parts.username or ""), password).partition(" ")[2]
    return parts.password, password, sent


def proxy_of_environment(server: str) -> str:
    """The URL of the proxy for this server, or "": HTTPS_PROXY, HTTP_PROXY and NO_PROXY, as kubectl reads them."""
    parts = urlsplit(server)
    host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme]
    named = getproxies_environment()
    if any(_is_excepted(entry.strip(), host, port) for entry in ("localhost", *named.get("no", "").split(","))):
        return ""
    proxy = named.get(parts.scheme, "")
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def _is_excepted(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY covers a host: `*`, a domain, an address or a range, perhaps with a port."""
    name, colon, only = entry.rpartition(":")
    if colon and only.isdigit() and (":" not in name or name.endswith("]")):
        if int(only) != port:
            return False
        entry = name.strip("[]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        domain = entry.removeprefix("*").removeprefix(".").lower()
        return entry == "*" or (bool(domain) and f".{host.lower()}".endswith(f".{domain}"))
    try:
        return address.is_loopback or entry == "*" or address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _present(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a client certificate. OpenSSL reads files only: these are gone afterwards. Raises NoCluster."""

    def password() -> Any:
        raise NoCluster("The client-key is encrypted, which kubectl does not support, either: decrypt it.")

    with tempfile.TemporaryDirectory(prefix="aiconform-") as folder:
        files = [Path(folder) / name for name in ("certificate", "key")]
        for file, content in zip(files, (certificate, key), strict=True):
            file.touch(0o600)
            file.write_bytes(content)
        context.load_cert_chain(files[0], files[1], password)
