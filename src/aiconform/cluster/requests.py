"""How many API requests each part of a run makes.

A part opens a `Meter`; every request made below it, in the same task or in tasks that it started, is counted there
and in the meters around it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Meter:
    """Requests by (verb, resource), as RBAC names them."""

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
