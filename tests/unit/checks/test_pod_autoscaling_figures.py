"""Pods and metric over time, of recorded runs and of what was only half seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiconform.check.figures import Lines, Moment, Threshold
from aiconform.check.registry import load_check
from aiconform.checks.pod_autoscaling.figures import metric_over_time, pods_over_time
from aiconform.checks.pod_autoscaling.observations import Scaling
from aiconform.engine.rundir import RunDirectory
from aiconform.engine.verdicts import observation_of

RUNS = Path(__file__).parents[2] / "runs"


def scaling(run: str = "whole-healthy", **changes: object) -> Scaling:
    (record,) = RunDirectory(RUNS / run).read_evidence("pod_autoscaling")[0].records
    seen = observation_of(load_check("pod_autoscaling"), record)
    assert isinstance(seen, Scaling)
    return seen.model_copy(update=changes)


def curve(figure: Lines | str, number: int = 0) -> tuple[tuple[float, float | None], ...]:
    assert isinstance(figure, Lines)
    return figure.curves[number].points


def test_pods_grow_stay_and_go() -> None:
    figure = pods_over_time(scaling())
    assert curve(figure) == ((4.0, 0), (4.3, 0), (24.0, 1), (29.0, 3), *curve(figure)[4:])
    assert curve(figure)[-1] == (119.4, 1)
    assert isinstance(figure, Lines)
    assert figure.thresholds == (Threshold("3 Pods", 3),)
    assert figure.moments == (
        Moment("the metric is set to 30", 24.0),
        Moment("3 Pods run", 30.0),
        Moment("the metric is set to 7 again", 69.1),
        Moment("one Pod is left", 119.4),
    )


def test_the_metric_as_it_was_set_and_read() -> None:
    figure = metric_over_time(scaling())
    assert {value for _, value in curve(figure) if value} >= {7.0, 30.0, 10.0}
    assert curve(figure, 1) == ((0.0, 7), (24.0, 30), (69.1, 7), (119.4, 7))
    assert isinstance(figure, Lines)
    assert figure.thresholds == (Threshold("target: 10", 10),)


def test_who_waits_in_vain_is_followed_to_the_limit() -> None:
    seen = scaling("autoscaler-of-pods-capped")
    assert seen.held_at is None
    figure = pods_over_time(seen)
    assert isinstance(figure, Lines)
    assert "3 Pods run" not in [moment.name for moment in figure.moments]
    assert curve(figure)[-1][0] == pytest.approx((seen.high_at or 0) + seen.limit)


def test_nothing_recorded_is_nothing_drawn() -> None:
    assert pods_over_time(scaling(samples=())) == "the autoscaler reported no status"
    unread = tuple(sample.model_copy(update={"average": None}) for sample in scaling().samples)
    assert metric_over_time(scaling(samples=unread)) == "the autoscaler read no value of the metric"
    assert isinstance(pods_over_time(scaling(samples=unread)), Lines)
