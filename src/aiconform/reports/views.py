"""What the page of a run shows of assertions and of records, in words and in bounds."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate

from aiconform.engine.evidence import AssertionResult, CheckResult, Record
from aiconform.reports.facts import requirement_of, served_lines
from aiconform.reports.plain import shortened
from aiconform.reports.summary import by_target, where

# Longer texts are cut, and the page says where the full text is.
REASON_LIMIT = 10_000
OBSERVATION_LIMIT = 60_000
CHECK_LIMIT = 1_000_000
"""So many characters of one check's observations: with `--every-node` it can have thousands."""
UNDECIDED = "Remove what kept it from being decided, then look again:"
MARKS = {True: ("pass", "holds"), False: ("fail", "broken"), None: ("error", "undecided")}


@dataclass(frozen=True)
class About:
    """What the standard says of a requirement: its statement, and why it matters; empty for one that is not known."""

    statement: str = ""
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class AssertionView:
    """`reasons`: (the target, what was found there); the target is empty where there was only one.

    where: on which of several targets it holds. anchor: what a link to it names, or "". lines: what the standard says
    must hold, and who asks for it. advice: what to do where nothing was decided; where it does not hold, the
    requirement's remedy says it.
    """

    anchor: str
    mark: str
    word: str
    id: str
    title: str
    where: str
    reasons: tuple[tuple[str, str], ...]
    subjects: int
    lines: tuple[tuple[str, str], ...] = ()
    advice: str = ""


@dataclass(frozen=True)
class RecordView:
    """`lines`: the observation as JSON; empty if nothing was observed. `cut`: how many lines are left out."""

    probe: str
    target: str
    outcome: str
    message: str
    seconds: float
    requests: int
    observes: str
    lines: tuple[str, ...]
    cut: int


def about(check: str) -> About:
    requirement = requirement_of(check)
    if requirement is None:
        return About()
    paragraphs = (" ".join(each.split()) for each in requirement.rationale.split("\n\n"))
    return About(" ".join(requirement.statement.split()), tuple(each for each in paragraphs if each))


def assertion_views(
    check: CheckResult, results: Sequence[AssertionResult], anchor: str, targets: Sequence[str]
) -> tuple[AssertionView, ...]:
    """anchor: of the check. targets: all that its probes looked at."""
    every = [result.id for result in check.assertions]
    return tuple(
        _assertion(check, result, f"{anchor}/{result.id}" if _linked(result.id, every) else "", targets)
        for result in results
    )


def _linked(id_: str, every: Sequence[str]) -> bool:
    """Whether a link can name it: it has an id of the usual form, and no other of a foreign report has the same."""
    return bool(re.fullmatch(r"[a-z0-9_]{1,80}", id_)) and every.count(id_) == 1


def _assertion(check: CheckResult, result: AssertionResult, anchor: str, targets: Sequence[str]) -> AssertionView:
    mark, word = MARKS[result.holds]
    return AssertionView(
        anchor=anchor,
        mark=mark,
        word=word,
        id=result.id,
        title=result.title,
        where=shortened(where(result), REASON_LIMIT),
        reasons=tuple((at, shortened(what, REASON_LIMIT)) for at, what in by_target(result.reason, targets)),
        subjects=result.subjects,
        lines=tuple((" ".join(line.text.split()), line.asked_by) for line in served_lines(check.id, result.id)),
        advice="" if result.holds is not None else f"{UNDECIDED} aiconform run {check.id}",
    )


def left_out_views(check: CheckResult) -> tuple[AssertionView, ...]:
    return tuple(
        AssertionView("", "not-applicable", "left out", "", id_, "", (("", shortened(why, REASON_LIMIT)),), 0)
        for id_, why in check.left_out.items()
    )


def record_views(records: Sequence[Record], first: Collection[str]) -> tuple[RecordView, ...]:
    """first: the targets whose observations are shown before there is no more room for those of others."""
    room = CHECK_LIMIT
    shown: dict[int, RecordView] = {}
    for number, record in sorted(enumerate(records), key=lambda each: each[1].target not in first):
        lines, left = _lines(record, min(OBSERVATION_LIMIT, room))
        room -= sum(map(len, lines))
        shown[number] = RecordView(
            probe=record.probe,
            target=record.target,
            outcome=record.outcome,
            message=shortened(record.message, REASON_LIMIT),
            seconds=record.seconds,
            requests=record.requests,
            observes=record.observes,
            lines=lines,
            cut=left,
        )
    return tuple(shown[number] for number in sorted(shown))


def _lines(record: Record, room: int) -> tuple[tuple[str, ...], int]:
    """(the lines of an observation that there is room for, how many others it has)."""
    if record.observation is None:
        return (), 0
    every = json.dumps(record.observation, indent=1, ensure_ascii=False).split("\n")
    lengths = accumulate(map(len, every))
    lines = tuple(line for line, length in zip(every, lengths, strict=True) if length <= room)
    return lines, len(every) - len(lines)
