"""What is not read, and why."""

from __future__ import annotations

CAUSED_BY_CONTENT = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    StopIteration,
    MemoryError,
)
"""What code raises that was written for the tool's own files and is given a file with any content."""


class Refused(ValueError):
    """A file exceeds a limit, is no plain file, or lies elsewhere than it should; the text names it and the limit."""
