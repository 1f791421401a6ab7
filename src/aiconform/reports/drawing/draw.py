"""Draws a figure of any kind."""

from __future__ import annotations

from dataclasses import replace

from aiconform.check.figures import Figure, Lines, Matrix, Shares, Spans
from aiconform.reports.drawing.canvas import Drawing
from aiconform.reports.drawing.lines import draw_lines
from aiconform.reports.drawing.matrix import draw_matrix
from aiconform.reports.drawing.shares import draw_shares
from aiconform.reports.drawing.spans import draw_spans
from aiconform.reports.plain import shortened

SAYS_LIMIT = 600


def draw(figure: Figure) -> Drawing:
    """Raises CannotDraw."""
    figure = replace(figure, says=shortened(figure.says, SAYS_LIMIT))
    match figure:
        case Lines():
            return draw_lines(figure)
        case Spans():
            return draw_spans(figure)
        case Shares():
            return draw_shares(figure)
        case Matrix():
            return draw_matrix(figure)
