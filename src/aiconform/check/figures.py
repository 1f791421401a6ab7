"""Figures: what a check shows people of an observation, as plain data that reports draw.

A figure decides nothing, and is made of an observation alone: whoever has the files of a run can draw it again. It
lies beside the assertions, in `figures.py` of the check's room. Names and numbers in it may be a cluster's, of any
length and size: who draws it escapes, shortens and thins them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_type_hints

from aiconform.check.observation import Observation

Tone = Literal["good", "bad", "open", "soft", "quiet"]
"""How a part of a figure looks: as it should be, as it should not be, undecided, on its way, or none of these."""


@dataclass(frozen=True)
class Axis:
    """What an axis measures. Of a count the unit is empty. names: of the places 0, 1, ... without numbers."""

    name: str
    unit: str = ""
    names: tuple[str, ...] = ()


SECONDS = Axis("Time since the probe began to watch", "s")


@dataclass(frozen=True)
class Moment:
    """Something that happened at one time. `at`: on the axis of the figure."""

    name: str
    at: float


@dataclass(frozen=True)
class Curve:
    """points: (x, y) in the order of x; a y of None is a gap. steps: a value stays until the next one, or the gap.
    strong: it is what the figure is about."""

    name: str
    points: tuple[tuple[float, float | None], ...]
    steps: bool = False
    strong: bool = False


@dataclass(frozen=True)
class Threshold:
    """A value that curves are held against."""

    name: str
    value: float


@dataclass(frozen=True)
class Lines:
    """Curves over a common axis. `says`: what there is to see, in a sentence."""

    title: str
    says: str
    x: Axis
    y: Axis
    curves: tuple[Curve, ...]
    thresholds: tuple[Threshold, ...] = ()
    moments: tuple[Moment, ...] = ()


@dataclass(frozen=True)
class Span:
    """A part of a row: what it was from `begin` to `end`. tone: `quiet` for what only waits."""

    name: str
    begin: float
    end: float
    tone: Tone = "good"


@dataclass(frozen=True)
class Row:
    name: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Spans:
    """Rows of what was when. `says`: what there is to see, in a sentence."""

    title: str
    says: str
    x: Axis
    rows: tuple[Row, ...]
    moments: tuple[Moment, ...] = ()


@dataclass(frozen=True)
class Share:
    """A share that was counted, between 0 and 1. interval: what it may be, given how much was counted. agreeing: the
    shares that agree with the one that is expected."""

    name: str
    value: float
    interval: tuple[float, float]
    expected: float
    agreeing: tuple[float, float]


@dataclass(frozen=True)
class Shares:
    """Shares beside what is expected of them. `says`: what there is to see, in a sentence."""

    title: str
    says: str
    x: Axis
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class Cell:
    """`word` says it without the tone's colour."""

    word: str
    tone: Tone = "quiet"


@dataclass(frozen=True)
class Matrix:
    """A table whose cells say yes, no or open. rows: (name, a cell for each column). corner: what the rows are."""

    title: str
    says: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


Figure = Lines | Spans | Shares | Matrix


@dataclass(frozen=True)
class DeclaredFigure:
    """function: gives a text where there is nothing to draw: why. over: the observations that it is made of."""

    function: Callable[[Any], Figure | str]
    over: type[Observation]


F = TypeVar("F", bound=Callable[[Any], Figure | str])


def figure(function: F) -> F:
    """Declare a figure; the type of the function's one parameter says of which observations it is made.

    Where there is nothing to draw, the function returns the reason as a text that continues "not drawn: ".
    """
    (parameter,) = inspect.signature(function).parameters
    over = get_type_hints(function)[parameter]
    function.__figure__ = DeclaredFigure(function, over)  # type: ignore[attr-defined]
    return function
