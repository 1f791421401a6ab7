"""Where the lab's binaries come from, and what its images hold."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from aiconform.lab.build import assets as assets_of
from aiconform.lab.build import building, golang, images, keys
from aiconform.lab.build import components as components_of
from aiconform.lab.build.wheels import Wheel
from aiconform.lab.config import DEFAULT_KUBERNETES, KUBERNETES, LabError
from aiconform.platform.images import IMAGES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

MODULES = Path(assets_of.__file__).parent / "go"


def fake_binary(folder: Path, name: str, version: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho Kubernetes {version}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which everything has been built."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    go = golang.toolchain(tmp_path / "cache")
    version = go.version if go else f"go{golang.PACKAGED}"
    for component in components_of.components(DEFAULT_KUBERNETES):
        folder = tmp_path / "cache" / "bin" / keys.key(component, version)
        for name in component.called_by or component.binaries:
            fake_binary(folder, name)
    return tmp_path / "cache"


def test_what_is_in_the_cache_is_not_built_again(cache: Path) -> None:
    said: list[str] = []
    found = assets_of.assets(DEFAULT_KUBERNETES, said.append, cache=cache)
    assert said == []
    assert {"etcd", "kubelet", "containerd-shim-runc-v2", "ptp", "coredns", "pause"} <= found.paths.keys()
    assert all(Path(found[name]).exists() for name in found.paths)


def test_a_given_folder_comes_first_and_the_rest_from_the_cache(cache: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    fake_binary(given, "etcd")
    fake_binary(given, "kube-apiserver", f"v{KUBERNETES[DEFAULT_KUBERNETES]}")
    found = assets_of.assets(DEFAULT_KUBERNETES, lambda _: None, given, cache)
    assert found["kube-apiserver"] == str(given / "kube-apiserver")
    assert found["etcd"] == str(given / "etcd")
    assert found["kubelet"].startswith(str(cache))


def test_a_given_binary_of_another_minor_is_refused(cache: Path, tmp_path: Path) -> None:
    fake_binary(tmp_path / "given", "kubelet", "v1.31.0")
    with pytest.raises(LabError, match=r"kubelet is of Kubernetes 1\.31"):
        assets_of.assets(DEFAULT_KUBERNETES, lambda _: None, tmp_path / "given", cache)
    with pytest.raises(LabError, match="no such folder"):
        assets_of.assets(DEFAULT_KUBERNETES, lambda _: None, tmp_path / "absent", cache)


def test_kubebuilder_assets_of_another_minor_are_left_aside(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_binary(tmp_path / "kubebuilder", "kube-apiserver", "v1.31.0")
    fake_binary(tmp_path / "kubebuilder", "etcd")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "kubebuilder"))
    said: list[str] = []
    found = assets_of.assets(DEFAULT_KUBERNETES, said.append, cache=cache)
    assert found["kube-apiserver"].startswith(str(cache))
    assert found["etcd"] == str(tmp_path / "kubebuilder" / "etcd")
    assert "1.31" in said[0]


def test_everything_that_goes_in_changes_the_key() -> None:
    component = components_of.COREDNS
    changed = [
        keys.key(component, "go1.26.0"),
        keys.key(component, "go1.26.1"),
        keys.key(dataclasses.replace(component, ldflags="-s"), "go1.26.0"),
        keys.key(dataclasses.replace(component, version="1.16.0"), "go1.26.0"),
        keys.key(dataclasses.replace(component, main="pause/main.go"), "go1.26.0"),
        keys.key(dataclasses.replace(component, module="etcd"), "go1.26.0"),
    ]
    assert len(set(changed)) == len(changed)


def test_a_cache_of_before_is_still_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes into a key, and how, must not change by accident: every lab would be built anew, which takes hours."""
    monkeypatch.setattr("os.uname", lambda: SimpleNamespace(machine="x86_64"))
    rendered = dataclasses.replace(
        components_of.PAUSE,
        name="rendered",
        ldflags="-s -w -X main.version=1",
        called_by=("one", "two"),
        tags=("tag",),
        renders=(components_of.Render("objects.yaml", "helm", "chart", ("--set=a=b",), "example.com/module"),),
    )
    wheel = Wheel("package", (("x86_64", "0" * 64),), (("bin/it", "it"),))
    packaged = components_of.Component("packaged", "1.0.0", "", (), ("it",), wheel=wheel)
    found = [keys.key(component, "go1.26.8") for component in (components_of.PAUSE, rendered, packaged)]
    assert found == [
        "pause-1.0.0-c5f3e61c7ea40624",
        "rendered-1.0.0-29f7549cbf258509",
        "packaged-1.0.0-56d55ca8a33b6cc5",
    ]


def test_every_module_is_pinned_to_the_version_it_is_called_and_names_no_registry() -> None:
    for minor in KUBERNETES:
        for component in components_of.components(minor):
            module = (MODULES / component.module / "go.mod").read_text()
            if component is not components_of.PAUSE:
                assert re.search(rf" v{re.escape(component.version)}( // indirect)?$", module, re.MULTILINE), component
                assert (MODULES / component.module / "go.sum").stat().st_size > 1000
            assert not re.search(r"=> [./]", module), "a replacement by a folder"
            assert "://" not in module


