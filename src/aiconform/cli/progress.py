"""Progress on standard error: what is being done, and for how long the whole has taken."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

import click


class Progress:
    """Call it with a line for each step. Each line stays: logs of CI show where time went."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stderr.flush()

    def __call__(self, line: str) -> None:
        click.echo(f"[{self._elapsed()}] {line}", err=True)

    def done(self, line: str) -> None:
        """The last line."""
        self(line)

    def _elapsed(self) -> str:
        seconds = time.monotonic() - self._began
        return f"{seconds:5.1f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
