"""Images that are unpacked once and shared by all nodes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from aiconform.lab.build.assets import Assets
from aiconform.lab.config import LabError
from aiconform.lab.kubernetes import imagestore, nodes
from aiconform.lab.machines.host import quiet
from aiconform.lab.machines.machine import SEED

# They do what the store needs of the two programs.
CONTAINERD = """#!/bin/sh
ready=$(dirname "$0")/ready
trap 'kill $!; rm "$ready"; exit 0' TERM
root=$(sed -n 's/^root = "\\(.*\\)"/\\1/p' "$2")
content=$root/io.containerd.content.v1.content/blobs/sha256 layers=$root/io.containerd.snapshotter.v1.overlayfs
mkdir -p "$content" "$layers/snapshots/1/fs" "$root/io.containerd.metadata.v1.bolt"
echo binary > "$content/aaaa"; echo rootfs > "$layers/snapshots/1/fs/file"
echo images > "$root/io.containerd.metadata.v1.bolt/meta.db"; echo layers > "$layers/metadata.db"
BEHAVIOUR
sleep 600 &
touch "$ready"; wait
"""
CTR = """#!/bin/sh
[ -e "$(dirname "$0")/ready" ]
"""


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # In the namespaces of this process: tests run as any user.
    monkeypatch.setattr(imagestore, "_NAMESPACES", ())
    monkeypatch.setattr(imagestore, "_IMPORT", imagestore._IMPORT.replace("mount ", "true mount "))
    monkeypatch.setattr(imagestore, "is_overlay", lambda _: False)
    return tmp_path / "images"


def programs(folder: Path, behaviour: str = "") -> Assets:
    paths = {"containerd": folder / "containerd", "ctr": folder / "ctr"}
    for name, script in (("containerd", CONTAINERD.replace("BEHAVIOUR", behaviour)), ("ctr", CTR)):
        paths[name].write_text(script)
        paths[name].chmod(0o755)
    return Assets(paths)


def tars(folder: Path, *names: str) -> list[Path]:
    found = [folder / name for name in names]
    for path in found:
        path.touch()
    return found


def test_a_node_starts_with_the_databases_and_links_to_the_rest(tmp_path: Path, stores: Path) -> None:
    images = tars(tmp_path, "a.tar", "b.tar")
    seed = imagestore.seed(programs(tmp_path), images, stores, tmp_path, quiet)
    assert seed
    root = tmp_path / "node" / "containerd"
    (tmp_path / "node").mkdir()
    for _ in range(2):
        subprocess.run(["/bin/sh", "-c", nodes._START, str(root), str(seed), "true"], check=True)
        layers = root / "io.containerd.snapshotter.v1.overlayfs"
        assert (layers / "snapshots" / "1").is_symlink()
        assert (layers / "snapshots" / "1" / "fs" / "file").read_text() == "rootfs\n"
        assert not (layers / "metadata.db").is_symlink()
        assert (root / imagestore.IMPORTED).read_text().split() == list(map(str, images))
        # A copy that was interrupted is made again.
        layers.rename(root / ".seed")


def test_only_what_the_seed_lacks_is_imported(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    ctr = tmp_path / "ctr"
    ctr.write_text(f'#!/bin/sh\nfor last; do :; done; echo "$last" >> {asked}\n')
    ctr.chmod(0o755)
    imported = tmp_path / "imported"
    imported.write_text("/a.tar\n")
    for _ in range(2):
        bring = ["/bin/sh", "-c", nodes._BRING, str(imported), str(ctr), "/socket", "/a.tar", "/b.tar"]
        subprocess.run(bring, check=True)
    assert asked.read_text() == "/b.tar\n"


def test_a_store_with_more_images_serves_and_one_that_lacks_some_does_not(tmp_path: Path, stores: Path) -> None:
    assets = programs(tmp_path)
    first, second, third = tars(tmp_path, "a.tar", "b.tar", "c.tar")
    both = imagestore.seed(assets, [first, second], stores, tmp_path, quiet)
    assert imagestore.seed(assets, [first], stores, tmp_path, quiet) == both
    assert imagestore.seed(assets, [first, third], stores, tmp_path, quiet) != both


def test_layers_on_an_overlay_cannot_be_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagestore, "is_overlay", lambda _: True)
    assert imagestore.seed(Assets({}), [], tmp_path / "images", tmp_path, quiet) is None


def test_a_containerd_that_ends_is_told_with_its_last_words(tmp_path: Path, stores: Path) -> None:
    ends = programs(tmp_path, behaviour="echo no room left >&2; exit 1")
    (tmp_path / "ctr").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(LabError, match="no room left"):
        imagestore.seed(ends, tars(tmp_path, "a.tar"), stores, tmp_path, quiet)
    assert not list(stores.glob("store-*"))


def test_a_store_that_nobody_uses_goes_when_another_one_is_made(tmp_path: Path, stores: Path) -> None:
    state = tmp_path / "labs" / "mine"

    def made(*images: str) -> Path:
        seed = imagestore.seed(programs(tmp_path), tars(tmp_path, *images), stores, state, quiet)
        assert seed
        return seed.parent

    unused, linked, used = made("a.tar"), made("b.tar"), made("c.tar")
    link = state.parent / "other" / "machines" / "node-1" / SEED
    link.parent.mkdir(parents=True)
    link.symlink_to(linked / "seed")
    for store in (unused, linked, used):
        os.utime(store, (0, 0))
    assert made("c.tar") == used
    made("d.tar")
    assert [store.exists() for store in (unused, linked, used)] == [False, True, True]
