"""Whether links answer, against a server of the test's own."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.certify_material import METADATA, certify, product, write

from aiconform.certify.reachability import unreachable

ENDED = threading.Event()


class Site(http.server.BaseHTTPRequestHandler):
    """/ok answers; /get answers GET only; /gone is a 404; /file redirects to a file; /loop to itself; /slow never."""

    def do_HEAD(self) -> None:
        self._answer(405 if self.path == "/get" else None)

    def do_GET(self) -> None:
        self._answer(None)

    def _answer(self, status: int | None) -> None:
        if self.path == "/slow":
            ENDED.wait()
        known = {"/gone": 404, "/file": 302, "/loop": 302, "/moved": 301}
        self.send_response(status or known.get(self.path, 200))
        target = {"/file": "file:///etc/passwd", "/loop": "/loop", "/moved": "/ok"}.get(self.path)
        if target:
            self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    ENDED.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_answers_and_what_does_not(site: str) -> None:
    good = [f"{site}/ok", f"{site}/get", f"{site}/moved", f"{site}/ok#part"]
    bad = [f"{site}/gone", f"{site}/file", f"{site}/loop", "http://127.0.0.1:1/", "http://[", "http://", "httpx"]
    found = unreachable([*good, *bad])
    assert set(found) == set(bad)
    assert found[f"{site}/gone"] == "status 404"
    assert "unsupported protocol" in found[f"{site}/file"]
    assert found[f"{site}/loop"] == "more than 10 redirects"
    assert unreachable([f"{site}/slow"], timeout=0.2) == {f"{site}/slow": "no answer in time"}


def test_links_of_a_submission(tmp_path: Path, site: str) -> None:
    metadata = {name: f"{site}/ok" for name in METADATA if name.endswith("Url")}
    data = product(metadata={**metadata, "websiteUrl": f"{site}/gone", "k8sConformanceUrl": "none"})
    for claims in data["spec"].values():
        for claim in claims:
            claim["evidence"] = [f"{site}/ok"] if claim["evidence"] else []
    data["spec"]["operator"][0]["evidence"] = [f"{site}/gone#here"]
    result = certify("validate", write(tmp_path, data), "-o", "json")
    (submission,) = json.loads(result.stdout)["submissions"]
    found = [(error["rule"], error["requirement"]) for error in submission["errors"]]
    assert sorted(found, key=str) == [
        ("P-base-conformance", None),
        ("P-link", "robust_controller"),
        ("P-link", None),
    ]
    assert not [text for text in submission["not_checked"] if "links" in text]
