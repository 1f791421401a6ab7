"""Archives of strangers: `.tar`, `.tar.gz` and `.zip`, unpacked under limits.

The libraries read an archive's directory and its headers into memory, however large those say that they are. So they
read through `_Rationed`, which ends that.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, cast

from aiconform.untrusted.files import DEEPEST, LONGEST_NAME, MOST_BYTES, MOST_FILES, opened
from aiconform.untrusted.refused import Refused

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")
LARGEST_HEADER = 64 << 10  # bytes that describe one member of a tar
LARGEST_HEADERS = 48 << 20  # bytes that describe all of them; 20,000 files need up to 40 MB
LARGEST_DIRECTORY = 8 << 20  # bytes of a zip's directory; 20,000 files need 3 MB
_GZIP = b"\x1f\x8b"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_CHUNK = 1 << 20
_UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,  # a password, or headers that refer to each other without end
)


class _Rationed(io.RawIOBase):
    """A file of which no more than `ration` bytes can be read; None for as many as wanted."""

    def __init__(self, file: IO[bytes], ration: int | None) -> None:
        super().__init__()
        self._file, self.ration = file, ration

    def read(self, size: int | None = -1) -> bytes:
        wanted = -1 if size is None else size
        if self.ration is None:
            return self._file.read(wanted)
        data = self._file.read(self.ration + 1) if wanted < 0 or wanted > self.ration else self._file.read(wanted)
        self.ration -= len(data)
        if self.ration < 0:
            raise Refused("a header or directory of the archive is too large")
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def unpack(path: Path, folder: Path) -> None:
    """Unpack an archive, whose suffix is one of SUFFIXES, into an empty folder. Raises Refused."""
    try:
        with opened(path) as file:
            if path.name.lower().endswith(".zip"):
                _unzip(file, folder)
            elif file.read(len(_GZIP)) == _GZIP:
                file.seek(0)
                with gzip.GzipFile(fileobj=file) as inner:
                    _untar(cast("IO[bytes]", inner), folder)
            else:
                file.seek(0)
                _untar(file, folder)
    except Refused:
        raise
    except _UNREADABLE as error:
        raise Refused(f"{path.name} cannot be unpacked: {str(error)[:200]}") from error


def _untar(file: IO[bytes], folder: Path) -> None:
    rationed = _Rationed(file, LARGEST_HEADER)
    room, number, headers = MOST_BYTES, 0, LARGEST_HEADERS
    with tarfile.open(fileobj=rationed, mode="r:") as archive:
        while member := archive.next():
            headers -= LARGEST_HEADER - (rationed.ration or 0)
            if headers < 0:
                raise Refused("the headers of the archive are too large")
            target = _target(member.name, folder, number)
            number += 1
            rationed.ration = None
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                source = archive.extractfile(member) if member.isreg() and not member.issparse() else None
                if source is None:
                    raise Refused(f"{_shown(member.name)} is a link or a special file: only plain files belong here")
                if member.size > room:
                    raise Refused(f"it has more than {MOST_BYTES >> 30} GiB when unpacked")
                room -= _copy(source, target, room)
            rationed.ration = LARGEST_HEADER


def _unzip(file: IO[bytes], folder: Path) -> None:
    rationed = _Rationed(file, LARGEST_DIRECTORY)
    room = MOST_BYTES
    with zipfile.ZipFile(cast("IO[bytes]", rationed)) as archive:
        rationed.ration = None
        for number, member in enumerate(archive.infolist()):
            target = _target(member.filename, folder, number)
            kind = member.external_attr >> 16
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            if stat.S_IFMT(kind) not in (0, stat.S_IFREG):
                raise Refused(f"{_shown(member.filename)} is a link or a special file: only plain files belong here")
            if member.compress_type not in _METHODS:
                raise Refused(f"{_shown(member.filename)} is compressed in an unusual way: use the usual one (deflate)")
            with archive.open(member) as source:
                room -= _copy(source, target, room)


def _target(name: str, folder: Path, number: int) -> Path:
    if number >= MOST_FILES:
        raise Refused(f"it has more than {MOST_FILES:,} files")
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts and name:  # `tar -cf FILE .` begins with the folder itself
        return folder
    if not parts or name.startswith(("/", "\\")) or ".." in parts or "\0" in name or ":" in parts[0]:
        raise Refused(f"{_shown(name)} in the archive leads out of it")
    if len(parts) > DEEPEST or max(map(len, parts)) > LONGEST_NAME:
        raise Refused(f"{_shown(name)} in the archive is too long or too deep a name")
    return folder.joinpath(*parts)


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:79]}…")


def _copy(source: IO[bytes], target: Path, room: int) -> int:
    """Copy and return the number of bytes. The size that a member declares is not trusted."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise Refused(f"{_shown(target.name)} is in the archive twice")
    copied = 0
    with target.open("xb") as out:
        while chunk := source.read(_CHUNK):
            copied += len(chunk)
            if copied > room:
                raise Refused(f"it has more than {MOST_BYTES >> 30} GiB when unpacked")
            out.write(chunk)
    return copied
