"""The journal: the events of a run in order, each line chained to the previous one by its hash."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiconform.engine.evidence import encode_text
from aiconform.untrusted import Refused, json_value
from aiconform.untrusted import read as read_file

START = "sha256:" + "0" * 64


class BrokenChain(Exception):
    """A journal line was changed, removed, added or moved; the text names the line."""


def now() -> str:
    """This moment, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime | None:
    """The time (UTC) that a text of `now` names; None if it names none of the years 1970 to 9998.

    So durations can be added to it and taken from it.
    """
    try:
        found = datetime.fromisoformat(text)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return found if 1970 <= found.year <= 9998 else None


def hash_line(line: bytes) -> str:
    return f"sha256:{hashlib.sha256(line).hexdigest()}"


@dataclass(frozen=True)
class JournalEntry:
    """One line: `event` is a word, `data` depends on it."""

    number: int
    time: str
    event: str
    data: dict[str, Any]


class Journal:
    """Appends lines. Each is flushed to disk before the call returns, so that a killed run loses nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head = START
        self._number = 0

    def resume(self) -> list[JournalEntry]:
        """Continue after the last complete line; a partial one (the tool was killed while writing) is removed.

        Raises BrokenChain.
        """
        raw = self.path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        if whole != raw:
            self.path.write_bytes(whole)
        lines = list(read(self.path))
        self._number = len(lines)
        if lines:
            self.head = hash_line(whole.rstrip(b"\n").rpartition(b"\n")[2])
        return lines

    def append(self, event: str, data: dict[str, Any], time: str = "") -> None:
        """`time`: of an event that happened before, in the copy of a run; by default, it is now."""
        self._number += 1
        text = json.dumps(
            {"number": self._number, "time": time or now(), "event": event, "data": data, "previous": self.head},
            ensure_ascii=False,
        )
        line = encode_text(text)
        with self.path.open("ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.head = hash_line(line)


def read(path: Path) -> Iterator[JournalEntry]:
    """All lines; the chain is verified on the way. Raises BrokenChain."""
    previous = START
    for number, raw in enumerate(content(path).split(b"\n")[:-1], start=1):
        try:
            line, chained = _entry(json_value(raw, "it"))
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenChain(f"{path.name}, line {number}: not a journal line ({error})") from error
        if chained != previous or line.number != number:
            raise BrokenChain(f"{path.name}, line {number}: its hash does not match the previous line")
        yield line
        previous = hash_line(raw)


def content(path: Path) -> bytes:
    """The bytes of a journal. Raises BrokenChain for what no journal is, and OSError."""
    try:
        return read_file(path, inside=path.parent)
    except Refused as error:
        raise BrokenChain(str(error)) from error


def _entry(value: Any) -> tuple[JournalEntry, str]:
    """(the line, the hash of the previous one that it names). Raises ValueError, KeyError, TypeError."""
    data = value["data"]
    if not isinstance(data, dict) or not isinstance(data.get("check", ""), str):
        raise ValueError("its data is not what a run writes")
    needed = {"observed": {"check", "digest"}, "judged": {"check"}}.get(str(value["event"]), set())
    if not needed <= data.keys():
        raise ValueError(f"it lacks {' or '.join(sorted(needed))}")
    if type(value["number"]) is not int or not isinstance(value["time"], str) or not isinstance(value["event"], str):
        raise ValueError("its number, time or event is none")
    return JournalEntry(value["number"], value["time"], value["event"], data), value["previous"]
