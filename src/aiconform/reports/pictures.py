"""The figures of a check as drawings: its timeline, and what the check itself hands out of each observation.

A figure that cannot be made is left out and said so: half an observation, or one of another release, spoils no page.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiconform.check.figures import DeclaredFigure, Figure
from aiconform.check.registry import NoSuchCheck, load_check
from aiconform.engine.evidence import Evidence, Record
from aiconform.engine.times import Times
from aiconform.engine.verdicts import UnreadableEvidence, observation_of
from aiconform.reports import timeline
from aiconform.reports.drawing import CannotDraw, Drawing, draw
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
    own: list[tuple[str, Drawing]] = []
    left_out: list[str] = []
    more = 0
    seen = sorted((each for each in evidence.records if each.outcome == "seen"), key=lambda r: r.target not in first)
    wanted = [(record, each) for record in seen for each in _declared(evidence.check, record)]
    for record, each in wanted:
        if len(own) == MOST or len(left_out) == MOST:
            more += 1
            continue
        figure = _made(evidence.check, each, record)
        if isinstance(figure, str):
            left_out.append(f"Not drawn, of {shortened(record.target, 200)}: {shortened(figure, 300)}.")
        else:
            _draw(figure, record.target, own, left_out)
    if more:
        left_out.append(f"{more} more figures are not drawn; what was seen is below.")
    timed: list[tuple[str, Drawing]] = []
    if spans := timeline.of_check(evidence, times):
        _draw(spans, "", timed, left_out)
    elif evidence.records:
        left_out.append(UNTIMED)
    return Pictures((*timed, *own), tuple(left_out))


def run_timeline(evidence: Iterable[Evidence], times: Times) -> Drawing | None:
    """Every check of a run over its time; None where the journal does not say it."""
    figure = timeline.of_run({each.check: each for each in evidence}, times)
    try:
        return draw(figure) if figure else None
    except CannotDraw:
        return None


def _declared(check: str, record: Record) -> tuple[DeclaredFigure, ...]:
    """The figures of such an observation; none of a check that is not installed."""
    try:
        return tuple(each for each in load_check(check).figures if each.over.__name__ == record.observes)
    except NoSuchCheck:
        return ()


def _made(check: str, declared: DeclaredFigure, record: Record) -> Figure | str:
    """The figure of an observation, or why there is none: perhaps it is one that nobody thought of."""
    try:
        return declared.function(observation_of(load_check(check), record))
    except (UnreadableEvidence, *CAUSED_BY_CONTENT) as error:
        return f"{type(error).__name__}: {error}"


def _draw(figure: Figure, target: str, drawn: list[tuple[str, Drawing]], left_out: list[str]) -> None:
    try:
        drawn.append((target, draw(figure)))
    except CannotDraw as error:
        where = f" of {shortened(target, 200)}" if target else ""
        left_out.append(f"Not drawn: {figure.title}{where}: {error}.")
