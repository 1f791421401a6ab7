"""The split of traffic beside declared weights, of recorded runs and of any counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check.figures import Shares
from aiconform.check.registry import load_check
from aiconform.checks.ai_inference.binomial import agreement
from aiconform.checks.ai_inference.figures import interval, traffic_split
from aiconform.checks.ai_inference.observations import Routing
from aiconform.engine.rundir import RunDirectory
from aiconform.engine.verdicts import observation_of

RUNS = Path(__file__).parents[2] / "runs"


def routing(run: str) -> Routing:
    (record,) = RunDirectory(RUNS / run).read_evidence("ai_inference")[0].records
    seen = observation_of(load_check("ai_inference"), record)
    assert isinstance(seen, Routing)
    return seen


def test_a_correct_split_lies_on_the_band() -> None:
    figure = traffic_split(routing("whole-healthy"))
    assert isinstance(figure, Shares)
    assert figure.x.name == "Answers from alpha"
    inside, _, changed = figure.shares
    assert (inside.name, inside.value, inside.expected) == ("200 answers, from inside", 0.805, 0.8)
    assert (changed.value, changed.expected) == (0.2, 0.2)
    for share in figure.shares:
        assert share.interval[0] < share.value < share.interval[1]
        assert share.agreeing[0] <= share.value <= share.agreeing[1]


def test_ignored_weights_lie_beside_it() -> None:
    figure = traffic_split(routing("weights-ignored"))
    assert isinstance(figure, Shares)
    assert all(not share.agreeing[0] <= share.value <= share.agreeing[1] for share in figure.shares)


@given(st.integers(0, 60), st.integers(1, 60), st.integers(0, 10), st.integers(1, 10))
def test_the_band_is_what_the_verdict_follows(count: int, others: int, weight: int, other: int) -> None:
    answers, weights = {"alpha": count, "beta": others}, {"alpha": weight, "beta": other}
    seen = routing("whole-healthy").model_copy(update={"weights": weights, "change": None})
    asked = seen.asked[0].model_copy(update={"answers": answers})
    figure = traffic_split(seen.model_copy(update={"asked": (asked,)}))
    assert isinstance(figure, Shares)
    (share,) = figure.shares
    assert (share.agreeing[0] <= share.value <= share.agreeing[1]) == agreement(answers, weights)[0]


@pytest.mark.parametrize(
    ("count", "requests", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
)
def test_wilsons_interval(count: int, requests: int, low: float, high: float) -> None:
    assert interval(count, requests) == pytest.approx((low, high), abs=1e-4)


def test_without_answers_there_is_nothing_to_draw() -> None:
    assert traffic_split(routing("gateway-without-data-plane")) == ("no request that follows the weights was answered")
    seen = routing("whole-healthy")
    lost = seen.asked[0].model_copy(update={"answers": {}, "failures": {"503": 200}})
    assert isinstance(traffic_split(seen.model_copy(update={"asked": (lost,), "change": None})), str)
    huge = seen.asked[0].model_copy(update={"answers": {"alpha": 10**9}})
    assert isinstance(traffic_split(seen.model_copy(update={"asked": (huge,), "change": None})), str)
