"""The committed record of what each version asks, so that a released version never becomes stricter unnoticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aiconform.spec.errors import SpecError
from aiconform.spec.lifecycle import Breach
from aiconform.spec.model import Requirement
from aiconform.spec.standard import Standard
from aiconform.spec.validation import validated
from aiconform.spec.words import FileModel, Id, Level, Version
from aiconform.spec.yamlfile import read

NAME = "frozen.yaml"
HEAD = """\
# What each version asks of a platform: the level of each requirement, and the lines that the programme asks for.
# `aiconform spec freeze` writes a version that is not released yet; `aiconform spec check` compares the released ones.
"""


class Asked(FileModel):
    """What one version asks of one requirement: its level, and the ids of the programme's lines, sorted."""

    level: Level
    lines: tuple[Id, ...]


Record = dict[Version, dict[Id, Asked]]


class CannotFreeze(SpecError):
    """The version is released already, or the record cannot be written."""


def record_of(standard: Standard, version: str) -> dict[str, Asked]:
    """What `version` asks, by requirement."""
    return {
        requirement.id: Asked(
            level=requirement.levels[version], lines=tuple(sorted(requirement.programme_lines(version)))
        )
        for requirement in sorted(standard.at(version), key=lambda requirement: requirement.id)
    }


def frozen(path: Path) -> Record:
    """The record in a file; empty if there is none. Raises MalformedFile."""
    record: Record = validated(read(path), Record) if path.exists() else {}
    return record


def freeze(standard: Standard, wanted: str, path: Path) -> None:
    """Write what a version asks into the record. Raises UnknownVersion, MalformedFile, CannotFreeze."""
    release = standard.release(wanted)
    if release.released:
        raise CannotFreeze(
            f"{release.version} is released, so its record stays as it is. If the record itself is wrong, correct "
            f"{path} by hand, in a change of its own that says why"
        )
    record = {**frozen(path), release.version: record_of(standard, release.version)}
    try:
        path.write_text(text_of(record), encoding="utf-8")
    except OSError as error:
        raise CannotFreeze(f"cannot write {path}: {error.strerror}") from error


def text_of(record: Record) -> str:
    """The record as a file's text."""
    lines = [HEAD]
    for version, requirements in record.items():
        lines.append(f"{version}:\n")
        for id_, asked in requirements.items():
            lines.append(f"  {id_}:\n    level: {asked.level}\n    lines:")
            lines.append("".join(f"\n      - {line}" for line in asked.lines) + "\n" if asked.lines else " []\n")
    return "".join(lines)


def unrecorded(standard: Standard, record: Record) -> list[str]:
    """Released versions that are not in the record."""
    return [release.version for release in standard.releases if release.released and release.version not in record]


def differences(standard: Standard, record: Record) -> list[Breach]:
    """Where the files ask something else of a released version than the record says."""
    found: list[Breach] = []
    for version in (release.version for release in standard.releases if release.released):
        now, then = record_of(standard, version), record.get(version)
        for requirement in standard.requirements if then is not None else ():
            found += _compared(requirement, version, now.get(requirement.id), (then or {}).get(requirement.id))
    return found


def _compared(requirement: Requirement, version: str, now: Asked | None, then: Asked | None) -> Iterator[Breach]:
    if (now and now.level) != (then and then.level):
        yield Breach(
            requirement.id,
            ("levels", version),
            f"{f'is {now.level}' if now else 'is not listed'} at {version}, "
            f"which was frozen with {f'it as {then.level}' if then else 'no such requirement'}",
            "levels of a released version stay; write the change at a later version",
        )
    lines_now = set(now.lines if now else ())
    lines_then = set(then.lines if then else ())
    for id_ in sorted(lines_now - lines_then):
        yield Breach(
            requirement.id,
            _place(requirement, id_),
            f"has {id_} as a line that the programme asks for at {version}, with which it was not frozen",
            "name a version that is not released yet in the line's `programme`, or remove that key",
        )
    for id_ in sorted(lines_then - lines_now):
        yield Breach(
            requirement.id,
            _place(requirement, id_),
            f"no longer has {id_} as a line that the programme asks for at {version}, with which it was frozen",
            "restore the line's id and its `programme`; an id stays when the text is reworded",
        )


def _place(requirement: Requirement, line: str) -> tuple[str | int, ...]:
    for index, step in enumerate(requirement.procedure.steps):
        for position, each in enumerate(step.holds):
            if each.id == line:
                return ("procedure", "steps", index, "holds", position)
    return ("procedure", "steps")
