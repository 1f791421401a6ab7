"""The lab's registry: what a runtime asks for in a pull, and how the traits that are on change its answers."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from aiconform.lab.build import images
from aiconform.lab.build.assets import Assets
from aiconform.lab.config import Paths
from aiconform.lab.kubernetes.installation import Installation
from aiconform.lab.traits import registry, state
from aiconform.lab.traits.pulls import FAILURES, FLAKY, PRIVATE, SLOW, TOKEN

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

NAME = "registry.k8s.io/tools/shell:1.0"
ASKED = "/v2/first/tools/shell"
Ask = Callable[..., tuple[int, bytes, dict[str, str]]]


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """The state folder of a lab with one image."""
    program = tmp_path / "program"
    program.write_bytes(b"program")
    tar = images.write(images.Image(NAME, (("bin/program", program),)), tmp_path / "images")
    folder = tmp_path / "lab"
    folder.mkdir()
    Installation(Assets({}), (tar,)).save(Paths("lab", tmp_path))
    return folder


@pytest.fixture
def ask(lab: Path) -> Iterator[Ask]:
    found = registry.server(lab, ("127.0.0.1", 0))
    thread = threading.Thread(target=found.serve_forever)
    thread.start()

    def answer(path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
        with closing(HTTPConnection("127.0.0.1", found.server_address[1])) as connection:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read(), dict(response.headers)

    yield answer
    found.shutdown()
    thread.join()
    found.server_close()


def test_an_image_is_pulled_by_its_tag_under_any_path(ask: Ask) -> None:
    assert ask("/v2/")[0] == 200
    status, _, headers = ask(f"{ASKED}/manifests/1.0", "HEAD")
    digest = headers["Docker-Content-Digest"]
    assert status == 200
    assert headers["Content-Type"] == "application/vnd.oci.image.manifest.v1+json"
    _, content, _ = ask(f"/v2/some/other/tools/shell/manifests/{digest}")
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == digest
    manifest = json.loads(content)
    for part in (manifest["config"], *manifest["layers"]):
        status, content, headers = ask(f"{ASKED}/blobs/{part['digest']}")
        assert (status, len(content)) == (200, part["size"])
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == part["digest"]


@pytest.mark.parametrize(
    "path",
    [f"{ASKED}/manifests/2.0", "/v2/first/shell/manifests/1.0", f"{ASKED}/blobs/sha256:{'0' * 64}", "/elsewhere"],
)
def test_what_is_not_there_is_not_found(ask: Ask, path: str) -> None:
    assert ask(path)[0] == 404


def test_a_flaky_registry_fails_the_first_pulls_of_each_client_and_image() -> None:
    pulls = registry.Pulls()
    # Two requests of one pull, then the kubelet's next tries.
    moments = (100.0, 100.2, 110.0, 130.0)
    assert [pulls.number("node-1", "shell", now) for now in moments] == [1, 1, 2, 3]
    assert pulls.number("node-2", "shell", 130.0) == 1
    assert pulls.number("node-1", "other", 130.0) == 1


def test_a_flaky_registry_says_that_it_is_not_available(ask: Ask, lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_SAME_PULL_SECONDS", 0)
    state.record(lab, [FLAKY], on=True)
    found = [ask(f"{ASKED}/manifests/1.0")[0] for _ in range(FAILURES + 1)]
    assert found == [503] * FAILURES + [200]


def test_a_private_registry_asks_for_credentials(ask: Ask, lab: Path) -> None:
    state.record(lab, [PRIVATE], on=True)
    for path in ("/v2/", f"{ASKED}/manifests/1.0"):
        status, _, headers = ask(path)
        assert status == 401
        assert headers["WWW-Authenticate"].startswith("Basic ")
        assert ask(path, Authorization=f"Basic {TOKEN}")[0] == 200
        assert ask(path, Authorization="Basic bm90OnRoaXM=")[0] == 401


def test_a_slow_registry_sends_no_part_of_an_image_at_once(
    ask: Ask, lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(registry.time, "sleep", waited.append)
    state.record(lab, [SLOW], on=True)
    manifest = json.loads(ask(f"{ASKED}/manifests/1.0")[1])
    assert waited == []
    ask(f"{ASKED}/blobs/{manifest['layers'][0]['digest']}")
    assert waited == [registry.SLOW_SECONDS]
    # A node that has all parts from elsewhere only asks what the image's name stands for.
    ask(f"{ASKED}/manifests/1.0", "HEAD")
    assert waited == [registry.SLOW_SECONDS] * 2
