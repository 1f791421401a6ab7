"""A matrix as a table: words in cells, which readers of any kind can walk through."""

from __future__ import annotations

from aiconform.check.figures import Cell, Matrix
from aiconform.reports.drawing.canvas import CannotDraw, Drawing, Grid, Values, label
from aiconform.reports.plain import shortened

MOST_ROWS = 64
MOST_COLUMNS = 16
_WORD_LIMIT = 40


def draw_matrix(figure: Matrix) -> Drawing:
    """Raises CannotDraw."""
    if not figure.rows or not figure.columns:
        raise CannotDraw("nothing was recorded")
    columns = tuple(label(name) for name in figure.columns[:MOST_COLUMNS])
    rows = tuple((label(name), _cells(cells[:MOST_COLUMNS])) for name, cells in figure.rows[:MOST_ROWS])
    drawing = Drawing(figure.title, figure.says, f"Rows: {figure.corner}.", Values((), ()))
    drawing.matrix = Grid(figure.corner, columns, rows)
    for word, count, most in (("rows", len(figure.rows), MOST_ROWS), ("columns", len(figure.columns), MOST_COLUMNS)):
        if count > most:
            drawing.left_out.append(f"{count - most} more {word} are not shown.")
    return drawing


def _cells(cells: tuple[Cell, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((cell.tone, shortened(cell.word, _WORD_LIMIT)) for cell in cells)
