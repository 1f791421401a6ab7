"""Draws figures: from plain data to lines, boxes and texts with coordinates, which a template writes as SVG.

Nothing here knows a check. Horizontal coordinates are percent of the width and vertical ones pixels, so that a drawing
fits any width while its texts keep their size.
"""

from aiconform.reports.drawing.canvas import CannotDraw, Drawing
from aiconform.reports.drawing.draw import draw

__all__ = ["CannotDraw", "Drawing", "draw"]
