"""Submissions side by side, by requirement, and the changes between two submissions of one product."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiconform.certify.grades import GRADE_WORDS, GRADES, NOT_CLAIMED
from aiconform.certify.registry.lives import span
from aiconform.certify.rules.runs import latest
from aiconform.certify.submission import METADATA
from aiconform.certify.validate import Validated
from aiconform.reports.plain import plain, shortened
from aiconform.reports.summary import counted

WORDS = {True: "holds", False: "broken", None: "undecided"}


class CannotCompare(Exception):
    """There are fewer than two submissions that can be read."""


@dataclass(frozen=True)
class Cell:
    """One submission on one requirement. level, status and grade are None where its checklist does not have it."""

    level: str | None
    status: str | None
    grade: str | None
    evidence: tuple[str, ...] = ()
    notes: str = ""

    def as_data(self) -> dict[str, Any]:
        return {"level": self.level, "status": self.status, "grade": self.grade, "evidence": list(self.evidence)}


@dataclass(frozen=True)
class Comparison:
    """rows: requirement -> a cell for each submission. changes: for two submissions of one product, else None.

    lives: of each submission its dated record, as `registry.lives` has it.
    """

    submissions: tuple[Validated, ...]
    lives: tuple[Mapping[str, Any], ...]
    names: tuple[str, ...]
    rows: dict[str, tuple[Cell, ...]]
    changes: tuple[dict[str, Any], ...] | None

    def as_data(self) -> dict[str, Any]:
        return {
            "submissions": [
                {
                    "name": name,
                    "path": each.path.as_posix(),
                    "version": each.version,
                    "valid": each.valid,
                    **{key: life[key] for key in ("slug", "platform", "state", "accepted", "expires")},
                }
                for name, each, life in zip(self.names, self.submissions, self.lives, strict=True)
            ],
            "requirements": {id_: [cell.as_data() for cell in cells] for id_, cells in self.rows.items()},
            "changes": None if self.changes is None else list(self.changes),
        }


def compare(submissions: Sequence[Validated], life_of: Callable[[Path], Mapping[str, Any]]) -> Comparison:
    """In the order given. life_of: the dated record of a product's folder. Raises CannotCompare."""
    for each in submissions:
        if each.examined is None:
            reason = each.errors[0].message if each.errors else "it cannot be read"
            raise CannotCompare(f"{each.path}: {reason}")
    if len(submissions) < 2:
        raise CannotCompare("name at least two submissions")
    names = tuple(each.examined.submission.product for each in submissions if each.examined)
    ids = dict.fromkeys(item.id for each in submissions if each.examined for item in each.examined.checklist.items)
    rows = {id_: tuple(_cell(each, id_) for each in submissions) for id_ in ids}
    one_product = len(submissions) == 2 and len({_product(each) for each in submissions}) == 1
    changes = tuple(_changes(submissions, rows)) if one_product else None
    lives = tuple(life_of(each.path.parent) for each in submissions)
    return Comparison(tuple(submissions), lives, names, rows, changes)


def _product(each: Validated) -> str:
    return each.examined.submission.folder.name.lower() if each.examined else ""


def _cell(each: Validated, requirement: str) -> Cell:
    examined = each.examined
    item = examined.checklist.item(requirement) if examined else None
    if examined is None or item is None:
        return Cell(None, None, None)
    answer = examined.answers.get(requirement)
    if answer is None:
        return Cell(item.level, None, NOT_CLAIMED)
    evidence = tuple(reference.text.strip() for reference in answer.given)
    notes = " ".join(answer.claim.notes.text.split())
    return Cell(item.level, answer.claim.status.text, each.grades[requirement], evidence, notes)


def _changes(submissions: Sequence[Validated], rows: dict[str, tuple[Cell, ...]]) -> Iterator[dict[str, Any]]:
    old, new = (each.examined.submission for each in submissions if each.examined)
    for name in METADATA:
        if old.value(name) != new.value(name):
            yield {"requirement": None, "what": name, "before": old.value(name), "after": new.value(name)}
    for requirement, (before, after) in rows.items():
        for what in ("level", "status", "grade", "notes"):
            one, other = getattr(before, what), getattr(after, what)
            if (one or None) != (other or None):
                yield {"requirement": requirement, "what": what, "before": one, "after": other}
        yield from _assertions(submissions, requirement)
        gone = [text for text in before.evidence if text not in after.evidence]
        come = [text for text in after.evidence if text not in before.evidence]
        if gone or come:
            yield {"requirement": requirement, "what": "evidence", "before": gone, "after": come}
        elif after.evidence and after.status:
            text = f"the same {counted(len(after.evidence), 'entry', 'entries')}"
            yield {"requirement": requirement, "what": "evidence unchanged", "before": text, "after": text}


def _assertions(submissions: Sequence[Validated], requirement: str) -> Iterator[dict[str, Any]]:
    """Assertions that came out differently in the newest runs of both submissions, named `check/assertion`."""
    runs = [latest(requirement, each.examined.runs.every()[0]) for each in submissions if each.examined]
    before, after = (run.assertions.get(requirement, {}) if run else {} for run in runs)
    for name in before:
        if name in after and before[name] != after[name]:
            yield {"requirement": requirement, "what": name, "before": WORDS[before[name]], "after": WORDS[after[name]]}


def lines(found: Comparison) -> Iterator[str]:
    """A table of status and grade, then the changes."""
    head = ["REQUIREMENT", *found.names]
    table = [head]
    for requirement, cells in found.rows.items():
        table.append([requirement, *(_shown(cell) for cell in cells)])
    proven = []
    for index in range(len(found.names)):
        grades = [cells[index].grade for cells in found.rows.values()]
        proven.append(", ".join(f"{grades.count(grade)} {grade}" for grade in GRADES if grades.count(grade)))
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for row in table:
        yield plain("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    yield ""
    for name, each, life, counts in zip(found.names, found.submissions, found.lives, proven, strict=True):
        about = life["platform"]
        title = f"{about['platformName']} {about['platformVersion']} by {about['vendorName']}"
        yield plain(f"{name}: {title}; {life['state'].replace('-', ' ')}, {span(life)}")
        yield plain(f"  {'valid' if each.valid else 'INVALID'} by the programme's rules; {counts or 'nothing claimed'}")
    shown = {cell.grade for cells in found.rows.values() for cell in cells}
    yield "In brackets is what shows a claim, best first:"
    yield from (f"  {grade}: {words}" for grade, words in GRADE_WORDS.items() if grade in shown)
    for change in found.changes or ():
        about = f"{change['requirement']}: " if change["requirement"] else ""
        if change["what"] == "evidence unchanged":
            yield plain(f"{about}evidence unchanged ({change['after']})")
        else:
            yield plain(f"{about}{change['what']}: {_brief(change['before'])} -> {_brief(change['after'])}")


def _shown(cell: Cell) -> str:
    if cell.level is None:
        return "-"
    if not cell.status:
        return f"{cell.level} blank"
    return f"{cell.level} {cell.status} ({cell.grade})"


def _brief(value: Any) -> str:
    text = ", ".join(value) if isinstance(value, list) else str(value if value not in (None, "") else "-")
    return shortened(text, 160)
