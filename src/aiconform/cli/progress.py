"""Progress on standard error: each step, with the time since the start."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

import click


class Progress:
    """Call it with a line for each step. Lines are never overwritten, so that CI logs show what took how long."""

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
