"""Pods, and the metric that they follow, over time."""

from __future__ import annotations

from collections.abc import Sequence

from aiconform.check.figures import SECONDS, Axis, Curve, Lines, Moment, Threshold, figure
from aiconform.checks.pod_autoscaling.observations import Scaling
from aiconform.checks.pod_autoscaling.scaled_workload import REPLICAS, TARGET

UNSEEN = "the autoscaler reported no status"


@figure
def pods_over_time(seen: Scaling) -> Lines | str:
    if not seen.samples:
        return UNSEEN
    end = _end(seen)
    most = max(max(sample.desired, sample.current) for sample in seen.samples)
    return Lines(
        title="Pods over time",
        says=f"At most {most} Pods, where the highest value of the metric requires {REPLICAS}; {seen.left} at the end.",
        x=SECONDS,
        y=Axis("Number of Pods"),
        curves=(
            Curve("requested by the autoscaler", _until(end, [(s.at, s.desired) for s in seen.samples]), True, True),
            Curve("counted by the autoscaler", _until(end, [(s.at, s.current) for s in seen.samples]), True),
        ),
        thresholds=(Threshold(f"{REPLICAS} Pods", REPLICAS),),
        moments=_moments(seen),
    )


@figure
def metric_over_time(seen: Scaling) -> Lines | str:
    if not any(sample.average is not None for sample in seen.samples):
        return "the autoscaler read no value of the metric"
    end = _end(seen)
    levels = [(0.0, seen.low), (seen.high_at, seen.high), (seen.fall_at, seen.low)]
    told = [(at, level) for at, level in levels if at is not None]
    return Lines(
        title="Metric over time",
        says=f"{seen.metric} for each Pod as the autoscaler read it, by the {seen.api} metrics API of {seen.by}; "
        f"its target is {TARGET}.",
        x=SECONDS,
        y=Axis(f"{seen.metric} for each Pod"),
        curves=(
            Curve("read, for each Pod", _until(end, [(s.at, s.average) for s in seen.samples]), True, True),
            Curve("set at the first Pod", _until(end, told), True),
        ),
        thresholds=(Threshold(f"target: {TARGET}", TARGET),),
        moments=_moments(seen),
    )


def _until(end: float, points: Sequence[tuple[float, float | None]]) -> tuple[tuple[float, float | None], ...]:
    """A status is recorded when it changes: the last one lasts until the end."""
    return (*points, (end, points[-1][1])) if points[-1][0] < end else tuple(points)


def _end(seen: Scaling) -> float:
    if seen.end_at is not None:
        return seen.end_at
    # Who waited in vain did so for as long as the platform had.
    waited = seen.fall_at + seen.limit + seen.window if seen.fall_at is not None else 0.0
    return max(seen.samples[-1].at, waited, seen.high_at + seen.limit if seen.high_at is not None else 0.0)


def _moments(seen: Scaling) -> tuple[Moment, ...]:
    happened = (
        (f"the metric is set to {seen.high}", seen.high_at),
        (f"{REPLICAS} Pods run", seen.held_at),
        (f"the metric is set to {seen.low} again", seen.fall_at),
        ("one Pod is left", seen.end_at),
    )
    return tuple(Moment(name, at) for name, at in happened if at is not None)
