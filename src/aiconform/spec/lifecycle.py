"""The rules by which a requirement lives, as functions that return what breaks them.

Sources: the programme's process (https://github.com/kubernetes-sigs/ai-conformance: a requirement starts as SHOULD and
graduates to MUST; from v1.37 a new one needs an automated test) and docs/process.md of this project.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiconform.spec.model import Requirement, version_key
from aiconform.spec.scaffold import PLACEHOLDER
from aiconform.spec.standard import Standard
from aiconform.spec.words import EventKind, Level, Stage

# v1.34 was the first list, and v1.33 was added after it: what is on them entered together.
FOUNDING = ("v1.33", "v1.34")
ORDER = (Level.SHOULD, Level.MUST, Level.FOLDED)


@dataclass(frozen=True)
class Breach:
    """A rule that a requirement breaks: where in its file, what is wrong, and how to correct it."""

    requirement: str
    where: tuple[str | int, ...]
    problem: str
    help: str


def breaches(standard: Standard) -> list[Breach]:
    """Every broken rule, in the order of the requirements."""
    return [
        breach
        for requirement in standard.requirements
        for rule in (
            _written,
            _versions,
            _steps,
            _stage,
            _proposed_first,
            _history_agrees,
            _dates,
            _complete,
            _lines,
            _related,
        )
        for breach in rule(requirement, standard)
    ]


def unwritten(requirement: Requirement) -> Iterator[Breach]:
    """What is left of the scaffold."""
    for where, text in _texts(requirement.model_dump(mode="json"), ()):
        if PLACEHOLDER in text:
            yield Breach(
                requirement.id, where, f"still says {PLACEHOLDER!r}", "write it, or take the optional key away"
            )


def _written(requirement: Requirement, standard: Standard) -> Iterator[Breach]:
    """Nothing is left of the scaffold."""
    return unwritten(requirement)


def _texts(value: Any, where: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(part, (*where, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _texts(part, (*where, index))


def _versions(requirement: Requirement, standard: Standard) -> Iterator[Breach]:
    """Levels are given for versions that exist, without a gap up to the newest one."""
    for version in requirement.levels:
        if version not in standard.versions:
            yield Breach(
                requirement.id,
                ("levels", version),
                f"gives a level for {version}, of which the standard knows nothing",
                f"use one of {', '.join(standard.versions)}",
            )
    known = [version for version in standard.versions if version in requirement.levels]
    if known:
        for version in standard.versions[standard.versions.index(known[0]) :]:
            if version not in requirement.levels:
                yield Breach(
                    requirement.id,
                    ("levels",),
                    f"has no level for {version}, though one for {known[0]}",
                    "a requirement stays listed until it is folded; write the level of every version",
                )


def _steps(requirement: Requirement, standard: Standard) -> Iterator[Breach]:
    """Levels only rise, by one step at a time."""
    levels = levels_in_order(requirement)
    for (_, before), (version, after) in itertools.pairwise(levels):
        step = ORDER.index(after) - ORDER.index(before)
        if step < 0 or step > 1:
            yield Breach(
                requirement.id,
                ("levels", version),
                f"goes from {before} to {after} in {version}",
                "levels go SHOULD, MUST, folded; a step back or over one is not part of the process",
            )


def _stage(requirement: Requirement, standard: Standard) -> Iterator[Breach]:
    """The stage is the level at the newest released version."""
    level = requirement.level_at(standard.newest)
    stage = Stage(level) if level else Stage.PROPOSED
    if requirement.stage != stage:
        yield Breach(
            requirement.id,
            ("stage",),
            f"is at the stage {requirement.stage}, but its level at {standard.newest} makes it {stage}",
            f"write `stage: {stage}`, or correct the levels",
        )


def _proposed_first(requirement: Requirement, standard: Standard) -> Iterator[Breach]:
    """Nothing enters above SHOULD without having been proposed; after the founding lists all enter as SHOULD."""
    first = requirement.history[0]
    if first.event != EventKind.PROPOSED:
        yield Breach(
            requirement.id,
            ("history", 0),
            f"begins with {first.event}",
            "a requirement is proposed first; write when and where",
        )
    levels = levels_in_order(requirement)
    if not levels:
        return
    version, level = levels[0]
    if level == Level.FOLDED:
        yield Breach(requirement.id, ("levels", version), "enters as folded", "only a MUST can be folded")
    elif level == Level.MUST and version not in FOUNDING:
        yield Breach(
            requirement.id,
            ("levels", version),
            f"enters {version} as a MUST",
            "a requirement enters as SHOULD and is promoted in a later version",
        )
    elif level == Level.MUST and not first.sources:
        yield Breach(
            requirement.id,
            ("history", 0),
            "enters as a MUST without a source for its proposal",
            "say where it was proposed",
        )


def _history_agrees(requirement: Requirement, standard: Standard) -> Iterator[Breach]:
    """Each change of level is in the history, and the history tells of no other."""
    due: set[tuple[EventKind, str | None]] = set()
    levels = levels_in_order(requirement)
    released = {release.version: release.released for release in standard.releases}
    for position, (version, level) in enumerate(levels):
        if position and level == levels[position - 1][1]:
            continue
        if not released.get(version, True):
            kind = EventKind.ANNOUNCED
        elif position == 0:
            kind = EventKind.ENTERED
        else:
            kind = EventKind.FOLDED if level == Level.FOLDED else EventKind.PROMOTED
        due.add((kind, version))
    kinds = {EventKind.ENTERED, EventKind.PROMOTED, EventKind.FOLDED, EventKind.ANNOUNCED}
    told = {
        (event.event, event.version): index for index, event in enumerate(requirement.history) if event.event in kinds
    }
    for kind, when in sorted(due - told.keys(), key=str):
        yield Breach(
            requirement.id,
            ("history",),
            f"does not tell that it was {kind} in {when}",
            f"add `- event: {kind}` with `version: {when}`",
        )
    for kind, when in sorted(told.keys() - due, key=str):
        yield Breach(
            requirement.id,
            ("history", told[kind, when]),
            f"tells that it was {kind} in {when}, which its levels do not show",
            "correct the levels or the history",
        )
    reworded = {event.version for event in requirement.history if event.event == EventKind.REWORDED}
    for index, wording in enumerate(requirement.earlier):
        later = [v for v in standard.versions if version_key(v) > version_key(wording.through)]
        if later and later[0] not in reworded:
            yield Breach(
                requirement.id,
                ("earlier", index),
                f"had another wording through {wording.through}, but no event says that {later[0]} changed it",
                f"add `- event: reworded` with `version: {later[0]}`",
            )


def _dates(requirement: Requirement, standard: Standard) -> Iterator[Breach]:
    """The history is in order: events with a date by date, events with a version by version."""
    dates = [(index, event.date) for index, event in enumerate(requirement.history) if event.date]
    for (_, before), (index, after) in itertools.pairwise(dates):
        if after < before:
            yield Breach(
                requirement.id, ("history", index), f"{after} comes after {before}", "put the oldest event first"
            )
    versions = [(index, event.version) for index, event in enumerate(requirement.history) if event.version]
    for (_, former), (index, later) in itertools.pairwise(versions):
        if version_key(later) < version_key(former):
            yield Breach(
                requirement.id, ("history", index), f"{later} comes after {former}", "put the oldest event first"
            )


def _complete(requirement: Requirement, standard: Standard) -> Iterator[Breach]:
    """What is on a list has a section of the checklist to be in."""
    if requirement.levels and requirement.category is None:
        yield Breach(requirement.id, ("levels",), "is on a list without a category", "name the checklist's section")


def _lines(requirement: Requirement, standard: Standard) -> Iterator[Breach]:
    """The programme asks for a line only in versions whose list has the requirement."""
    for index, step in enumerate(requirement.procedure.steps):
        for position, line in enumerate(step.holds):
            if line.programme and line.programme not in requirement.levels:
                yield Breach(
                    requirement.id,
                    ("procedure", "steps", index, "holds", position, "programme"),
                    f"says that {line.programme} asks for {line.id}, but is not on the list of that version",
                    f"use one of {', '.join(requirement.levels)}" if requirement.levels else "remove `programme`",
                )


def _related(requirement: Requirement, standard: Standard) -> Iterator[Breach]:
    """Related requirements exist, and are others. KAR numbers are used once."""
    for index, related in enumerate(requirement.related):
        if related.id == requirement.id or related.id not in standard.ids:
            yield Breach(
                requirement.id,
                ("related", index, "id"),
                f"is related to {related.id}, which is {'itself' if related.id == requirement.id else 'nowhere'}",
                "name another requirement of the standard",
            )
    for other in standard.requirements:
        if requirement.kar and other.kar == requirement.kar and other.id < requirement.id:
            yield Breach(
                requirement.id,
                ("kar",),
                f"has KAR number {requirement.kar}, as {other.id} has",
                "one KAR, one requirement",
            )


def levels_in_order(requirement: Requirement) -> list[tuple[str, Level]]:
    """(version, level), oldest first."""
    return sorted(requirement.levels.items(), key=lambda item: version_key(item[0]))


def disagreements(standard: Standard, version: str, checklist: dict[str, dict[str, str]]) -> list[str]:
    """Where the standard and a public checklist differ. checklist: category -> id -> level.

    Compares ids, categories and levels in both directions; `folded` counts as not on the list.
    """
    theirs = {(category, id_): level for category, items in checklist.items() for id_, level in items.items()}
    ours = {
        (str(r.category), r.id): str(r.level_at(version))
        for r in standard.at(version)
        if r.level_at(version) != "folded"
    }
    return [
        f"{version} {category}/{id_}: the standard says {ours.get((category, id_), 'nothing')}, "
        f"the checklist {theirs.get((category, id_), 'nothing')}"
        for category, id_ in sorted(ours.keys() | theirs.keys())
        if ours.get((category, id_)) != theirs.get((category, id_))
    ]
