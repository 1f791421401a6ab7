"""Utilization before, under and after a load, as curves."""

from __future__ import annotations

from pathlib import Path

from aiconform.check.figures import Lines, Threshold
from aiconform.check.registry import load_check
from aiconform.checks.accelerator_metrics.figures import utilization_under_load
from aiconform.checks.accelerator_metrics.observations import Load
from aiconform.engine.rundir import RunDirectory
from aiconform.engine.verdicts import observation_of

RUNS = Path(__file__).parents[2] / "runs"
LABEL = "hw_id=SIM-60d19578-1ef9-5c7d-b5a9-1d9094309582"


def load(**changes: object) -> Load:
    records = RunDirectory(RUNS / "whole-healthy").read_evidence("accelerator_metrics")[0].records
    seen = next(observation_of(load_check("accelerator_metrics"), each) for each in records if each.observes == "Load")
    assert isinstance(seen, Load)
    return seen.model_copy(update=changes)


def test_the_device_under_load_stands_out_of_the_idle_ones() -> None:
    figure = utilization_under_load(load())
    assert isinstance(figure, Lines)
    first, *others = figure.curves
    assert (first.name, first.strong) == (f"{LABEL} (under load)", True)
    assert first.points == ((0.0, 0.0), (1.0, 50.0), (2.0, 0.0))
    assert [curve.name.endswith("(idle)") and not curve.strong for curve in others] == [True] * 3
    assert figure.thresholds == (Threshold("10 points more", 10.0),)
    assert figure.x.names == ("before", "under load", "afterwards")


def test_a_reading_that_lacks_a_device_is_a_gap() -> None:
    figure = utilization_under_load(load(after={}))
    assert isinstance(figure, Lines)
    assert figure.curves[0].points[-1] == (2.0, None)


def test_without_a_known_device_no_curve_stands_out() -> None:
    figure = utilization_under_load(load(label=""))
    assert isinstance(figure, Lines)
    assert not any(curve.strong for curve in figure.curves)
    assert figure.thresholds == ()


def test_without_a_load_there_is_nothing_to_draw() -> None:
    assert utilization_under_load(load(problem="no room")) == "no Pod started with a device: no room"
    assert utilization_under_load(load(during={})) == "no utilization was read under load"
