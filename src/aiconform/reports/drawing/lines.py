"""Curves over a common axis, with thresholds and moments.

The curves lie on a canvas of their own that is stretched to the width, as points have no percentages.
"""

from __future__ import annotations

import math
from itertools import chain

from aiconform.check.figures import Curve, Lines
from aiconform.reports.drawing.canvas import (
    LEFT,
    LINE,
    RIGHT,
    CannotDraw,
    Drawing,
    Scale,
    Values,
    Way,
    label,
    mark_moments,
    measured,
    moments_room,
    place_of,
    scale,
    shown,
    time_axis,
    time_scale,
)
from aiconform.reports.plain import shortened

MOST_CURVES = 12
MOST_POINTS = 400
MOST_VALUES = 200
LOOKS = 6
_HEIGHT = 190
_FEW = 12
_NEAR = 15
Point = tuple[float, float]


def draw_lines(figure: Lines) -> Drawing:
    """Raises CannotDraw."""
    curves = sorted(figure.curves, key=lambda curve: not curve.strong)[:MOST_CURVES]
    parts = {number: _parts(curve) for number, curve in enumerate(curves)}
    points = [point for several in parts.values() for part in several for point in part]
    if not points:
        raise CannotDraw("no value was recorded")
    moments = tuple(moment for moment in figure.moments if math.isfinite(moment.at))
    limits = [each for each in figure.thresholds if math.isfinite(each.value)]
    x = time_scale(figure.x, [at for at, _ in points] + [each.at for each in moments])
    top = moments_room(moments) + LINE
    bottom = top + _HEIGHT
    y = scale([value for _, value in points] + [each.value for each in limits], bottom, top)
    axes = f"Horizontal: {measured(figure.x)}. Vertical: {measured(figure.y)}."
    drawing = Drawing(figure.title, figure.says, axes, _values(figure))
    _value_axis(drawing, y, figure.y.unit)
    time_axis(drawing, figure.x, x, top, bottom)
    for number, curve in enumerate(curves):
        look = f"curve s{number % LOOKS + 1}" + (" strong" if curve.strong else "")
        for part in parts[number]:
            _draw_part(drawing, part, look, x, y, dots=not curve.steps)
        drawing.keys.append((look, label(curve.name)))
    used: list[float] = []
    for limit in sorted(limits, key=lambda each: -each.value):
        at = y(limit.value)
        drawing.stroke(LEFT, at, RIGHT, at, "threshold")
        crowded = any(abs(at - other) < _NEAR for other in used)
        drawing.text(RIGHT, at + (LINE - 4 if crowded else -4), limit.name, "threshold", "end")
        used.append(at)
    mark_moments(drawing, moments, x, bottom)
    drawing.height = bottom + LINE + 4
    if len(figure.curves) > MOST_CURVES:
        drawing.left_out.append(f"{len(figure.curves) - MOST_CURVES} more curves are not drawn.")
    if any(len(curve.points) > MOST_POINTS for curve in curves):
        drawing.left_out.append("Of many points, the lowest and the highest of each stretch are drawn.")
    return drawing


def _value_axis(drawing: Drawing, y: Scale, unit: str) -> None:
    """Its numbers lie on the plot: beside it, they would take a narrow page's width."""
    for tick in y.ticks(5):
        at = y(tick)
        drawing.stroke(LEFT, at, RIGHT, at, "grid")
        if abs(at - y.at_low) > 1:
            drawing.text(LEFT, at - 3, f"{shown(tick)} {unit}".strip(), "tick")


def _parts(curve: Curve) -> list[list[Point]]:
    """The stretches of a curve between its gaps, thinned."""
    parts: list[list[Point]] = [[]]
    for at, value in sorted(curve.points, key=lambda point: point[0]):
        if not math.isfinite(at):
            continue
        if curve.steps and parts[-1] and at > parts[-1][-1][0]:
            # It stayed until now, also before a gap.
            parts[-1].append((at, parts[-1][-1][1]))
        if value is None or not math.isfinite(value):
            parts.append([])
        else:
            parts[-1].append((at, value))
    return [_thinned(part) for part in parts if part]


def _thinned(points: list[Point]) -> list[Point]:
    """At most so many points, with what stands out: the lowest and the highest of each stretch, in order."""
    if len(points) <= MOST_POINTS:
        return points
    size = math.ceil(len(points) / (MOST_POINTS // 2 - 1))
    stretches = (points[at : at + size] for at in range(0, len(points), size))
    kept = ((min(each, key=_height), max(each, key=_height)) for each in stretches)
    return [points[0], *chain.from_iterable(sorted(pair) for pair in kept), points[-1]]


def _height(point: Point) -> float:
    return point[1]


def _draw_part(drawing: Drawing, part: list[Point], look: str, x: Scale, y: Scale, *, dots: bool) -> None:
    if len(part) > 1:
        places = ((10 * (x(at) - LEFT) * 100 / (RIGHT - LEFT), y(value)) for at, value in part)
        drawing.ways.append(Way(" ".join(f"{across:.1f},{down:.1f}" for across, down in places), look))
    if len(part) == 1 or (dots and len(part) <= _FEW):
        for at, value in part:
            drawing.dot(x(at), y(value), look.replace("curve", "dot"))


def _values(figure: Lines) -> Values:
    rows = [
        (shortened(curve.name, 300), place_of(figure.x, at), "none" if value is None else shown(value))
        for curve in figure.curves
        for at, value in curve.points
    ]
    rows += [(shortened(each.name, 300), "", shown(each.value)) for each in figure.thresholds]
    rows += [(shortened(each.name, 300), shown(each.at), "") for each in figure.moments]
    columns = ("Curve", measured(figure.x), measured(figure.y))
    return Values(columns, tuple(rows[:MOST_VALUES]), max(0, len(rows) - MOST_VALUES))
