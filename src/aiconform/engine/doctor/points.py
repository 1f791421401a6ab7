"""A point that a run depends on, and whether it is fine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from aiconform.cluster import ClusterError, Forbidden, OverQuota, Rejected
from aiconform.cluster.errors import AdmissionBehind

State = Literal["fine", "undecided", "in-the-way"]
OF_EVERY_RUN = ("cluster", "user", "version", "nodes", "permissions", "namespace", "pods", "quotas", "images")
"""The ids of the points of every run, in their order; those of its checks have the checks' ids."""
NOTHING, NOT_BEGUN, OPEN = 0, 2, 3
# What admission, authorization and validation answer with; others say that this was not the place to ask.
_DECIDED = (400, 403, 422)


@dataclass(frozen=True)
class Point:
    """found: what was seen, in sentences. help: the way out, empty for what is fine or what `found` says it of.

    counts: whether the verdict of the run depends on it. begins: whether a run begins at all where it is in the way.
    """

    id: str
    state: State
    found: tuple[str, ...]
    help: str = ""
    counts: bool = True
    begins: bool = True


def exit_code(points: Iterable[Point]) -> int:
    """2 if a run would not begin, 3 if something that counts is in the way or cannot be decided, else 0."""
    points = tuple(points)
    if any(point.state == "in-the-way" and not point.begins for point in points):
        return NOT_BEGUN
    return OPEN if any(point.counts and point.state != "fine" for point in points) else NOTHING


def refused(error: ClusterError) -> State:
    """What the answer to a dry run, or to a real request, says of a run that asks the same.

    Not decided is what may be otherwise a moment later, and what a webhook that knows no dry runs says. Its words are
    those of Kubernetes' apiserver, pkg/admission/plugin/webhook/errors.
    """
    if isinstance(error, AdmissionBehind | OverQuota) or "does not support dry run" in str(error):
        return "undecided"
    decided = isinstance(error, Rejected | Forbidden) and error.status in _DECIDED
    return "in-the-way" if decided else "undecided"
