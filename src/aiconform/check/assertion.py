"""Assertions: pure functions over observations. No cluster, no clock, no randomness."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from aiconform.check.observation import Observation

_ID = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@dataclass(frozen=True)
class Finding:
    """The outcome of an assertion. `holds` is None where it could not be decided.

    `subjects` counts what was judged (devices, Pods, requests): zero subjects decide nothing. An assertion that
    does not apply to what was observed is left out and keeps no verdict open.
    """

    holds: bool | None
    reason: str
    subjects: int
    applies: bool = True


def holds(condition: bool, reason: str, *, subjects: int) -> Finding:
    """Decided: `reason` says what was observed, whether the assertion holds or not."""
    return Finding(condition, reason, subjects)


def undecided(reason: str) -> Finding:
    """Not decided: `reason` says why."""
    return Finding(None, reason, 0)


def left_out(reason: str) -> Finding:
    """Not judged, because the assertion does not apply here: `reason` says why. Not for what could not be decided."""
    return Finding(None, reason, 0, applies=False)


@dataclass(frozen=True)
class Assertion:
    """id: stable for ever; reports, faults and tests name the assertion `check/id`.

    title: the sentence that people read; it may be reworded. serves: ids of the lines of the requirement's procedure
    that it shows. formerly: earlier sentences, to match runs made before assertions had ids. together: it judges all
    observations of its kind at once, for what only their comparison shows.
    """

    id: str
    title: str
    function: Callable[[Any], Finding]
    over: type[Observation]
    serves: tuple[str, ...] = ()
    formerly: tuple[str, ...] = ()
    together: bool = False


A = TypeVar("A", bound=Callable[[Any], Finding])


def assertion(id_: str, title: str, *, serves: Iterable[str] = (), formerly: Iterable[str] = ()) -> Callable[[A], A]:
    """Declare an assertion; the type of its one parameter says which observations it judges: each `SomeObservation`
    alone, or by `Sequence[SomeObservation]` all of a run together.

    `serves` is the assertion's own id unless other lines of the procedure are named. Raises ValueError for a bad id.
    """
    if not _ID.fullmatch(id_):
        raise ValueError(f"{id_!r} is not an assertion id: use lower-case words joined by underscores")

    def mark(function: A) -> A:
        (parameter,) = inspect.signature(function).parameters
        over = get_type_hints(function)[parameter]
        together = get_origin(over) is Sequence
        over = get_args(over)[0] if together else over
        declared = Assertion(id_, title, function, over, tuple(serves) or (id_,), tuple(formerly), together)
        function.__assertion__ = declared  # type: ignore[attr-defined]
        return function

    return mark
