"""Files and folders of strangers: plain ones only, up to a size, and nothing outside of the folder."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from aiconform.untrusted.refused import Refused

LARGEST = 64 << 20  # bytes of a file that is read into memory; the largest of a real run has 2 MB
MOST_FILES = 20_000  # in a folder and below
MOST_BYTES = 2 << 30  # in a folder and below
DEEPEST = 24  # folders in folders
LONGEST_NAME = 200  # characters of one file's or folder's name

# A pipe without a writer would block; both flags exist only on POSIX systems.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def read(path: Path, largest: int = LARGEST, *, inside: Path | None = None) -> bytes:
    """The bytes of a plain file. `inside`: the folder that it must lie in once links are followed.

    Raises Refused, and OSError as `open` does.
    """
    if inside is not None and not path.resolve(strict=True).is_relative_to(inside.resolve()):
        raise Refused(f"{path.name} is a link to a file outside of {inside.name or inside}: put the file itself there")
    with opened(path) as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise Refused(f"{path.name} is larger than {_size(largest)}")
    return data


def read_any(path: Path, largest: int = LARGEST) -> bytes:
    """The bytes of what a user names: a plain file, or a pipe such as a shell's <(...).

    Raises OSError as `open` does, and of what never ends or is larger: a device such as /dev/zero, or a wrong file.
    """
    with path.open("rb") as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise OSError(errno.EFBIG, f"it is larger than {_size(largest)}", str(path))
    return data


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """A plain file to read as a stream. Raises Refused, and OSError as `open` does."""
    _plain(path, path.stat())
    with os.fdopen(os.open(path, _FLAGS), "rb") as file:
        _plain(path, os.fstat(file.fileno()))  # it may be another file by now
        yield file


def digest(path: Path, largest: int = MOST_BYTES) -> str:
    """sha256 of a plain file, in hexadecimal digits. Raises Refused, and OSError as `open` does."""
    with opened(path) as file:
        if os.fstat(file.fileno()).st_size > largest:
            raise Refused(f"{path.name} is larger than {_size(largest)}")
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Refused(f"{path.name} is not a regular file")


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count:,} bytes"


def plain_files(
    folder: Path, *, largest: int | None = None, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES
) -> list[Path]:
    """Every file below the folder, sorted. Links and special files are refused, not passed over.

    Raises Refused, and OSError for what cannot be listed.
    """
    found: list[Path] = []
    room = most_bytes
    for entry, depth in _entries(folder, most_files):
        name = os.path.relpath(entry.path, folder)
        if len(entry.name) > LONGEST_NAME:
            raise Refused(f"{name[:80]}… is a name of more than {LONGEST_NAME} characters")
        if depth > DEEPEST:
            raise Refused(f"{name[:80]} is more than {DEEPEST} folders deep")
        if entry.is_dir(follow_symlinks=False):
            continue
        about = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(about.st_mode):
            raise Refused(f"{name} is a link or a special file: only plain files belong here")
        if largest is not None and about.st_size > largest:
            raise Refused(f"{name} is larger than {_size(largest)}")
        room -= about.st_size
        if room < 0:
            raise Refused(f"it has more than {_size(most_bytes)}")
        found.append(Path(entry.path))
    return sorted(found)


def _entries(folder: Path, most: int) -> Iterator[tuple[os.DirEntry[str], int]]:
    """Everything below the folder with its depth; links are not followed."""
    waiting = [(os.fspath(folder), 0)]
    seen = 0
    while waiting:
        place, depth = waiting.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                seen += 1
                if seen > most:
                    raise Refused(f"it has more than {most:,} files")
                yield entry, depth
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, depth + 1))
