"""Rules that compare submissions: notes copied from another vendor, evidence carried over from an earlier version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from aiconform.certify.context import Context
from aiconform.certify.corpus import Notes, minor
from aiconform.certify.examined import Answer, Examined
from aiconform.certify.findings import Problem, Rule
from aiconform.reports.summary import counted
from aiconform.untrusted import Refused, digest

RULES = (
    Rule(
        "F-copied-notes",
        "warning",
        "Notes are the vendor's own",
        "describe what was done on this platform; another vendor's test of another platform shows nothing here",
    ),
    Rule(
        "F-carried-over",
        "warning",
        "Evidence is new for a new version",
        "repeat the procedure on this version: the evidence is that of the previous submission (`certify delta` says "
        "what may be carried over)",
    ),
)
COPIED = 0.6  # share of the shorter notes' windows that the other notes have as well


def check(context: Context) -> Iterator[Problem]:
    yield from _copied_notes(context)
    yield from _carried_over(context)


def _copied_notes(context: Context) -> Iterator[Problem]:
    for requirement in context.examined.answers:
        index = context.corpus.notes(requirement)
        one = index.of(context.examined)
        source, share = _source(one, index.alike(one)) if one else (None, 0.0)
        if one and source:
            other = source.examined.submission
            yield Problem(
                "F-copied-notes",
                one.claim.notes.line,
                f"{share:.0%} of the notes also stands in those of {other.product} ({other.value('vendorName')})",
                requirement,
            )


def _source(one: Notes, alike: list[tuple[Notes, int]]) -> tuple[Notes | None, float]:
    """The notes of another vendor, for this or an older version, that share most with `one`, if that is enough."""
    mine = one.examined
    best, share = None, 0.0
    for other, windows in alike:
        common = windows / min(len(one.windows), len(other.windows))
        if common < COPIED or common <= share:
            continue
        theirs = other.examined
        same_product = theirs.submission.folder.name == mine.submission.folder.name
        newer = minor(theirs.submission.version) > minor(mine.submission.version)
        if not (same_product or newer or _vendor(theirs) == _vendor(mine)):
            best, share = other, common
    return best, share


def _vendor(found: Examined) -> str:
    return re.sub(r"\W", "", found.submission.value("vendorName")).lower() or found.submission.folder.name


def _carried_over(context: Context) -> Iterator[Problem]:
    old = context.corpus.previous(context.examined)
    for requirement, answer in context.examined.answers.items() if old else ():
        before = old.answers.get(requirement) if old else None
        if old is None or before is None or not answer.given or not before.given:
            continue
        if _content(answer) == _content(before):
            yield Problem(
                "F-carried-over",
                answer.given[0].line,
                f"the evidence is that of {old.submission.product}, unchanged "
                f"({counted(len(answer.given), 'entry', 'entries')})",
                requirement,
            )


def _content(answer: Answer) -> frozenset[str]:
    """What the evidence is: links by their text, files by their content (an empty file equals no other)."""
    parts = set()
    for reference in answer.given:
        if reference.kind == "file" and reference.path and reference.path.is_file():
            parts.add(_digest(reference.path) + reference.fragment)
        else:
            parts.add(reference.text.strip() if reference.kind == "link" else f"{answer.claim.line}:{reference.text}")
    return frozenset(parts)


def _digest(path: Path) -> str:
    if not path.stat().st_size:
        return f"{path}: empty"
    try:
        return digest(path)
    except Refused:
        return f"{path}: not read"
