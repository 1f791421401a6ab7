"""When checks and probes worked and waited, as figures and on the page."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.page import Page
from support.report_examples import Example, example, examples, result

from aiconform.check.figures import Moment, Row, Span
from aiconform.engine.evidence import Evidence, Record, digest, encode_record
from aiconform.engine.rundir import RunDirectory
from aiconform.engine.times import Times, read_times
from aiconform.reports.formats import read_evidence
from aiconform.reports.html import render_html
from aiconform.reports.timeline import BOTH, UNSEEN, WAITS, WORKS, of_check, of_run

RUNS = Path(__file__).parents[2] / "runs"


def record(probe: str, target: str, seconds: float, outcome: str = "seen") -> Record:
    return Record(
        probe=probe,
        target=target,
        outcome=outcome,
        message="" if outcome == "seen" else "refused",
        observes="View",
        observation={} if outcome == "seen" else None,
        seconds=seconds,
        requests=1,
    )


def timed(evidence: Evidence, observed: float, *ends: float, pauses: tuple[tuple[float, float], ...] = ()) -> Times:
    recorded = {digest(encode_record(each)): end for each, end in zip(evidence.records, ends, strict=False)}
    return Times({evidence.check: observed}, recorded, pauses)


FIRST, SECOND = record("look", "node-1", 10.0), record("look", "node-2", 5.0, "error")
TWO = Evidence(check="gang_scheduling", suite="", seconds=15.0, waited=5.0, requests=2, records=(FIRST, SECOND))


def test_each_probe_has_a_row_with_what_it_waited_and_worked() -> None:
    figure = of_check(TWO, timed(TWO, 20.0, 10.0, 20.0))
    assert figure is not None
    assert figure.rows == (
        Row("look: node-1", (Span(WORKS, 0.0, 10.0),)),
        Row("look: node-2", (Span(WAITS, 0.0, 15.0, "quiet"), Span(UNSEEN, 15.0, 20.0, "open"))),
    )
    assert figure.says == "2 observations on 2 targets; longest: look, 10.0 s."


def test_the_run_shows_when_no_probe_of_a_check_worked() -> None:
    figure = of_run({"gang_scheduling": TWO}, timed(TWO, 20.0, 10.0, 20.0))
    assert figure is not None
    (row,) = figure.rows
    assert row.spans == (Span(WORKS, 0.0, 10.0), Span(WAITS, 10.0, 15.0, "quiet"), Span(WORKS, 15.0, 20.0))
    assert figure.moments == ()


def test_nothing_waits_while_the_run_is_interrupted() -> None:
    pauses = ((12.0, 9000.0), (9002.0, 9002.5), (9004.0, 9000.0))
    times = timed(TWO, 9015.0, 10.0, 9015.0, pauses=pauses)
    waits = (
        Span(WAITS, 10.0, 12.0, "quiet"),
        Span(WAITS, 9000.0, 9002.0, "quiet"),
        Span(WAITS, 9002.5, 9010.0, "quiet"),
    )
    figure = of_run({"gang_scheduling": TWO}, times)
    assert figure is not None
    assert figure.rows[0].spans == (Span(WORKS, 0.0, 10.0), *waits, Span(WORKS, 9010.0, 9015.0))
    assert figure.moments[:2] == (Moment("interrupted", 12.0), Moment("continued", 9000.0))
    long = TWO.model_copy(update={"waited": 9000.0})
    figure = of_check(long, timed(long, 9015.0, 10.0, 9015.0, pauses=pauses))
    assert figure is not None
    assert figure.rows[1].spans == (
        Span(WAITS, 0.0, 12.0, "quiet"),
        *waits[1:],
        Span(UNSEEN, 9010.0, 9015.0, "open"),
    )


def test_what_was_not_recorded_is_not_drawn() -> None:
    assert of_check(TWO, Times()) is None
    assert of_run({"gang_scheduling": TWO}, Times()) is None
    half = of_check(TWO, timed(TWO, 20.0, 10.0))
    assert half is not None
    assert [row.name for row in half.rows] == ["look"]


def test_of_an_earlier_run_the_checks_are_drawn_and_the_probes_missed() -> None:
    directory = RunDirectory(RUNS / "whole-healthy")
    report, evidence, times = directory.read_report(), read_evidence(directory), read_times(directory)
    figure = of_run(evidence, times)
    assert figure is not None
    assert {span.name for row in figure.rows for span in row.spans} == {BOTH}
    assert len(figure.rows) == len(evidence)
    page = Page(render_html(report, evidence, times))
    assert page.text.count("There is no timeline") == len(evidence)
    assert "What was done when" in page.text


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=25)
@given(examples(), st.data())
def test_any_times_and_names_make_a_page_with_sound_links(made: Example, data: st.DataObject) -> None:
    at = st.floats(0, 1e6)
    keys = [digest(encode_record(record)) for each in made.evidence.values() for record in each.records]
    times = Times(
        {check: data.draw(at) for check in made.evidence},
        {key: data.draw(at) for key in keys},
        tuple(data.draw(st.lists(st.tuples(at, at), max_size=2))),
    )
    page = Page(render_html(made.report, made.evidence, times))
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert page.tags["script"] == page.tags["img"] == 0
    assert page.tags["figure"] == page.tags["figcaption"] >= page.tags["desc"]


def test_the_page_has_both_timelines() -> None:
    page = Page(render_html(example(result()), {"gang_scheduling": TWO}, timed(TWO, 20.0, 10.0, 20.0)))
    assert page.tags["figure"] == 2
    assert ("role", "img") in page.attributes
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    named = {value for name, value in page.attributes if name in ("aria-labelledby", "aria-describedby")}
    assert named <= set(ids)
    assert WAITS in page.text
