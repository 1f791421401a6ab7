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
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_text() == content:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
