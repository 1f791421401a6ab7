"""An API server of a few answers, for commands that run in this process or another one."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = Callable[[str, Message], tuple[int, Any]]
Written = Callable[[str, str, Any], tuple[int, Any]]


@dataclass
class ApiServer:
    """`seen`: (path, headers) of each request. `answer`: (status, JSON) for a path and headers, if it is replaced.

    `written`: (status, JSON) for the method, path and body of what is no GET, if that is not answered as a GET is.
    `redirects`: where a path is redirected to (302).
    """

    url: str
    seen: list[tuple[str, Message]] = field(default_factory=list)
    answer: Answer | None = None
    written: Written | None = None
    redirects: dict[str, str] = field(default_factory=dict)

    def headers(self, name: str) -> set[tuple[str, ...]]:
        """The values that requests had for a header."""
        return {tuple(headers.get_all(name) or ()) for _, headers in self.seen}


def usual(path: str) -> tuple[int, Any]:
    """What a cluster without anything answers."""
    path = urlsplit(path).path
    if path == "/version":
        return 200, {"gitVersion": "v1.37.2"}
    if path == "/apis":
        return 200, {"groups": []}
    if path == "/api/v1":
        kinds = {"Node": "nodes", "Namespace": "namespaces", "Pod": "pods", "Service": "services"}
        served = [{"kind": kind, "name": name, "namespaced": False, "verbs": []} for kind, name in kinds.items()]
        return 200, {"resources": served}
    if path == "/api/v1/namespaces/kube-system":
        return 200, {"metadata": {"name": "kube-system", "uid": "0000-1111"}}
    if path.startswith("/api/v1/"):
        return 200, {"items": [], "metadata": {"resourceVersion": "1"}}
    return 404, {"kind": "Status", "message": "the server could not find the requested resource"}


@contextmanager
def serving(tls: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> Iterator[ApiServer]:
    """An API server on a free port of this machine, at an address of either family."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.seen.append((self.path, self.headers))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if server.written and self.command != "GET":
                status, content = server.written(self.command, self.path, json.loads(body))
            else:
                status, content = server.answer(self.path, self.headers) if server.answer else usual(self.path)
            data = json.dumps(content).encode() + b"\n"
            to = server.redirects.get(self.path)
            self.send_response(302 if to else status)
            if to:
                self.send_header("Location", to)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

        def handle_error(self, *_: object) -> None:
            pass

    listener = Listener((address, 0), Handler)
    if tls:
        listener.socket = tls.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
    host = f"[{address}]" if ":" in address else address
    server = ApiServer(f"{'https' if tls else 'http'}://{host}:{listener.server_port}")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def write_kubeconfig(
    path: Path, server: str, user: Mapping[str, Any] | None = None, cluster: Mapping[str, Any] | None = None
) -> Path:
    """A kubeconfig of one context, `here`."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, **(cluster or {})}}],
        "users": [{"name": "u", "user": dict(user or {})}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "here",
    }
    path.write_text(yaml.safe_dump(content))
    return path


@dataclass(frozen=True)
class Pair:
    """A certificate with its key, PEM."""

    certificate: bytes
    key: bytes


def issue(name: str, by: Pair | None = None) -> Pair:
    """A certificate of this common name and DNS name, and of the loopback addresses; without `by` of an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer: Any = serialization.load_pem_private_key(by.key, None) if by else key
    issuer = x509.load_pem_x509_certificate(by.certificate).subject if by else subject
    now = datetime.now(UTC)
    names = [x509.DNSName(name), *(x509.IPAddress(ip_address(each)) for each in ("127.0.0.1", "::1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names if by else names[:1]), critical=False)
    )
    certificate = builder.sign(signer, hashes.SHA256())
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def tls_of(server: Pair, folder: Path, clients: Pair | None = None) -> ssl.SSLContext:
    """What a server with this certificate speaks; with `clients` it asks for a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name, content in (("server.crt", server.certificate), ("server.key", server.key)):
        (folder / name).write_bytes(content)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.certificate.decode())
    return context
