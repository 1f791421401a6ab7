"""The Pods of gangs over time, of recorded runs and of what was only half seen."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import pytest

from aiconform.check import Observation
from aiconform.check.figures import Moment, Span, Spans
from aiconform.check.registry import load_check
from aiconform.checks.gang_scheduling.figures import gang_with_room, gang_without_room, gangs_that_contend
from aiconform.checks.gang_scheduling.observations import Contention, Room, Scarcity
from aiconform.checks.gang_scheduling.outcome import Gang, Member
from aiconform.engine.rundir import RunDirectory
from aiconform.engine.verdicts import observation_of

RUNS = Path(__file__).parents[2] / "runs"
Seen = TypeVar("Seen", bound=Observation)


def seen(kind: type[Seen], run: str = "whole-healthy") -> Seen:
    records = RunDirectory(RUNS / run).read_evidence("gang_scheduling")[0].records
    every = [observation_of(load_check("gang_scheduling"), each) for each in records if each.outcome == "seen"]
    return next(each for each in every if isinstance(each, kind))


def test_a_gang_that_has_room_waits_starts_and_runs() -> None:
    figure = gang_with_room(seen(Room))
    assert isinstance(figure, Spans)
    assert figure.says == "At most 3 of 3 Pods ran at the same time."
    assert len(figure.rows) == 3
    assert figure.rows[0].spans == (
        Span("waits to be scheduled", 0.775, 1.771, "quiet"),
        Span("starts", 1.771, 2.553, "soft"),
        Span("runs", 2.553, 12.336),
    )


def test_a_gang_without_room_waits_until_room_is_made() -> None:
    figure = gang_without_room(seen(Scarcity))
    assert isinstance(figure, Spans)
    assert figure.moments == (Moment("room is made; before, 2 accelerators were free", 30.255),)
    assert all(span.begin > 30.255 for row in figure.rows for span in row.spans)


def test_gangs_that_contend_are_told_apart() -> None:
    figure = gangs_that_contend(seen(Contention))
    assert isinstance(figure, Spans)
    assert [row.name.split(",")[0] for row in figure.rows] == ["gang 1"] * 3 + ["gang 2"] * 3
    first_end = max(span.end for row in figure.rows[:3] for span in row.spans)
    assert all(span.begin > first_end for row in figure.rows[3:] for span in row.spans)


@pytest.mark.parametrize(
    ("times", "spans"),
    [
        ({}, (("waits to be scheduled", 1, 40),)),
        ({"gone": 9}, (("waits to be scheduled", 1, 9),)),
        ({"scheduled": 2}, (("waits to be scheduled", 1, 2), ("starts", 2, 40))),
        ({"scheduled": 2, "running": 3}, (("waits to be scheduled", 1, 2), ("starts", 2, 3), ("runs", 3, 40))),
        (
            {"scheduled": 2, "running": 3, "ended": 20},
            (("waits to be scheduled", 1, 2), ("starts", 2, 3), ("runs", 3, 20)),
        ),
    ],
)
def test_what_is_not_over_is_drawn_until_watching_ends(
    times: dict[str, float], spans: tuple[tuple[str, float, float], ...]
) -> None:
    gang = Gang(name="gang", size=1, watched=40, members=(Member(name="pod-0", created=1, **times),))
    figure = gang_with_room(seen(Room).model_copy(update={"gang": gang}))
    assert isinstance(figure, Spans)
    assert tuple((span.name, span.begin, span.end) for span in figure.rows[0].spans) == spans


def test_no_gang_is_nothing_to_draw() -> None:
    room = seen(Room)
    assert gang_with_room(room.model_copy(update={"gang": None, "problem": "the queue is stopped"})) == (
        "the queue is stopped"
    )
    empty = Gang(name="gang", size=3, watched=40, members=())
    assert gang_with_room(room.model_copy(update={"gang": empty})) == "no Pod of the gang was created"
