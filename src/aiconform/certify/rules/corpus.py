"""Findings that need other submissions beside: notes copied from another vendor, evidence carried over from before."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from aiconform.certify.evidence import Answer, Examined
from aiconform.certify.findings import Report, Rule
from aiconform.certify.submission import Claim

RULES = (
    Rule(
        "F-copied-notes",
        "warning",
        "Notes are the vendor's own",
        "describe what was done on this platform; what another vendor did on theirs shows nothing here",
    ),
    Rule(
        "F-carried-over",
        "warning",
        "Evidence is new for a new version",
        "repeat the procedure on this version; nothing of the evidence changed since the older submission",
    ),
)
WINDOW = 6  # words
SHORTEST = 12  # words of notes that can be copied at all
COPIED = 0.6  # share of the shorter notes' windows that the other one has


@dataclass(frozen=True)
class _Notes:
    index: int
    claim: Claim
    windows: frozenset[int]


def check(every: Sequence[tuple[Examined, Report]]) -> None:
    _copied_notes(every)
    _carried_over(every)


def _copied_notes(every: Sequence[tuple[Examined, Report]]) -> None:
    by_requirement: dict[str, list[_Notes]] = defaultdict(list)
    for index, (found, _) in enumerate(every):
        for requirement, answer in found.answers.items():
            windows = _windows(answer.claim.notes.text) - _windows(answer.claim.description.text)
            if windows:
                by_requirement[requirement].append(_Notes(index, answer.claim, windows))
    for requirement, notes in by_requirement.items():
        having: dict[int, list[int]] = defaultdict(list)
        for number, one in enumerate(notes):
            for window in one.windows:
                having[window].append(number)
        for one in notes:
            shared = Counter(number for window in one.windows for number in having[window])
            source, share = _most_alike(one, notes, shared, every)
            if source is not None:
                of = every[source.index][0].submission
                every[one.index][1].add(
                    "F-copied-notes",
                    one.claim.notes.line,
                    f"{share:.0%} of the notes is in those of {of.product} too ({of.value('vendorName')})",
                    requirement=requirement,
                )


def _most_alike(
    one: _Notes, notes: list[_Notes], shared: Counter[int], every: Sequence[tuple[Examined, Report]]
) -> tuple[_Notes | None, float]:
    """The notes of another vendor, of this or an older version, that share most with `one`, if it is enough."""
    mine = every[one.index][0]
    best, share = None, 0.0
    for number, windows in shared.items():
        other = notes[number]
        common = windows / min(len(one.windows), len(other.windows))
        if common < COPIED or common <= share:
            continue
        theirs = every[other.index][0]
        same_product = theirs.submission.folder.name == mine.submission.folder.name
        newer = _minor(theirs.submission.version) > _minor(mine.submission.version)
        if not (same_product or newer or _vendor(theirs) == _vendor(mine)):
            best, share = other, common
    return best, share


def _vendor(found: Examined) -> str:
    return re.sub(r"\W", "", found.submission.value("vendorName")).lower() or found.submission.folder.name


@lru_cache(maxsize=20_000)
def _windows(text: str) -> frozenset[int]:
    words = re.findall(r"\w+", re.sub(r"https?://\S+", " ", text.lower()))
    if len(words) < SHORTEST:
        return frozenset()
    return frozenset(hash(tuple(words[i : i + WINDOW])) for i in range(len(words) - WINDOW + 1))


def _minor(version: str | None) -> int:
    return int(version.rpartition(".")[2]) if version else -1


def _carried_over(every: Sequence[tuple[Examined, Report]]) -> None:
    by_product: dict[tuple[Path, str], list[tuple[Examined, Report]]] = defaultdict(list)
    for found, report in every:
        folder = found.submission.folder
        by_product[folder.parent.parent, folder.name.lower()].append((found, report))
    for versions in by_product.values():
        versions.sort(key=lambda pair: _minor(pair[0].submission.version))
        for (old, _), (new, report) in pairwise(versions):
            _compare(old, new, report)


def _compare(old: Examined, new: Examined, report: Report) -> None:
    for requirement, answer in new.answers.items():
        before = old.answers.get(requirement)
        if before is None or not answer.given or not before.given:
            continue
        if _content(answer) == _content(before):
            report.add(
                "F-carried-over",
                answer.given[0].line,
                f"the evidence is that of {old.submission.product}, unchanged ({len(answer.given)} entries)",
                requirement=requirement,
            )


def _content(answer: Answer) -> frozenset[str]:
    """What the evidence is: links as they read, files by their content (an empty one is like no other)."""
    parts = set()
    for reference in answer.given:
        if reference.kind == "file" and reference.path and reference.path.is_file():
            parts.add(_digest(reference.path) + reference.fragment)
        else:
            parts.add(reference.text.strip() if reference.kind == "link" else f"{answer.claim.line}:{reference.text}")
    return frozenset(parts)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return found if path.stat().st_size else f"{path}: empty"
