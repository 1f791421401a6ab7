"""Bundles from the command line: what one machine exports another one takes, whole or not at all."""

from __future__ import annotations

import io
import json
import lzma
import os
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from aiconform.cli import main
from aiconform.lab import LabError
from aiconform.lab.addons.registry import ADD_ONS, components_of
from aiconform.lab.build import assets, golang
from aiconform.lab.build.components import components
from aiconform.lab.config import DEFAULT_KUBERNETES

CORE = {"kubernetes", "etcd", "containerd", "cni", "coredns", "pause"}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with everything built, where a lab ends before it starts."""
    use(tmp_path / "one", monkeypatch)
    for component, folder in assets.folders([*components(DEFAULT_KUBERNETES), *components_of(ADD_ONS)]).items():
        folder.mkdir(parents=True)
        names = component.binaries or ("objects.yaml",)
        for name in names:
            (folder / name).write_text(f"{component.name} {name}")
            (folder / name).chmod(0o755)
        for name in component.called_by:
            if name not in names:
                (folder / name).symlink_to(names[0])
    monkeypatch.setattr("aiconform.lab.lab.up", refuse)


def refuse(*_: Any) -> None:
    raise LabError("up to here")


def use(cache: Path, monkeypatch: pytest.MonkeyPatch, go: str = "go1.26.8") -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(golang, "toolchain", lambda _: golang.Toolchain(Path("/bin/false"), go))
    return cache / "aiconform" / "bin"


def call(*arguments: str | Path) -> Any:
    return CliRunner().invoke(main, ["lab", *map(str, arguments)])


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    done = call("assets", "export", tmp_path / "lab.tar.xz", "--with", "jobset")
    assert done.exit_code == 0, done.output
    return tmp_path / "lab.tar.xz"


def refused(given: Path | str, cache: Path) -> str:
    """The message; nothing is in the cache."""
    done = call("up", "--assets", given)
    assert done.exit_code == 2, done.output
    assert not [path for path in cache.rglob("*") if path.is_file()]
    assert not list((cache.parent).glob(".bundle-*"))
    return str(done.stderr)


def test_what_is_exported_is_used_elsewhere_also_with_another_go(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = use(tmp_path / "two", monkeypatch, go="go1.27.0")
    done = call("up", "--assets", exported)
    assert "up to here" in done.stderr
    assert all(name in done.stderr for name in (*CORE, "jobset"))
    wanted = [*components(DEFAULT_KUBERNETES), *components_of(["jobset"])]
    assert {folder.name for folder in assets.folders(wanted).values()} == {each.name for each in cache.iterdir()}
    kubernetes = assets.folders(components(DEFAULT_KUBERNETES))[components(DEFAULT_KUBERNETES)[-1]]
    assert (kubernetes / "kubelet").read_text() == "kubernetes kubernetes"
    assert os.access(kubernetes / "kubelet", os.X_OK)
    assert "nothing that is not here already" in call("up", "--assets", exported).stderr


def test_components_of_another_version_are_left_to_a_build(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = use(tmp_path / "two", monkeypatch)
    rewrite(exported, lambda manifest: manifest["components"]["etcd"].update(key="etcd-3.6.0-0123456789abcdef"))
    done = call("up", "--assets", exported)
    assert "of another version, and built here if needed: etcd" in done.stderr
    assert not list(cache.glob("etcd-*"))
    assert list(cache.glob("coredns-*"))


def rewrite(bundle: Path, change: Any = lambda _: None, member: Any = lambda name, content: (name, content)) -> None:
    """Change the manifest, or the members, of a bundle."""
    with tarfile.open(bundle) as tar:
        members = [(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]
    manifest = json.loads(members[0][1])
    change(manifest)
    members[0] = (members[0][0], json.dumps(manifest).encode())
    with tarfile.open(bundle, "w:xz") as tar:
        for name, content in [members[0], *(member(*each) for each in members[1:])]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_a_file_that_was_changed_is_refused(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = use(tmp_path / "two", monkeypatch)
    rewrite(exported, member=lambda name, content: (name, b"evil" if name.endswith("/coredns") else content))
    assert "coredns is not what its manifest says" in refused(exported, cache)


@pytest.mark.parametrize("name", ["../../../evil", "/evil", "{key}/../evil", "{key}/sub/evil"])
def test_a_path_that_leaves_the_folder_is_refused_or_ignored(
    name: str, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = use(tmp_path / "two", monkeypatch)
    before = set(tmp_path.rglob("*evil*"))

    def moved(member: str, content: bytes) -> tuple[str, bytes]:
        key = member.partition("/")[0]
        return (name.replace("{key}", key), b"evil") if member.endswith("/coredns") else (member, content)

    rewrite(exported, member=moved)
    message = refused(exported, cache)
    assert "not in its manifest" in message or "lacks coredns" in message
    assert set(tmp_path.rglob("*evil*")) == before


def test_a_manifest_with_a_path_in_it_is_refused(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = use(tmp_path / "two", monkeypatch)
    rewrite(exported, lambda manifest: manifest["components"]["kubernetes"]["links"].update(kubelet="../../evil"))
    assert "is no bundle" in refused(exported, cache)


def test_a_truncated_bundle_and_other_files_are_refused(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = use(tmp_path / "two", monkeypatch)
    whole = exported.read_bytes()
    for length in (len(whole) // 2, len(whole) - 40, 0):
        exported.write_bytes(whole[:length])
        assert "damaged or incomplete" in refused(exported, cache)
    exported.write_text("text")
    assert "no bundle" in refused(exported, cache)
    exported.write_bytes(lzma.compress(b""))
    assert "bundle" in refused(exported, cache)


def test_a_bundle_of_another_machine_is_refused(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = use(tmp_path / "two", monkeypatch)
    monkeypatch.setattr("aiconform.lab.build.bundle.os.uname", lambda: SimpleNamespace(machine="aarch64"))
    assert "is for x86_64, and this machine is aarch64" in refused(exported, cache)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


def test_a_bundle_is_taken_from_a_url(
    server: str, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = use(tmp_path / "two", monkeypatch)
    assert "404" in refused(f"{server}/absent.tar.xz", cache)
    done = call("up", "--assets", f"{server}/{exported.name}")
    assert "up to here" in done.stderr
    assert list(cache.glob("kubernetes-*"))
    assert not list(cache.parent.glob(".bundle-*"))


def test_a_url_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = use(tmp_path / "two", monkeypatch)
    assert "http://127.0.0.1:1/x cannot be downloaded" in refused("http://127.0.0.1:1/x", cache)


def test_a_bundle_that_cannot_be_written_says_so_before_it_builds(tmp_path: Path) -> None:
    done = call("assets", "export", tmp_path / "absent" / "lab.tar.xz")
    assert (done.exit_code, "there is no folder" in done.stderr) == (2, True)


def test_assets_are_built_without_a_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("assets", "build", "--with", "all").exit_code == 0
    assert call("assets", "build", "no-such-add-on").exit_code == 2
    use(tmp_path / "two", monkeypatch)
    done = call("assets", "build", "jobset", "--kubernetes", "1.36")
    assert done.exit_code == 2
    assert "kubernetes" in done.stderr
