"""Rows of what was when, each with its name above it: on a narrow page a name beside it would leave no room."""

from __future__ import annotations

import math

from aiconform.check.figures import Moment, Row, Span, Spans
from aiconform.reports.drawing.canvas import (
    LEFT,
    LINE,
    CannotDraw,
    Drawing,
    Values,
    label,
    mark_moments,
    measured,
    moments_room,
    shown,
    time_axis,
    time_scale,
)
from aiconform.reports.plain import shortened

MOST_ROWS = 40
MOST_SPANS = 60
MOST_VALUES = 200
_BAR = 12


def draw_spans(figure: Spans) -> Drawing:
    """Raises CannotDraw."""
    rows = [Row(row.name, tuple(span for span in row.spans if _has_place(span))) for row in figure.rows]
    every = [(row, span) for row in rows for span in row.spans]
    if not every:
        raise CannotDraw("no time was recorded")
    moments = tuple(moment for moment in figure.moments if math.isfinite(moment.at))
    x = time_scale(figure.x, [at for _, span in every for at in (span.begin, span.end)] + [each.at for each in moments])
    drawing = Drawing(figure.title, figure.says, f"Horizontal: {measured(figure.x)}.", _values(figure, every, moments))
    top = moments_room(moments) + 4
    drawn = rows[:MOST_ROWS]
    bottom = top + len(drawn) * (LINE + _BAR + 6) + 4
    time_axis(drawing, figure.x, x, top, bottom)
    for number, row in enumerate(drawn):
        y = top + number * (LINE + _BAR + 6) + LINE - 4
        drawing.text(LEFT, y, row.name, "name")
        for span in row.spans[:MOST_SPANS]:
            lasted = f"{span.name}: {shown(span.begin)} to {shown(span.end)} {figure.x.unit}"
            drawing.box(x(span.begin), y + 5, x(span.end), _BAR, f"span {span.tone}", lasted)
    mark_moments(drawing, moments, x, bottom)
    drawing.height = bottom + LINE + 4
    if len(rows) > MOST_ROWS:
        drawing.left_out.append(f"{len(rows) - MOST_ROWS} more rows are not drawn.")
    looks = {(f"span {span.tone}", label(span.name)): None for row in drawn for span in row.spans[:MOST_SPANS]}
    drawing.keys = list(looks)[:8]
    return drawing


def _has_place(span: Span) -> bool:
    return math.isfinite(span.begin) and math.isfinite(span.end) and span.end >= span.begin


def _values(figure: Spans, every: list[tuple[Row, Span]], moments: tuple[Moment, ...]) -> Values:
    unit = f" ({figure.x.unit})" if figure.x.unit else ""
    rows = [(row.name, span.name, shown(span.begin), shown(span.end)) for row, span in every]
    rows += [("", moment.name, shown(moment.at), shown(moment.at)) for moment in moments]
    cells = tuple((shortened(name, 300), shortened(what, 300), *times) for name, what, *times in rows[:MOST_VALUES])
    return Values(("Row", "What", f"From{unit}", f"To{unit}"), cells, max(0, len(rows) - MOST_VALUES))
