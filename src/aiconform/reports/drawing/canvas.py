"""What a drawing consists of, and where things are on it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from aiconform.check.figures import Axis, Moment
from aiconform.reports.plain import shortened

Anchor = Literal["start", "middle", "end"]
LEFT, RIGHT = 1.0, 99.0
"""Where the horizontal axis begins and ends, in percent of the width."""
LINE = 17
"""The height of a line of text, in pixels."""
LABEL_LIMIT = 48
MOST_MOMENTS = 12


class CannotDraw(ValueError):
    """A figure has nothing that can be drawn; the text says why."""


@dataclass(frozen=True)
class Stroke:
    x1: str
    y1: str
    x2: str
    y2: str
    look: str


@dataclass(frozen=True)
class Box:
    x: str
    y: str
    width: str
    height: str
    look: str
    name: str = ""


@dataclass(frozen=True)
class Dot:
    x: str
    y: str
    look: str


@dataclass(frozen=True)
class Words:
    x: str
    y: str
    anchor: Anchor
    look: str
    text: str


@dataclass(frozen=True)
class Way:
    """A line through points: horizontally parts of a thousand between LEFT and RIGHT."""

    points: str
    look: str


@dataclass(frozen=True)
class Grid:
    """A matrix as a table, which needs no picture to be looked at. rows: (name, [(tone, word)]); corner: what the rows
    are."""

    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class Values:
    """The table of what is drawn. left_out: how many rows it does not show."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0


@dataclass
class Drawing:
    """height: in pixels. keys: (look, name) of what a legend explains. axes: what is on them, in words.
    left_out: what is not drawn, in words. matrix: instead of all that lies on the canvas."""

    title: str
    says: str
    axes: str
    values: Values
    height: int = 0
    grid: list[Stroke] = field(default_factory=list)
    strokes: list[Stroke] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    texts: list[Words] = field(default_factory=list)
    ways: list[Way] = field(default_factory=list)
    keys: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    matrix: Grid | None = None

    def stroke(self, x1: float, y1: float, x2: float, y2: float, look: str) -> None:
        drawn = Stroke(percent(x1), pixel(y1), percent(x2), pixel(y2), look)
        (self.grid if look == "grid" else self.strokes).append(drawn)

    def box(self, x1: float, y: float, x2: float, height: float, look: str, name: str = "") -> None:
        self.boxes.append(Box(percent(x1), pixel(y), percent(max(0.15, x2 - x1)), pixel(height), look, name))

    def dot(self, x: float, y: float, look: str) -> None:
        self.dots.append(Dot(percent(x), pixel(y), look))

    def text(self, x: float, y: float, text: str, look: str = "", anchor: Anchor = "start") -> None:
        self.texts.append(Words(percent(x), pixel(y), anchor, look, label(text)))


@dataclass(frozen=True)
class Scale:
    """Where the values of an axis are, from `low` to `high`."""

    low: float
    high: float
    at_low: float
    at_high: float

    def __call__(self, value: float) -> float:
        part = (min(self.high, max(self.low, value)) - self.low) / (self.high - self.low)
        return self.at_low + part * (self.at_high - self.at_low)

    def ticks(self, most: int) -> list[float]:
        """Round values on the axis, at most so many."""
        width = self.high - self.low
        step = 10 ** math.floor(math.log10(width / most))
        step *= next((each for each in (1, 2, 2.5, 5) if width / (step * each) <= most - 1), 10)
        first = math.ceil(self.low / step - 1e-9)
        return [number * step for number in range(first, first + most) if number * step <= self.high + 1e-9 * width]


def scale(values: Iterable[float], at_low: float, at_high: float, *, zero: bool = True) -> Scale:
    """An axis that has all these values, and zero. Raises CannotDraw for none, or for what no axis can hold."""
    every = [value for value in values if math.isfinite(value)]
    if not every:
        raise CannotDraw("no value was recorded")
    low, high = min(every), max(every)
    if zero:
        low, high = min(0.0, low), max(0.0, high)
    if high - low > 1e15 or max(abs(low), abs(high)) > 1e15:
        raise CannotDraw("its values are beyond any axis")
    if high - low < 1e-9 * max(1.0, abs(high)):
        high = low + 1
    return Scale(low, high, at_low, at_high)


def time_scale(axis: Axis, values: Iterable[float]) -> Scale:
    """The horizontal axis that has all these values, and each place that has a name. Raises CannotDraw, as `scale`."""
    return scale([*values, *range(len(axis.names))], LEFT, RIGHT)


def time_axis(drawing: Drawing, axis: Axis, x: Scale, top: float, bottom: float) -> None:
    """The horizontal axis at `bottom`, with faint lines up to `top`."""
    drawing.stroke(LEFT, bottom, RIGHT, bottom, "axis")
    ticks = [float(place) for place in range(len(axis.names))] or x.ticks(6)
    for number, tick in enumerate(ticks):
        at = x(tick)
        anchor: Anchor = "start" if at < LEFT + 2 else "end" if at > RIGHT - 3 else "middle"
        drawing.stroke(at, top, at, bottom, "grid")
        unit = f" {axis.unit}" if axis.unit and number == len(ticks) - 1 else ""
        drawing.text(at, bottom + LINE - 2, axis.names[number] if axis.names else shown(tick) + unit, "tick", anchor)


def moments_room(moments: tuple[Moment, ...]) -> int:
    """How much height the names of moments take, in pixels."""
    return LINE * min(MOST_MOMENTS, len(moments))


def mark_moments(drawing: Drawing, moments: tuple[Moment, ...], x: Scale, bottom: float) -> None:
    """A line for each moment, with its name on a line of its own at the top, so that no two names meet."""
    for number, moment in enumerate(moments[:MOST_MOMENTS]):
        at, y = x(moment.at), LINE * (number + 1)
        left = at > (LEFT + RIGHT) / 2
        drawing.stroke(at, y - 9, at, bottom, "moment")
        drawing.text(at + (-0.6 if left else 0.6), y - 4, moment.name, "moment", "end" if left else "start")
    if len(moments) > MOST_MOMENTS:
        drawing.left_out.append(f"{len(moments) - MOST_MOMENTS} moments are not drawn.")


def shown(value: float) -> str:
    """A number for people: at most four digits that count."""
    if not math.isfinite(value):
        return "none"
    if value and abs(value) < 1e-9:
        return "0"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return "0" if text == "-0" else text


def label(text: str) -> str:
    """A name in a drawing: of a long one the middle is left out, as the names of Pods differ at their ends."""
    text = shortened(text, 5_000)
    if len(text) <= LABEL_LIMIT:
        return text
    half = LABEL_LIMIT // 2 - 1
    return f"{text[:half]} … {text[-half:]}"


def place_of(axis: Axis, value: float) -> str:
    """A place on an axis for people: its name, or the number."""
    named = math.isfinite(value) and value == int(value) and 0 <= value < len(axis.names)
    return axis.names[int(value)] if named else shown(value)


def measured(axis: Axis) -> str:
    return f"{label(axis.name)} ({axis.unit})" if axis.unit else label(axis.name)


def percent(value: float) -> str:
    return f"{value:.2f}%"


def pixel(value: float) -> str:
    return f"{value:.1f}"
