"""A bundle: the folder of a submission with everything in it, as files and their digests.

A bundle can also be one `.tar`, `.tar.gz` or `.zip`, which is unpacked into a temporary folder, under limits.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from aiconform.certify.submission import FILE

ATTESTATION = "attestation.dsse.json"
KEYLESS = "attestation.sigstore.json"
TIMESTAMPS = "attestation.timestamps.json"
SIGNATURES = (ATTESTATION, KEYLESS, TIMESTAMPS)
MOST_FILES = 20_000
MOST_BYTES = 2 << 30  # unpacked
SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")


class BadBundle(Exception):
    """The folder or archive is not a bundle, or is not safe to open."""


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file below `folder` by its path, the signatures apart. Raises BadBundle."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        kind = path.lstat().st_mode
        if stat.S_ISLNK(kind) or not (stat.S_ISDIR(kind) or stat.S_ISREG(kind)):
            raise BadBundle(f"{name} is a link or a special file: a bundle contains plain files only")
        if stat.S_ISREG(kind) and name not in SIGNATURES:
            if len(found) >= MOST_FILES:
                raise BadBundle(f"it has more than {MOST_FILES:,} files")
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """The bundle's folder (resolved), unpacked if it is an archive; vX.Y/<product> is kept. Raises BadBundle."""
    if path.is_dir():
        if not (path / FILE).is_file():
            raise BadBundle(f"{path} has no {FILE}: name the folder vX.Y/<product> of a bundle, or its archive")
        yield path.resolve()
        return
    if not path.is_file() or not path.name.lower().endswith(SUFFIXES):
        raise BadBundle(f"{path} is neither a folder nor an archive ({', '.join(SUFFIXES)})")
    with tempfile.TemporaryDirectory(prefix="aiconform-bundle-") as scratch:
        folder = Path(scratch).resolve()
        try:
            if path.name.lower().endswith(".zip"):
                _unzip(path, folder)
            else:
                _untar(path, folder)
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
            raise BadBundle(f"{path.name} cannot be unpacked: {error}") from error
        except RuntimeError as error:  # zipfile: a password is needed
            raise BadBundle(f"{path.name} cannot be unpacked: {error}") from error
        products = [found for found in sorted(folder.rglob(FILE)) if "runs" not in found.relative_to(folder).parts]
        if len(products) != 1:
            raise BadBundle(f"{path.name} contains {len(products)} files named {FILE}; a bundle has one")
        yield products[0].parent


def _untar(path: Path, folder: Path) -> None:
    room = MOST_BYTES
    with tarfile.open(path) as archive:
        for number, member in enumerate(archive):
            target = _target(member.name, folder, number)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            source = archive.extractfile(member) if member.isreg() else None
            if source is None:
                raise BadBundle(f"{member.name!r} is a link or a special file: a bundle contains plain files only")
            room -= _copy(source, target, room)


def _unzip(path: Path, folder: Path) -> None:
    room = MOST_BYTES
    with zipfile.ZipFile(path) as archive:
        for number, member in enumerate(archive.infolist()):
            target = _target(member.filename, folder, number)
            kind = member.external_attr >> 16
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            if stat.S_IFMT(kind) not in (0, stat.S_IFREG):
                raise BadBundle(f"{member.filename!r} is a link or a special file: a bundle contains plain files only")
            with archive.open(member) as source:
                room -= _copy(source, target, room)


def _target(name: str, folder: Path, number: int) -> Path:
    if number >= MOST_FILES:
        raise BadBundle(f"it has more than {MOST_FILES:,} files")
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or name.startswith(("/", "\\")) or ".." in parts or "\0" in name or ":" in parts[0]:
        raise BadBundle(f"{name!r} in the archive leads out of it")
    return folder.joinpath(*parts)


def _copy(source: IO[bytes], target: Path, room: int) -> int:
    """Copy and return the number of bytes. The size that a member declares is not trusted."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise BadBundle(f"{target.name!r} is in the archive twice")
    copied = 0
    with target.open("xb") as out:
        while chunk := source.read(1 << 20):
            copied += len(chunk)
            if copied > room:
                raise BadBundle(f"it has more than {MOST_BYTES >> 30} GiB when unpacked")
            out.write(chunk)
    return copied


def copy_plain(source: Path, target: Path) -> None:
    """Copy a folder of plain files. Raises BadBundle for links and special files."""
    digests(source)
    shutil.copytree(source, target, symlinks=True)
