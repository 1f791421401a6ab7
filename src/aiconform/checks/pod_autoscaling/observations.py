"""What the probe of pod_autoscaling observes: the autoscaler's status and the scaled Pods over time."""

from __future__ import annotations

from aiconform.check import Observation

TOLERANCE = 0.02
"""The relative difference up to which two values are the same: metrics adapters round, and the Pods vary the value."""


class Sample(Observation):
    """One status of the autoscaler. at: seconds since the begin. average: the metric for each Pod as it was read.

    desired and current are numbers of Pods. average is None if the status reports no value. written: when the API
    server stored the status, in whole seconds of its clock since the autoscaler was created; None if that is unknown.
    `at` is when it was received, which can be much later.
    """

    at: float
    desired: int
    current: int
    average: float | None
    written: float | None = None

    def since(self, earlier: Sample) -> float:
        """Seconds from an earlier status to this one."""
        if self.written is None or earlier.written is None:
            return self.at - earlier.at
        return self.written - earlier.written


class Scaled(Observation):
    """A running Pod of the Deployment. devices: what it holds; device plugins show only the number of devices."""

    name: str
    devices: tuple[str, ...]


class Scaling(Observation):
    """The metric that was set, the metric that was read, and the Pods, over time.

    Times are seconds since the begin, and None if it did not happen. low was set first. high_at: when `high` was set.
    held_at: when three Pods ran. fall_at: when `low` was set again; both are from before the request. end_at: when one
    Pod was left. broken: why the metrics API does not answer. said: why the autoscaler cannot scale, in its own words.
    problem: why placed Pods do not run. left: the number of Pods at the end.
    """

    api: str
    by: str
    metric: str
    scraped: str
    way: str
    resource: str
    simulated: bool
    node: str
    window: int
    round: float
    limit: float
    hold: float
    low: int
    high: int
    samples: tuple[Sample, ...]
    broken: str
    said: str
    pods: tuple[Scaled, ...]
    problem: str
    high_at: float | None
    held_at: float | None
    fall_at: float | None
    end_at: float | None
    left: int

    def between(self, begin: float, end: float | None) -> list[Sample]:
        """The statuses of the autoscaler from `begin` to `end`, including the one in effect at `begin`."""
        before = [sample for sample in self.samples if sample.at <= begin]
        during = [sample for sample in self.samples if begin < sample.at and (end is None or sample.at < end)]
        return [*before[-1:], *during]


def near(value: float | None, expected: float) -> bool:
    """Whether a value that was read is the expected one."""
    return value is not None and abs(value - expected) <= TOLERANCE * expected


def shown(value: float) -> str:
    """A value that was read, as it is told: without the variation by the Pods."""
    return f"{round(value, 1):g}"
