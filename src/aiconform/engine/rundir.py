"""The run directory: its files, written so that they stay readable if the tool is killed at any moment."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from aiconform import __version__
from aiconform.cluster import Object
from aiconform.engine.evidence import (
    FORMAT,
    Evidence,
    Identity,
    Record,
    Report,
    RunInfo,
    Tool,
    digest,
    encode,
    encode_record,
    encode_text,
)
from aiconform.engine.journal import Journal
from aiconform.untrusted import LARGEST, Refused, json_value, plain_files, read

IDENTITY = "identity.json"
_CHECK = re.compile(r"(?!.{81})[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*")
"""An id of a check, which is also the name of a file."""
M = TypeVar("M", bound=BaseModel)


class BadRunDirectory(Exception):
    """A folder is not a run directory, or one of its files is malformed."""


class OfAnotherRelease(BadRunDirectory):
    """A run that this release cannot read, because another one made it; the text names that one."""


def of_release(tool: Tool) -> str:
    """The release that made a run, and how to run it, in words."""
    version = tool.version if re.fullmatch(r"[0-9A-Za-z.+-]{1,40}", tool.version) else "RELEASE"
    return f"made by {tool.name} {tool.version}, this is {__version__}; try `uvx aiconform=={version} judge DIR`"


PACKAGE = "aiconform"
"""The name of this project, as runs and the package index know it."""


def made_by(run: Path) -> tuple[str, str]:
    """(the tool that made a run, its release), whatever else is in run.json; "" for what it does not say."""
    try:
        tool = _Made.model_validate_json(RunDirectory(run)._bytes("run.json")).tool
    except (ValidationError, BadRunDirectory):
        return "", ""
    return tool.name, tool.version


class _Made(BaseModel):
    """What every run.json says of its making, whatever else is in it."""

    tool: Tool
    format: int = 1


class RunDirectory:
    """Reads and writes the files of one run directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = Journal(path / "journal.ndjson")

    def create(self) -> None:
        """Raises BadRunDirectory if something is there already."""
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise BadRunDirectory(f"{self.path} is not empty: name another folder with --out, or use --resume")
        try:
            for part in ("observations", "objects", "cncf"):
                (self.path / part).mkdir(parents=True, exist_ok=True)
            self.journal.path.touch()
        except OSError as error:
            raise BadRunDirectory(f"{self.path} cannot be written: {error.strerror}") from error

    def write_info(self, info: RunInfo) -> None:
        self._write("run.json", encode(info))

    def write_report(self, report: Report) -> None:
        self._write("report.json", encode(report))

    def write_evidence(self, evidence: Evidence) -> str:
        """Returns the file's digest, which the journal records."""
        data = encode(evidence)
        self._write(_evidence_file(evidence.check), data)
        return digest(data)

    def write_identity(self, identity: Identity) -> str:
        """Returns the file's digest, which the journal records."""
        data = encode(identity)
        self._write(IDENTITY, data)
        return digest(data)

    def append_record(self, check: str, record: Record) -> str:
        """Keep what a probe of an unfinished check observed; returns its digest, which the journal records."""
        data = encode_record(record)
        path = self._unfinished(check)
        path.parent.mkdir(exist_ok=True)
        with path.open("ab") as file:
            file.write(data + b"\n")
        return digest(data)

    def keep_records(self, check: str, digests: Collection[str]) -> tuple[Record, ...]:
        """The kept records of an unfinished check that have these digests; all others are dropped.

        Others are one that was not written completely when the tool was killed, and what was changed since. An error
        says that nothing was decided there: its probe is to look again.
        """
        path = self._unfinished(check)
        lines = path.read_bytes().split(b"\n") if path.exists() else []
        known = {line: Record.model_validate_json(line) for line in lines if digest(line) in digests}
        kept = {line: record for line, record in known.items() if record.outcome != "error"}
        if lines:
            self._write(f"unfinished/{check}.ndjson", b"".join(line + b"\n" for line in kept))
        return tuple(kept.values())

    def drop_records(self, check: str) -> None:
        """The check is finished: its evidence has them."""
        self._unfinished(check).unlink(missing_ok=True)

    def _unfinished(self, check: str) -> Path:
        return self.path / "unfinished" / f"{check}.ndjson"

    def write_objects(self, check: str, name: str, remains: Object) -> None:
        folder = self.path / "objects" / check
        folder.mkdir(parents=True, exist_ok=True)
        data = json.dumps(remains, indent=1, ensure_ascii=False, default=str) + "\n"
        self._write(f"objects/{check}/{name}.json", encode_text(data))

    def read_info(self) -> RunInfo:
        """Raises OfAnotherRelease for a format that is newer than this release."""
        with suppress(ValidationError):
            made = _Made.model_validate_json(self._bytes("run.json"))
            if made.format > FORMAT:
                raise OfAnotherRelease(f"{self.path} has format {made.format}: it was {of_release(made.tool)}")
        return self._read("run.json", RunInfo)

    def read_report(self) -> Report:
        return self._read("report.json", Report)

    def read_evidence(self, check: str) -> tuple[Evidence, str]:
        """(the evidence, the file's digest)."""
        name = _evidence_file(check)
        return self._read(name, Evidence), digest(self._bytes(name))

    def read_identity(self) -> Identity | None:
        """None in runs of before it was recorded. Raises BadRunDirectory."""
        return self._read(IDENTITY, Identity) if (self.path / IDENTITY).is_file() else None

    def evidence_ids(self) -> tuple[str, ...]:
        folder = self.path / "observations"
        try:
            files = plain_files(folder) if folder.is_dir() else []
        except (Refused, OSError) as error:
            raise BadRunDirectory(f"{folder}: {error}") from error
        return tuple(path.stem for path in files if path.suffix == ".json" and path.parent == folder)

    def refuse_unusual(self) -> None:
        """Raises BadRunDirectory for a folder with links, special files or more than a run ever has."""
        try:
            plain_files(self.path, largest=LARGEST)
        except Refused as error:
            raise BadRunDirectory(f"{self.path}: {error}") from error
        except OSError as error:
            raise BadRunDirectory(f"{self.path} cannot be read: {error.strerror}") from error

    def digests(self) -> dict[str, str]:
        """The digest of every file by its path, apart from those that the journal covers otherwise.

        Raises BadRunDirectory.
        """
        names = {path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file()}
        covered = {"run.json", "journal.ndjson", *(f"observations/{check}.json" for check in self.evidence_ids())}
        return {name: digest(self._bytes(name)) for name in sorted(names - covered)}

    def _write(self, name: str, data: bytes) -> None:
        """Write atomically: a reader never finds a partial file."""
        target = self.path / name
        draft = target.with_name(f".{target.name}.part")
        draft.write_bytes(data)
        draft.replace(target)

    def _bytes(self, name: str) -> bytes:
        try:
            return read(self.path / name, inside=self.path)
        except OSError as error:
            raise BadRunDirectory(f"{self.path / name} cannot be read: {error.strerror}") from error
        except (Refused, RuntimeError) as error:  # the latter: links that lead to each other
            raise BadRunDirectory(f"{self.path / name}: {error}") from error

    def _read(self, name: str, model: type[M]) -> M:
        data = self._bytes(name)
        try:
            json_value(data, "it")
            return model.model_validate_json(data)
        except Refused as error:
            raise BadRunDirectory(f"{self.path / name}: {error}") from error
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(str(part) for part in problem["loc"]) or "the file"
            raise BadRunDirectory(f"{self.path / name}: {place}: {problem['msg']}") from error


def _evidence_file(check: str) -> str:
    """Raises BadRunDirectory for an id that would lead elsewhere."""
    if not _CHECK.fullmatch(check):
        raise BadRunDirectory(f"{check[:80]!r} is not the id of a check")
    return f"observations/{check}.json"
