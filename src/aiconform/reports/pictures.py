"""The figures of a check as drawings: its timeline, and what the check itself hands out of each observation.

A figure that cannot be made is left out and said so: half an observation, or one of another release, spoils no page.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiconform.check import Check
from aiconform.check.figures import DeclaredFigure, Figure
from aiconform.check.registry import NoSuchCheck, load_check
from aiconform.engine.evidence import Evidence, Record
from aiconform.engine.times import Times
from aiconform.engine.verdicts import UnreadableEvidence, observation_of
from aiconform.reports import timeline
from aiconform.reports.drawing import Drawing, draw
from aiconform.reports.drawing.canvas import CannotDraw
from aiconform.reports.plain import shortened
from aiconform.untrusted import CAUSED_BY_CONTENT

MOST = 8
"""So many figures of one check are drawn; with `--every-node` there can be thousands."""
UNTIMED = "There is no timeline: the journal does not say when each probe worked."


@dataclass(frozen=True)
class Pictures:
    """drawn: (target, drawing); the target is empty for what is about the whole check. left_out: what is not drawn,
    and why."""

    drawn: tuple[tuple[str, Drawing], ...] = ()
    left_out: tuple[str, ...] = ()


def pictures(evidence: Evidence, times: Times, first: frozenset[str] = frozenset()) -> Pictures:
    """first: the targets whose figures are drawn first, if there are too many for all."""
    drawn: list[tuple[str, Drawing]] = []
    left_out: list[str] = []
    if spans := timeline.of_check(evidence, times):
        _draw(spans, "", drawn, left_out)
    elif evidence.records:
        left_out.append(UNTIMED)
    records = sorted((r for r in evidence.records if r.outcome == "seen"), key=lambda r: r.target not in first)
    declared = _declared(evidence.check)
    more = 0
    for record, each in ((record, each) for record in records for each in (declared.figures if declared else ())):
        if each.over.__name__ != record.observes or declared is None:
            continue
        if len(drawn) > MOST:
            more += 1
            continue
        try:
            figure = _made(declared, each, record)
        except UnreadableEvidence as error:
            left_out.append(f"Not drawn: {shortened(str(error), 300)}")
            continue
        if figure:
            _draw(figure, record.target, drawn, left_out)
    if more:
        left_out.append(f"{more} more figures are not drawn; what was seen is below.")
    return Pictures(tuple(drawn), tuple(dict.fromkeys(left_out)))


def run_timeline(evidence: Iterable[Evidence], times: Times) -> Drawing | None:
    """Every check of a run over its time; None where the journal does not say it."""
    figure = timeline.of_run({each.check: each for each in evidence}, times)
    try:
        return draw(figure) if figure else None
    except CannotDraw:
        return None


def _declared(check: str) -> Check | None:
    try:
        return load_check(check)
    except NoSuchCheck:
        return None


def _made(check: Check, declared: DeclaredFigure, record: Record) -> Figure | None:
    """Raises UnreadableEvidence, also for an observation that the figure was not made for."""
    try:
        return declared.function(observation_of(check, record))
    except UnreadableEvidence:
        raise
    except CAUSED_BY_CONTENT as error:
        raise UnreadableEvidence(f"the {record.observes} of {record.target}: {error!r:.200}") from error


def _draw(figure: Figure, target: str, drawn: list[tuple[str, Drawing]], left_out: list[str]) -> None:
    try:
        drawn.append((target, draw(figure)))
    except CannotDraw as error:
        where = f" of {shortened(target, 200)}" if target else ""
        left_out.append(f"Not drawn: {figure.title}{where}: {error}.")
