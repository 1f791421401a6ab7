"""Images made on this machine: OCI image layouts in tar files, so that no registry is needed.

They have the public names that Pods ask for, so that a test for a connected cluster runs here, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import platform
import re
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiconform.lab.build import components
from aiconform.lab.build.assets import Assets
from aiconform.lab.config import LabError
from aiconform.lab.machines.files import write_text

PAUSE = "registry.k8s.io/pause:3.10.1"
# The image of test Pods, as in aiconform.platform.images: to import it would load the Kubernetes client for every
# command of the lab. A test compares the two.
BUSYBOX = "registry.k8s.io/e2e-test-images/busybox:1.36.1-1"
COREDNS = f"registry.k8s.io/coredns/coredns:v{components.COREDNS.version}"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}


@dataclass(frozen=True)
class Image:
    """The content of an image. Files are (path in the image, file on this machine); root owns everything."""

    name: str
    files: tuple[tuple[str, Path], ...]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    """(path in the image, what it points to)."""
    texts: tuple[tuple[str, str], ...] = ()
    """(path in the image, its content)."""
    folders: tuple[tuple[str, int], ...] = ()
    """(path in the image, mode)."""
    user: str = ""


def architecture() -> str:
    """This machine's architecture as images and Nodes name it."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def lab_images(assets: Assets) -> tuple[Image, ...]:
    """The images of every lab. Raises LabError if busybox-static is missing."""
    busybox = Path(_busybox())
    applets = subprocess.run([str(busybox), "--list"], capture_output=True, text=True, check=True).stdout.split()
    root = (("tmp", 0o1777), ("root", 0o700), ("etc", 0o755), ("var", 0o755), ("proc", 0o755), ("dev", 0o755))
    return (
        Image(
            PAUSE,
            files=(("pause", Path(assets["pause"])),),
            entrypoint=("/pause",),
            user="65535:65535",
        ),
        Image(
            BUSYBOX,
            files=(("bin/busybox", busybox),),
            command=("sh",),
            links=tuple((f"bin/{applet}", "busybox") for applet in applets if applet != "busybox"),
            texts=tuple(_ACCOUNTS.items()),
            folders=root,
        ),
        Image(
            COREDNS,
            files=(("coredns", Path(assets["coredns"])),),
            entrypoint=("/coredns",),
            texts=tuple(_ACCOUNTS.items()),
            folders=root,
            user="65532:65532",
        ),
    )


def controller(name: str, binary: Path, path: str, *files: tuple[str, Path], user: str = "65532:65532") -> Image:
    """An image of one static program at `path`, with folders for certificates and temporary files.

    `files` are further (path in the image, file on this machine).
    """
    return Image(
        name,
        files=((path.lstrip("/"), binary), *files),
        entrypoint=(path,),
        texts=tuple(_ACCOUNTS.items()),
        folders=(("tmp", 0o1777), ("etc", 0o755), ("var", 0o755)),
        user=user,
    )


def linked(binary: Path) -> tuple[tuple[str, Path], ...]:
    """The shared libraries of a program and their loader, as (path in the image, file on this machine).

    Raises LabError if this machine's libraries do not satisfy the program.
    """
    done = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False)
    # `name => /path (address)`, or `/path (address)` for the loader.
    paths = re.findall(r"(/\S+) \(0x", done.stdout)
    missing = re.findall(r"(\S+) => not found", done.stdout)
    if done.returncode or missing or not paths:
        why = f"lacks {', '.join(missing)}" if missing else (done.stderr.strip() or "is not linked dynamically")
        raise LabError(f"{binary.name} needs the libraries of a system with glibc 2.31 or newer: it {why}")
    return tuple((path.lstrip("/"), Path(path)) for path in paths)


def _busybox() -> str:
    for candidate in ("/bin/busybox", "/usr/bin/busybox", "/usr/bin/busybox.static"):
        if Path(candidate).exists():
            return candidate
    raise LabError("busybox (statically linked) is not installed; on Debian: apt-get install busybox-static")


def write(image: Image, folder: Path) -> Path:
    """The image's tar file in `folder`, named by its content; created if missing."""
    tag = image.name.rpartition("/")[2].replace(":", "-")
    # To name it by its content takes seconds for all images of a lab. So it is noted what was made of which files.
    note = folder / "made" / f"{tag}-{_inputs(image)}"
    with contextlib.suppress(OSError):
        if (noted := folder / note.read_text()).exists():
            return noted
    target = _write(image, folder, tag)
    write_text(note, target.name)
    return target


def _inputs(image: Image) -> str:
    """A digest of what the image is made of; of a file's path, size and time instead of its content."""
    files = [(path, str(file), file.stat().st_size, file.stat().st_mtime_ns) for path, file in image.files]
    return hashlib.sha256(repr((replace(image, files=()), files, architecture())).encode()).hexdigest()[:16]


def _write(image: Image, folder: Path, tag: str) -> Path:
    layer = _layer(image)
    layer_digest = hashlib.sha256(layer).hexdigest()
    config: dict[str, Any] = {
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Entrypoint": list(image.entrypoint),
            "Cmd": list(image.command),
            "User": image.user,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created_by": "aiconform lab"}],
    }
    config_blob = json.dumps(config, sort_keys=True).encode()
    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    manifest_blob = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config_blob),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
        },
        sort_keys=True,
    ).encode()
    target = folder / f"{tag}-{hashlib.sha256(manifest_blob + image.name.encode()).hexdigest()[:16]}.tar"
    if target.exists():
        return target
    entry = _descriptor(manifest_type, manifest_blob) | {
        "annotations": {"io.containerd.image.name": image.name, "org.opencontainers.image.ref.name": image.name},
        "platform": {"architecture": architecture(), "os": "linux"},
    }
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
    folder.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    with tarfile.open(draft, "w") as tar:
        _add(tar, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        _add(tar, "index.json", json.dumps(index).encode())
        for blob in (config_blob, layer, manifest_blob):
            _add(tar, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)
    draft.replace(target)
    return target


def _layer(image: Image) -> bytes:
    """An uncompressed layer, as it never leaves this machine. The same input gives the same bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        modes = dict(image.folders)
        for folder in sorted(_parents(image) | set(modes)):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, modes.get(folder, 0o755)
            tar.addfile(info)
        for path, source in image.files:
            info = tarfile.TarInfo(path)
            info.size, info.mode = source.stat().st_size, 0o755
            with source.open("rb") as content:
                tar.addfile(info, content)
        for path, text in image.texts:
            _add(tar, path, text.encode())
        for path, target in image.links:
            info = tarfile.TarInfo(path)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return out.getvalue()


def _parents(image: Image) -> set[str]:
    paths: Iterable[str] = [path for path, _ in (*image.files, *image.texts, *image.links)]
    return {str(parent) for path in paths for parent in Path(path).parents if str(parent) != "."}


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    tar.addfile(info, io.BytesIO(content))


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}
