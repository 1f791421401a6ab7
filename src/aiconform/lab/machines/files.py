"""Files that other processes read while they are replaced, and logs."""

from __future__ import annotations

import json
import os
from pathlib import Path

_MAX_LOG = 64 * 1024 * 1024


def rotate(log: Path) -> None:
    """Keep one older log when this one has grown large."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _MAX_LOG:
        log.replace(log.with_name(log.name + ".1"))


def write_json(path: Path, value: object) -> None:
    """As `write_text`."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def write_text(path: Path, content: str) -> None:
    """Replace a file at once: a reader, or a start after a crash, sees the old content or the new.

    A file that has this content already is left alone: some processes end when their file is written.
    """
    if not path.exists() or path.read_text() != content:
        _replace(path, content.encode(), 0o666)


def write_script(path: Path, content: str) -> None:
    """Replace a script for /bin/sh at once, for others to run."""
    _replace(path, b"#!/bin/sh\n" + content.encode(), 0o777)
    path.chmod(0o755)


def write_secret(path: Path, content: bytes) -> None:
    """Replace a file at once; only its owner can read it."""
    _replace(path, content, 0o600)


def _replace(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
