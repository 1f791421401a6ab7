"""The figures of a check as drawings: its timeline, and what the check itself hands out of each observation.

A figure that cannot be made is left out and said so: half an observation, or one of another release, spoils no page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from aiconform.check.figures import DeclaredFigure, Figure
from aiconform.check.registry import NoSuchCheck, load_check
from aiconform.engine.evidence import Evidence, Record
from aiconform.engine.times import Times
from aiconform.engine.verdicts import observation_of
from aiconform.reports import timeline
from aiconform.reports.drawing import CannotDraw, Drawing, draw
from aiconform.reports.plain import shortened
from aiconform.untrusted import CAUSED_BY_CONTENT

MOST = 8
"""So many figures of one check are drawn; with `--every-node` there can be thousands."""
UNTIMED = "There is no timeline: the journal does not say when each probe worked."
_REASON_LIMIT = 300


@dataclass(frozen=True)
class Pictures:
    """drawn: (target, drawing); the target is empty for what is about the whole check. left_out: what is not drawn,
    and why, in sentences."""

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
        match _attempted(
            f"Not drawn, of {shortened(record.target, 200)}", partial(_made, evidence.check, each, record)
        ):
            case Drawing() as drawing:
                own.append((record.target, drawing))
            case str() as reason:
                left_out.append(reason)
    if more:
        left_out.append(f"{more} more figures are not drawn; what was seen is below.")
    timed = _timeline(partial(timeline.of_check, evidence, times))
    if timed == Pictures() and evidence.records:
        left_out.append(UNTIMED)
    return Pictures((*timed.drawn, *own), (*left_out, *timed.left_out))


def run_timeline(evidence: Iterable[Evidence], times: Times) -> Pictures:
    """Every check of a run over its time; empty where the journal does not say it."""
    return _timeline(partial(timeline.of_run, {each.check: each for each in evidence}, times))


def _timeline(make: Callable[[], Figure | None]) -> Pictures:
    match _attempted("There is no timeline", make):
        case Drawing() as drawing:
            return Pictures((("", drawing),))
        case str() as reason:
            return Pictures(left_out=(reason,))
        case None:
            return Pictures()


def _declared(check: str, record: Record) -> tuple[DeclaredFigure, ...]:
    """The figures of such an observation; none of a check that is not installed."""
    try:
        return tuple(each for each in load_check(check).figures if each.over.__name__ == record.observes)
    except NoSuchCheck:
        return ()


def _made(check: str, declared: DeclaredFigure, record: Record) -> Figure | str:
    """The figure of an observation, or why there is none. Raises CannotDraw for what is neither."""
    made: object = declared.function(observation_of(load_check(check), record))
    if not isinstance(made, Figure | str):
        raise CannotDraw(f"{declared.function.__name__} hands out {made!r:.100}, which is no figure")
    return made


def _attempted(lead: str, make: Callable[[], Figure | str | None]) -> Drawing | str | None:
    """What is drawn, or why nothing is: perhaps the content is one that nobody thought of. `lead` begins the reason."""
    figure: Figure | str | None = None
    try:
        figure = make()
        if figure is None:
            return None
        if not isinstance(figure, str):
            return draw(figure)
        reason = figure
    except CannotDraw as error:
        reason = str(error)
    except CAUSED_BY_CONTENT as error:
        reason = f"{type(error).__name__}: {error}"
    title = f"{figure.title}: " if isinstance(figure, Figure) else ""
    return f"{lead}: {shortened(title + reason, _REASON_LIMIT)}."
