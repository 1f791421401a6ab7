"""The files of a registry: only what changed is written, and what is no longer part of it is removed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MARK = "registry.json"
"""By it a later build knows a folder of its own from one that it must not fill."""
FOLDERS = ("submissions", "platforms", "badges", "requirements", "list", "evidence", "index")


class CannotWrite(Exception):
    """The registry cannot be written there."""


class Output:
    """A folder that is brought to a new state: `write` every file, then `finish`. Raises CannotWrite."""

    def __init__(self, folder: Path) -> None:
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise CannotWrite(f"{folder} is not a folder")
        if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
            raise CannotWrite(f"{folder} has other files in it; name an empty or a new folder")
        self.folder = folder
        self.written = 0
        self._names: set[str] = set()

    def write(self, name: str, text: str) -> None:
        """`name`: with slashes, below the folder. A file that has this text already is left as it is."""
        self._names.add(name)
        path = self.folder / name
        data = text.encode("utf-8", "replace")
        try:
            if (
                path.is_file()
                and not path.is_symlink()
                and path.stat().st_size == len(data)
                and path.read_bytes() == data
            ):
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise CannotWrite(f"{path} cannot be written: {error.strerror}") from error
        self.written += 1

    def write_json(self, name: str, data: Any) -> None:
        self.write(name, json.dumps(data, ensure_ascii=False, indent=1) + "\n")

    def keep(self, name: str) -> bool:
        """Whether the file is there from an earlier build; it stays."""
        there = (self.folder / name).is_file()
        if there:
            self._names.add(name)
        return there

    def finish(self) -> int:
        """Remove the files of earlier builds that this one did not write; returns their number."""
        gone = [
            path
            for part in FOLDERS
            for path in (self.folder / part).rglob("*")
            if not path.is_dir() and path.relative_to(self.folder).as_posix() not in self._names
        ]
        for path in gone:
            path.unlink()
        return len(gone)

    def read(self, name: str) -> dict[str, Any]:
        """The JSON object of an earlier build; empty if there is none."""
        try:
            data = json.loads((self.folder / name).read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return data if isinstance(data, dict) else {}

    def records(self) -> dict[str, dict[str, Any]]:
        """What an earlier build recorded of submissions, by key. What cannot be read is made anew."""
        found = {}
        for path in (self.folder / "submissions").rglob("*.json"):
            record = self.read(path.relative_to(self.folder).as_posix())
            if isinstance(record.get("key"), str):
                found[record["key"]] = record
        return found
