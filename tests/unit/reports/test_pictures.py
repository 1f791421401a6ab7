"""Figures of recorded runs on the page, and what is said where one cannot be made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.page import Page
from support.report_examples import example, result

from aiconform.check.figures import Axis, Cell, Curve, DeclaredFigure, Lines, Matrix
from aiconform.check.registry import load_check
from aiconform.checks.secure_accelerator_access.observations import Isolation
from aiconform.engine.evidence import Evidence, digest, encode_record
from aiconform.engine.rundir import RunDirectory
from aiconform.engine.times import Times
from aiconform.reports.formats import read_evidence
from aiconform.reports.html import render_html
from aiconform.reports.pictures import MOST, Pictures, pictures, run_timeline

RUNS = Path(__file__).parents[2] / "runs"
ISOLATION = RunDirectory(RUNS / "whole-healthy").read_evidence("secure_accelerator_access")[0]


def test_every_seen_observation_of_a_check_is_drawn() -> None:
    drawn = pictures(ISOLATION, Times())
    assert [target for target, _ in drawn.drawn] == [record.target for record in ISOLATION.records]
    assert drawn.left_out == ("There is no timeline: the journal does not say when each probe worked.",)


def test_half_an_observation_is_not_drawn_and_said() -> None:
    first, second = ISOLATION.records
    half = first.model_copy(update={"observation": {"node": "node-1"}})
    other = second.model_copy(update={"observation": {**(second.observation or {}), "holder": None}})
    drawn = pictures(ISOLATION.model_copy(update={"records": (half, other)}), Times())
    assert drawn.drawn == ()
    assert "Field required" in drawn.left_out[0]
    assert drawn.left_out[1].startswith("Not drawn, of node-2")
    assert drawn.left_out[1].endswith("no Pod started with a device.")


def curve(x: object, y: object) -> Lines:
    return Lines("Load", "The load.", Axis("Time"), Axis("Load"), (Curve("one", ((x, y),)),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda _: None, "hands out None, which is no figure"),
        (lambda _: [1, 2], "hands out [1, 2], which is no figure"),
        (lambda _: curve(0.0, None), "Load: no value was recorded"),
        (lambda _: curve(10**400, 1.0), "Load: OverflowError: "),
        (lambda _: curve(0.0, "much"), "Load: TypeError: "),
        (lambda _: Matrix("Who", "", "", ("one",), (("two", (Cell(None),)),)), "Who: TypeError: "),  # type: ignore[arg-type]
        (lambda seen: seen.nowhere, "AttributeError: "),
        (lambda _: 1 // 0, "ZeroDivisionError: "),
    ],
)
def test_what_a_check_of_others_hands_out_spoils_no_page(
    monkeypatch: pytest.MonkeyPatch, function: Callable[[Isolation], object], reason: str
) -> None:
    check = replace(load_check(ISOLATION.check), figures=(DeclaredFigure(function, Isolation),))  # type: ignore[arg-type]
    monkeypatch.setattr("aiconform.reports.pictures.load_check", lambda _: check)
    drawn = pictures(ISOLATION, Times())
    assert drawn.drawn == ()
    assert drawn.left_out[0].startswith("Not drawn, of node-1")
    assert reason in drawn.left_out[0]
    assert (
        reason.split(":", 1)[0]
        in Page(render_html(example(result(ISOLATION.check)), {ISOLATION.check: ISOLATION})).text
    )


def test_a_timeline_that_cannot_be_made_is_left_out_and_said() -> None:
    first, _ = ISOLATION.records
    times = Times({ISOLATION.check: 10.0}, {digest(encode_record(first)): 10**400})
    assert pictures(ISOLATION, times).left_out == (
        "There is no timeline: OverflowError: int too large to convert to float.",
    )
    whole = run_timeline([ISOLATION], times)
    assert whole == Pictures(left_out=("There is no timeline: OverflowError: int too large to convert to float.",))
    page = Page(render_html(example(result(ISOLATION.check)), {ISOLATION.check: ISOLATION}, times))
    assert page.text.count("There is no timeline: OverflowError") == 2
    assert run_timeline([ISOLATION], Times()) == Pictures()


def test_of_many_targets_those_that_differ_are_drawn_first() -> None:
    (one, _) = ISOLATION.records
    many = tuple(one.model_copy(update={"target": f"node-{number}"}) for number in range(100))
    drawn = pictures(ISOLATION.model_copy(update={"records": many}), Times(), frozenset({"node-77"}))
    assert len(drawn.drawn) == MOST
    assert drawn.drawn[0][0] == "node-77"
    assert f"{100 - MOST} more figures are not drawn" in drawn.left_out[0]


def test_a_check_that_is_not_installed_has_no_figures() -> None:
    gone = Evidence(check="acme.gone", suite="", seconds=0, requests=0, records=ISOLATION.records)
    assert pictures(gone, Times()).drawn == ()


@pytest.mark.parametrize("run", sorted(path.parent for path in RUNS.glob("*/run.json")), ids=lambda path: path.name)
def test_every_recorded_run_is_a_page_with_sound_links(run: Path) -> None:
    directory = RunDirectory(run)
    page = Page(render_html(directory.read_report(), read_evidence(directory)))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    named = {
        each
        for name, value in page.attributes
        if name in ("aria-labelledby", "aria-describedby") and value
        for each in value.split()
    }
    links = {str(value)[1:] for name, value in page.attributes if name == "href"}
    assert named | links <= set(ids)
    assert "Not drawn" not in page.text or "Error" not in page.text.split("Not drawn", 1)[1].split(".")[0]


def test_a_page_is_the_same_every_time() -> None:
    directory = RunDirectory(RUNS / "whole-healthy")
    report, evidence = directory.read_report(), read_evidence(directory)
    again = {check: Evidence.model_validate(json.loads(each.model_dump_json())) for check, each in evidence.items()}
    assert render_html(report, evidence) == render_html(report, again)
