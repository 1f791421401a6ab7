"""The submissions that are validated together, indexed for what can only be found by comparing them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path

from aiconform.certify.examined import Examined
from aiconform.certify.runs import JudgedRun
from aiconform.certify.submission import Claim

WINDOW = 6  # words
SHORTEST = 12  # words; shorter notes are too common to be copied


@dataclass(frozen=True)
class Notes:
    """The notes of one claim, as the set of their windows: sequences of WINDOW words, hashed."""

    examined: Examined
    claim: Claim
    windows: frozenset[int]


class NotesIndex:
    """All notes about one requirement."""

    def __init__(self, notes: Sequence[Notes]) -> None:
        self._by_submission = {each.examined: each for each in notes}
        self._order = {each.examined: number for number, each in enumerate(notes)}
        self._having: dict[int, list[Notes]] = defaultdict(list)
        for each in notes:
            for window in each.windows:
                self._having[window].append(each)

    def of(self, examined: Examined) -> Notes | None:
        return self._by_submission.get(examined)

    def alike(self, one: Notes) -> list[tuple[Notes, int]]:
        """The notes that share windows with `one`, itself included, and how many they share; in the corpus' order."""
        shared = Counter(other.examined for window in one.windows for other in self._having[window])
        return [(self._by_submission[each], shared[each]) for each in sorted(shared, key=self._order.__getitem__)]


class Corpus:
    """Submissions, in the order given."""

    def __init__(self, every: Sequence[Examined]) -> None:
        self._every = tuple(every)

    def previous(self, examined: Examined) -> Examined | None:
        """The submission of the same product for the version before, among those of the corpus."""
        return self._previous.get(examined)

    def notes(self, requirement: str) -> NotesIndex:
        return self._notes.get(requirement) or NotesIndex(())

    def sharing(self, marks: Iterable[str]) -> list[tuple[Examined, JudgedRun]]:
        """The runs of the corpus that have one of these marks, with the submissions that contain them."""
        known = [each for mark in marks for each in self._runs.get(mark, ())]
        return list({theirs.folder: (other, theirs) for other, theirs in known}.values())

    @cached_property
    def _runs(self) -> Mapping[str, list[tuple[Examined, JudgedRun]]]:
        found: dict[str, list[tuple[Examined, JudgedRun]]] = defaultdict(list)
        for examined in self._every:
            for run in examined.runs.every()[0]:
                for mark in run.marks:
                    found[mark].append((examined, run))
        return found

    @cached_property
    def _notes(self) -> Mapping[str, NotesIndex]:
        found: dict[str, list[Notes]] = defaultdict(list)
        for examined in self._every:
            for requirement, answer in examined.answers.items():
                windows = _windows(answer.claim.notes.text) - _windows(answer.claim.description.text)
                if windows:
                    found[requirement].append(Notes(examined, answer.claim, windows))
        return {requirement: NotesIndex(notes) for requirement, notes in found.items()}

    @cached_property
    def _previous(self) -> dict[Examined, Examined]:
        by_product: dict[tuple[Path, str], list[Examined]] = defaultdict(list)
        for examined in self._every:
            folder = examined.submission.folder
            by_product[folder.parent.parent, folder.name.lower()].append(examined)
        found: dict[Examined, Examined] = {}
        for versions in by_product.values():
            versions.sort(key=lambda each: minor(each.submission.version))
            found |= {new: old for old, new in pairwise(versions)}
        return found


@lru_cache(maxsize=20_000)
def _windows(text: str) -> frozenset[int]:
    words = re.findall(r"\w+", re.sub(r"https?://\S+", " ", text.lower()))
    if len(words) < SHORTEST:
        return frozenset()
    return frozenset(hash(tuple(words[i : i + WINDOW])) for i in range(len(words) - WINDOW + 1))


def minor(version: str | None) -> int:
    return int(version.rpartition(".")[2]) if version else -1