def test_an_interrupted_build_leaves_nothing_and_a_finished_one_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = golang.Toolchain(Path("/bin/false"), "go1.26.0")

    def half(go: object, folder: Path, packages: object, ldflags: object, out: Path, *rest: object) -> None:
        (out / "pause").write_text("half")
        raise LabError("out of memory")

    monkeypatch.setattr(golang, "build", half)
    with pytest.raises(LabError, match="out of memory"):
        building.build(components_of.ETCD, tmp_path / "bin" / "etcd", go)
    assert list((tmp_path / "bin").iterdir()) == []

    def whole(go: object, folder: Path, packages: object, ldflags: object, out: Path, *rest: object) -> None:
        assert (folder / "go.mod").exists()
        (out / "server").write_text("whole")

    monkeypatch.setattr(golang, "build", whole)
    building.build(components_of.ETCD, tmp_path / "bin" / "etcd", go)
    assert (tmp_path / "bin" / "etcd" / "etcd").read_text() == "whole"


def test_what_two_processes_want_at_once_is_built_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = (cache / "bin").glob("etcd-*")
    shutil.rmtree(folder)
    said: list[str] = []
    waiting = threading.Event()
    builds = 0

    def tell(text: str) -> None:
        said.append(text)
        if text.startswith("waiting"):
            waiting.set()

    def slow(go: object, module: object, packages: object, ldflags: object, out: Path, *rest: object) -> None:
        nonlocal builds
        builds += 1
        assert waiting.wait(10)
        (out / "server").write_text("built")

    go = golang.toolchain(cache) or golang.Toolchain(Path("/bin/false"), f"go{golang.PACKAGED}")
    monkeypatch.setattr(golang, "toolchain", lambda _: go)
    monkeypatch.setattr(golang, "build", slow)
    with ThreadPoolExecutor() as two:
        asked = [two.submit(assets_of.assets, DEFAULT_KUBERNETES, tell, None, cache) for _ in range(2)]
        paths = {each.result()["etcd"] for each in asked}
    assert (builds, len(paths)) == (1, 1)
    assert Path(paths.pop()).read_text() == "built"
    assert "waiting for another process that is building etcd 3.7.3 (1 of 1)" in said
    assert not list((cache / "bin").glob(".*"))


@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")
def test_the_smallest_component_builds_and_waits_for_its_end(tmp_path: Path) -> None:
    go = golang.toolchain(tmp_path)
    assert go
    building.build(components_of.PAUSE, tmp_path / "pause", go)
    with subprocess.Popen([str(tmp_path / "pause" / "pause")]) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.terminate()
        assert process.wait(5) == 0


def test_without_network_a_build_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = fake_binary(tmp_path, "go")
    go.write_text("#!/bin/sh\necho 'dial tcp 192.0.2.1:443: connect: connection refused' >&2; exit 1\n")
    with pytest.raises(LabError, match="is the network there"):
        golang.build(golang.Toolchain(go, "go1.26.0"), tmp_path, (".",), "", tmp_path / "out")


def test_a_go_that_is_too_old_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = fake_binary(tmp_path, "go")
    old.write_text("#!/bin/sh\necho go1.19.8\n")
    assert golang._version(old) is None
    old.write_text("#!/bin/sh\necho go1.26.5\n")
    assert golang._version(old) is None
    old.write_text("#!/bin/sh\necho go1.27.0\n")
    assert golang._version(old) == "go1.27.0"


def image(tmp_path: Path) -> images.Image:
    binary = fake_binary(tmp_path, "tool")
    return images.Image(
        "registry.example/tool:1",
        files=(("usr/bin/tool", binary),),
        command=("tool",),
        links=(("bin/other", "../usr/bin/tool"),),
        texts=(("etc/passwd", "root:x:0:0::/:/bin/sh\n"),),
        folders=(("tmp", 0o1777),),
        user="1:1",
    )


def test_the_lab_has_the_image_of_test_pods() -> None:
    assert IMAGES["shell"] == images.BUSYBOX


def test_an_image_is_a_layout_whose_digests_hold(tmp_path: Path) -> None:
    with tarfile.open(images.write(image(tmp_path), tmp_path / "out")) as tar:
        names = tar.getnames()

        def blob(digest: str) -> bytes:
            file = tar.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")
            assert file
            content = file.read()
            assert f"sha256:{hashlib.sha256(content).hexdigest()}" == digest
            return content

        index_file = tar.extractfile("index.json")
        assert index_file
        entry = json.load(index_file)["manifests"][0]
        assert entry["annotations"]["io.containerd.image.name"] == "registry.example/tool:1"
        manifest = json.loads(blob(entry["digest"]))
        config = json.loads(blob(manifest["config"]["digest"]))
        layer = blob(manifest["layers"][0]["digest"])
    assert "oci-layout" in names
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    assert (config["config"]["Cmd"], config["config"]["User"]) == (["tool"], "1:1")
    (tmp_path / "layer.tar").write_bytes(layer)
    with tarfile.open(tmp_path / "layer.tar") as tar:
        assert tar.getmember("tmp").mode == 0o1777
        assert tar.getmember("usr/bin/tool").mode == 0o755
        assert tar.getmember("bin/other").linkname == "../usr/bin/tool"
        # A folder comes before what is in it, and everything is root's.
        assert tar.getnames().index("usr/bin") < tar.getnames().index("usr/bin/tool")
        assert {(member.uid, member.gid) for member in tar} == {(0, 0)}


def test_the_same_image_is_written_once_and_another_beside_it(tmp_path: Path) -> None:
    first = images.write(image(tmp_path), tmp_path / "out")
    written = first.stat()
    assert images.write(image(tmp_path), tmp_path / "out") == first
    assert first.stat() == written
    renamed = dataclasses.replace(image(tmp_path), name="registry.example/tool:2")
    assert images.write(renamed, tmp_path / "out") != first
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
