"""The waiting Pod and the nodes that came for it, over time."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiconform.check.figures import Moment, Span, Spans
from aiconform.check.registry import load_check
from aiconform.checks.cluster_autoscaling.figures import nodes_over_time
from aiconform.checks.cluster_autoscaling.observations import NodeSeen, Scaling
from aiconform.engine.rundir import RunDirectory
from aiconform.engine.verdicts import observation_of

RUNS = Path(__file__).parents[2] / "runs"


def scaling(**changes: object) -> Scaling:
    (record,) = RunDirectory(RUNS / "whole-healthy").read_evidence("cluster_autoscaling")[0].records
    seen = observation_of(load_check("cluster_autoscaling"), record)
    assert isinstance(seen, Scaling)
    return seen.model_copy(update=changes)


def node(**changes: object) -> NodeSeen:
    return scaling().nodes[0].model_copy(update=changes)


def rows(seen: Scaling) -> list[tuple[Span, ...]]:
    figure = nodes_over_time(seen)
    assert isinstance(figure, Spans)
    return [row.spans for row in figure.rows]


def test_a_node_comes_for_the_pod_and_goes_after_it() -> None:
    figure = nodes_over_time(scaling())
    assert isinstance(figure, Spans)
    assert figure.rows[0].spans == (Span("waits", 0.0, 8.4, "quiet"), Span("runs", 8.4, 11.9))
    assert figure.rows[1].spans == (Span("is not Ready", 1.7, 5.0, "soft"), Span("is Ready", 5.0, 39.9))
    assert figure.moments == (Moment("the Pod is deleted", 11.9),)
    assert figure.says.startswith("Nodes that came: 1, and that went again: 1.")


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        ({"nodes": (), "ran": None, "released": None}, Span("waits", 0.0, 1200.0, "quiet")),
        (
            {"nodes": (node(ready=None, gone=None),), "ran": None, "released": None},
            Span("is not Ready", 1.7, 1200.0, "soft"),
        ),
        ({"nodes": (node(gone=None),)}, Span("is Ready", 5.0, 1811.9)),
        ({"nodes": (node(ready=None, gone=9.0),)}, Span("is not Ready", 1.7, 9.0, "soft")),
    ],
)
def test_what_never_happened_is_drawn_for_as_long_as_the_platform_had(changes: dict[str, object], last: Span) -> None:
    assert rows(scaling(**changes))[-1][-1] == last


@pytest.mark.parametrize(
    ("gone", "other_gone", "end"), [(39.9, None, 39.9), (None, 39.9, 1811.9), (None, None, 1811.9)]
)
def test_watching_ends_with_the_pods_own_node(gone: float | None, other_gone: float | None, end: float) -> None:
    other = node(name="another", gone=other_gone)
    _, own, others = rows(scaling(nodes=(node(gone=gone), other)))
    assert own[-1] == Span("is Ready", 5.0, end)
    assert others[-1] == Span("is Ready", 5.0, other_gone or end)
