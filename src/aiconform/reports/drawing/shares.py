"""Shares beside what is expected of them: a dot with its interval on the band that agrees."""

from __future__ import annotations

import math

from aiconform.check.figures import Axis, Share, Shares
from aiconform.reports.drawing.canvas import (
    LEFT,
    LINE,
    RIGHT,
    CannotDraw,
    Drawing,
    Scale,
    Values,
    measured,
    shown,
    time_axis,
)
from aiconform.reports.plain import shortened

MOST_ROWS = 40
MOST_VALUES = 200
_ROW = 44
_BAR = 16


def draw_shares(figure: Shares) -> Drawing:
    """Raises CannotDraw."""
    shares = [share for share in figure.shares if all(map(_is_share, _numbers(share)))]
    if not shares:
        raise CannotDraw("no share was recorded")
    axis = Axis(figure.x.name, "%")
    drawing = Drawing(figure.title, figure.says, f"Horizontal: {measured(axis)}.", _values(figure, shares))
    x = Scale(0, 100, LEFT, RIGHT)
    drawn = shares[:MOST_ROWS]
    bottom = len(drawn) * _ROW + 8
    time_axis(drawing, axis, x, 4, bottom)
    for number, share in enumerate(drawn):
        y = number * _ROW + LINE
        value, low, high, expected, least, most = (x(100 * each) for each in _numbers(share))
        drawing.text(LEFT, y - 4, share.name, "name")
        middle = y + 4 + _BAR / 2
        drawing.box(least, y + 4, most, _BAR, "band", f"agrees: {_percent(*share.agreeing)}")
        drawing.stroke(expected, y + 2, expected, y + 6 + _BAR, "expected")
        drawing.stroke(low, middle, high, middle, "interval")
        drawing.dot(value, middle, "dot observed")
    drawing.height = bottom + LINE + 4
    drawing.keys = [
        ("dot observed", "counted"),
        ("interval", "its confidence interval (95 %)"),
        ("expected", "declared"),
        ("band", "agrees with what is declared"),
    ]
    if len(shares) > MOST_ROWS:
        drawing.left_out.append(f"{len(shares) - MOST_ROWS} more rows are not drawn.")
    return drawing


def _numbers(share: Share) -> tuple[float, ...]:
    return (share.value, *share.interval, share.expected, *share.agreeing)


def _is_share(value: float) -> bool:
    return math.isfinite(value) and 0 <= value <= 1


def _percent(low: float, high: float) -> str:
    return f"{shown(100 * low)} to {shown(100 * high)} %"


def _values(figure: Shares, shares: list[Share]) -> Values:
    rows = tuple(
        (
            shortened(share.name, 300),
            f"{shown(100 * share.value)} %",
            _percent(*share.interval),
            f"{shown(100 * share.expected)} %",
            _percent(*share.agreeing),
        )
        for share in shares[:MOST_VALUES]
    )
    columns = (figure.x.name, "Counted", "Confidence interval (95 %)", "Declared", "Agrees")
    return Values(columns, rows, max(0, len(shares) - MOST_VALUES))
