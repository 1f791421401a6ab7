"""A sigstore of the test's own on loopback: the real services' code, and an OIDC issuer that confirms any address."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from aiconform.lab.build.assets import folders, make
from aiconform.lab.build.components import Component

SOURCES = Path(__file__).parents[1] / "sigstore/services"
SERVICES = Component(
    "sigstore", "1", str(SOURCES), (".",), ("sigstore",), main=str(SOURCES / "main.go"), called_by=("sigstore",)
)
"""Go 1.26 builds it while rekor-tiles is older than 2.4 and timestamp-authority than 2.1.4. `go get MODULE@VERSION`
renews a module; `go mod tidy` fails, because a module that only tests of others import cannot be had."""
STARTED_SECONDS = 120


def binary() -> Path:
    """The services, built into the lab's cache if they are not there. Raises LabError."""
    make([SERVICES], lambda text: print(text, file=sys.stderr))
    return folders([SERVICES])[SERVICES] / "sigstore"


class Issuer:
    """An OIDC issuer; each path below its address is one more, with the same key."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/acme"

    def token(self, email: str, path: str = "acme", **claims: Any) -> str:
        now = int(time.time())
        issuer = self.url.removesuffix("acme") + path
        content = {"iss": issuer, "aud": "sigstore", "sub": "1", "email": email, "email_verified": True}
        content |= {"iat": now, "nbf": now - 5, "exp": now + 300, **claims}
        return jwt.encode(content, self._key, algorithm="RS256", headers={"kid": "1"})

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        keys = {"keys": [{**public, "kid": "1", "use": "sig", "alg": "RS256"}]}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, about, _ = self.path.partition("/.well-known/openid-configuration")
                issuer = f"http://127.0.0.1:{self.server.server_port}{path}"  # type: ignore[attr-defined]
                names = {"issuer": issuer, "jwks_uri": f"{issuer}/keys", "token_endpoint": f"{issuer}/token"}
                kinds = {"response_types_supported": ["id_token"], "subject_types_supported": ["public"]}
                signed = {"id_token_signing_alg_values_supported": ["RS256"]}
                data = json.dumps({**names, **kinds, **signed} if about else keys).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def deployment(folder: Path, *issuers: str, options: tuple[str, ...] = ()) -> Iterator[Path]:
    """The file with a ClientTrustConfig of services that run meanwhile. folder: a new one, for their keys and logs."""
    folder.mkdir()
    command = [str(binary()), "-folder", str(folder), "-issuers", ",".join(issuers), *options]
    config = folder / "client-trust-config.json"
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + STARTED_SECONDS
            while not config.exists():
                assert process.poll() is None, (folder / "output").read_text()
                assert time.monotonic() < deadline, "the services of sigstore do not start"
                time.sleep(0.05)
            yield config
        finally:
            assert process.stdin
            process.stdin.close()  # with it, they end
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


if __name__ == "__main__":
    binary()
