"""The lab's registry: `python -m aiconform.lab.traits.registry STATE` serves the lab's images to its nodes.

It serves what a pull asks for (https://github.com/opencontainers/distribution-spec) from the images' tar files, under
any path before their own name, so that each path is a registry that no node has pulled from. The traits that are on say
how it behaves.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import IO, Any

from aiconform.lab import plan
from aiconform.lab.config import REGISTRY_PORT, LabError, Paths
from aiconform.lab.kubernetes import installation
from aiconform.lab.traits.pulls import FAILURES, FLAKY, PRIVATE, SLOW, SLOW_SECONDS, TOKEN
from aiconform.lab.traits.state import names_on

_MANIFEST = re.compile(r"/v2/(?P<name>.+)/manifests/(?P<reference>[^/]+)")
_BLOB = re.compile(r"/v2/(?P<name>.+)/blobs/(?P<digest>sha256:[0-9a-f]{64})")
# The kubelet pulls again after ten seconds; the requests of one pull follow each other at once.
_SAME_PULL_SECONDS = 3.0


class Pulls:
    """Which pull of an image a request belongs to, by who asks."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[int, float]] = {}

    def number(self, client: str, image: str, now: float) -> int:
        """1 for the first pull; now: seconds."""
        count, last = self._seen.get((client, image), (0, float("-inf")))
        count += now - last > _SAME_PULL_SECONDS
        self._seen[client, image] = count, now
        return count


def manifest(tars: Iterable[Path], name: str, reference: str) -> tuple[str, str] | None:
    """(digest, media type) of the manifest of the image that has this name behind any path, and this tag or digest."""
    for file in tars:
        with _member(file, "index.json") as found:
            entries = json.load(found)["manifests"] if found else []
        for entry in entries:
            repository, _, tag = entry["annotations"]["org.opencontainers.image.ref.name"].rpartition(":")
            own = repository.partition("/")[2]
            if reference in (tag, entry["digest"]) and f"/{name}".endswith(f"/{own}"):
                return entry["digest"], entry["mediaType"]
    return None


@contextmanager
def blob(tars: Iterable[Path], digest: str) -> Iterator[tuple[IO[bytes], int] | None]:
    """(content, size) of the blob with this digest; None if no image has it."""
    for file in tars:
        with _member(file, f"blobs/{digest.replace(':', '/')}") as found:
            if found:
                yield found, found.seek(0, 2)
                return
    yield None


@contextmanager
def _member(file: Path, name: str) -> Iterator[IO[bytes] | None]:
    with tarfile.open(file) as tar:
        try:
            yield tar.extractfile(name)
        except KeyError:
            yield None


class Handler(BaseHTTPRequestHandler):
    """Answers of the registry with this state folder."""

    protocol_version = "HTTP/1.1"
    state: Path
    pulls: Pulls

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        on = names_on(self.state)
        if PRIVATE in on and self.headers.get("Authorization") != f"Basic {TOKEN}":
            self._refuse(HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED", {"WWW-Authenticate": 'Basic realm="lab"'})
        elif asked := _MANIFEST.fullmatch(self.path):
            # A node that has the parts of an image from another registry asks for nothing else.
            if SLOW in on and self.command == "HEAD":
                time.sleep(SLOW_SECONDS)
            client = str(self.client_address[0])
            if FLAKY in on and self.pulls.number(client, asked["name"], time.monotonic()) <= FAILURES:
                self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE")
            elif found := manifest(self._tars(), asked["name"], asked["reference"]):
                self._send_blob(*found)
            else:
                self._refuse(HTTPStatus.NOT_FOUND, "MANIFEST_UNKNOWN")
        elif asked := _BLOB.fullmatch(self.path):
            if SLOW in on and self.command == "GET":
                time.sleep(SLOW_SECONDS)
            self._send_blob(asked["digest"], "application/octet-stream")
        else:
            self._answer(HTTPStatus.OK if self.path == "/v2/" else HTTPStatus.NOT_FOUND, {"Content-Length": "0"})

    def _tars(self) -> list[Path]:
        made_of = installation.read(Paths(self.state.name, self.state.parent))
        return [*made_of.images, *made_of.more_images]

    def _send_blob(self, digest: str, media_type: str) -> None:
        with blob(self._tars(), digest) as found:
            if found is None:
                self._refuse(HTTPStatus.NOT_FOUND, "BLOB_UNKNOWN")
                return
            content, size = found
            about = {"Content-Type": media_type, "Content-Length": str(size), "Docker-Content-Digest": digest}
            self._answer(HTTPStatus.OK, about)
            if self.command == "GET":
                content.seek(0)
                shutil.copyfileobj(content, self.wfile)

    def _refuse(self, status: HTTPStatus, code: str, headers: dict[str, str] | None = None) -> None:
        body = json.dumps({"errors": [{"code": code, "message": status.phrase}]}).encode()
        about = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        self._answer(status, about)
        if self.command == "GET":
            self.wfile.write(body)

    def _answer(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def server(state: Path, address: tuple[str, int]) -> ThreadingHTTPServer:
    """The registry of the lab with this state folder, at an address; `serve_forever` runs it. Raises OSError."""
    handler: Any = type("LabHandler", (Handler,), {"state": state, "pulls": Pulls()})
    made = type("LabServer", (ThreadingHTTPServer,), {"address_family": AF_INET6 if ":" in address[0] else AF_INET})
    listening: ThreadingHTTPServer = made(address, handler)
    return listening


def main() -> None:
    state = Path(sys.argv[1])
    found = plan.read(Paths(state.name, state.parent))
    if found is None:
        raise LabError(f"there is no lab in {state}")
    server(state, (found.network.control_plane, REGISTRY_PORT)).serve_forever()


if __name__ == "__main__":
    main()
