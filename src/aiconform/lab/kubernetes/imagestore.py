"""Images that are unpacked once on this machine and shared by the nodes of all labs.

A store is the root folder of a containerd that has imported a set of images. The containerd of a node starts with a
copy of its databases, and with links to its content and unpacked layers, which nothing ever changes. So a node has all
images from its start, and neither copies nor unpacks any.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from aiconform.lab.build.assets import Assets
from aiconform.lab.config import LabError
from aiconform.lab.kubernetes.containerd import SNAPSHOTTER, SOCKET, is_overlay
from aiconform.lab.machines import host
from aiconform.lab.machines.files import write_text
from aiconform.lab.machines.host import Progress
from aiconform.lab.machines.machine import SEED

IMPORTED = "imported"
"""In a node's containerd folder: the paths of the tar files that it has imported."""
_SEED = "seed"
_CONTENT = "io.containerd.content.v1.content/blobs/sha256"
_LAYERS = f"{SNAPSHOTTER}/snapshots"
_UNUSED_SECONDS = 7 * 24 * 3600
_DATABASES = ("io.containerd.metadata.v1.bolt/meta.db", f"{SNAPSHOTTER}/metadata.db")
# Nothing of it stays: not even the folder /opt/containerd.
_CONFIGURATION = """version = 4
root = "{root}"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
  "io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri", "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.zfs",
]

[plugins."io.containerd.metadata.v1.bolt"]
no_sync = true
"""
# In namespaces of its own, so that the kernel ends all of it together.
_NAMESPACES = (
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    "--mount",
    "--pid",
    "--mount-proc",
    "--fork",
    "--kill-child",
)
_IMPORT = """set -e
containerd=$1 program=$2 socket=$3 config=$4; shift 4
ctr() { "$program" -a "$socket" "$@"; }
mount -t tmpfs tmpfs /run
"$containerd" --config "$config" & pid=$!
until ctr version >/dev/null 2>&1; do readlink "/proc/$pid/exe" >/dev/null; sleep 0.1; done
for image; do ctr -n k8s.io images import --local "$image"; done
kill $pid; wait $pid
"""


def seed(assets: Assets, images: Collection[Path], folder: Path, state: Path, progress: Progress) -> Path | None:
    """What the containerd folder of a node starts with, so that it has at least these images; made if missing.

    `folder` has the stores, and `state` the lab. None if one of them is on an overlay file system, on which layers
    cannot be shared. Raises LabError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if is_overlay(state) or is_overlay(folder):
        return None
    lock = folder / ".lock"
    with host.locked(lock, lambda: progress("waiting for another process that unpacks images")):
        found = {store: _images(store) for store in folder.glob("store-*")}
        # Also those of earlier labs: an add-on that is installed later needs no import then.
        enough = [store for store, has in found.items() if set(images) <= has and all(path.exists() for path in has)]
        store = max(enough, key=lambda each: len(found[each]), default=None)
        if store is None:
            _forget_unused(found, state.parent)
            store = _make(assets, sorted(images), folder, progress)
        os.utime(store)
        return store / _SEED


def _forget_unused(stores: Iterable[Path], labs: Path) -> None:
    """Remove stores of gigabytes that no node of a lab links to and that no lab has started with for a week."""
    linked = {link.readlink().parent for link in labs.glob(f"*/machines/*/{SEED}") if link.is_symlink()}
    for store in stores:
        if store not in linked and time.time() - store.stat().st_mtime > _UNUSED_SECONDS:
            # Under a name that is no store's: an interrupted removal leaves none that lacks a part.
            shutil.rmtree(store.rename(store.with_name(f".{store.name}")))


def _images(store: Path) -> set[Path]:
    return set(map(Path, (store / _SEED / IMPORTED).read_text().splitlines()))


def _make(assets: Assets, images: Sequence[Path], folder: Path, progress: Progress) -> Path:
    progress(f"unpacking {len(images)} images, once for all labs of this machine")
    name = hashlib.sha256("\n".join(map(str, images)).encode()).hexdigest()[:16]
    store, draft = folder / f"store-{name}", folder / f".store-{name}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    write_text(draft / "containerd.toml", _CONFIGURATION.format(root=draft / "root"))
    programs = (assets["containerd"], assets["ctr"], SOCKET, str(draft / "containerd.toml"))
    with tempfile.TemporaryFile() as log:
        done = subprocess.run(
            [*_NAMESPACES, "/bin/sh", "-c", _IMPORT, "sh", *programs, *map(str, images)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**host.environment(), "TMPDIR": str(draft)},
            check=False,
        )
        log.seek(0)
        if done.returncode:
            said = log.read().decode(errors="replace").strip().splitlines()
            raise LabError(f"images cannot be unpacked: {said[-1] if said else done.returncode}")
    _write_seed(draft / "root", store / "root", draft / _SEED)
    write_text(draft / _SEED / IMPORTED, "".join(f"{image}\n" for image in images))
    draft.rename(store)
    return store


def _write_seed(root: Path, later: Path, target: Path) -> None:
    """`later` is where the root will be: links are absolute, as a node copies them."""
    for part in (_CONTENT, _LAYERS):
        (target / part).mkdir(parents=True)
        for entry in os.scandir(root / part):
            (target / part / entry.name).symlink_to(later / part / entry.name)
    for file in _DATABASES:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / file, target / file)
