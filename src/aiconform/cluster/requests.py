"""Counts the API requests of each part of a run.

A part opens a `Meter`. All requests in the same task, or in tasks that it starts, are counted there and in the
enclosing meters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Meter:
    """Requests by RBAC verb and resource."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.counts.total()


_meters: ContextVar[tuple[Meter, ...]] = ContextVar("meters", default=())


@contextmanager
def metered() -> Iterator[Meter]:
    """Count the requests made inside the `with` block."""
    meter = Meter()
    token = _meters.set((*_meters.get(), meter))
    try:
        yield meter
    finally:
        _meters.reset(token)


def count(verb: str, resource: str) -> None:
    """Record one request in every open meter of this task."""
    for meter in _meters.get():
        meter.counts[verb, resource] += 1
