"""Figures as drawings: what is where, what cannot be drawn, and any names and numbers."""

from __future__ import annotations

import math
import string
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check.figures import Axis, Cell, Curve, Lines, Matrix, Moment, Row, Share, Shares, Span, Spans, Threshold
from aiconform.reports.drawing import draw
from aiconform.reports.drawing.canvas import CannotDraw, label, scale, shown

TIME = Axis("Time", "s")
number = st.floats(allow_nan=True, allow_infinity=True)
word = st.text(string.printable, max_size=80)


def spans(*rows: Row, moments: tuple[Moment, ...] = ()) -> Spans:
    return Spans("When", "What was when.", TIME, rows, moments)


def places(drawing: object) -> list[float]:
    """Every coordinate of a drawing as a number, of the width those in percent."""
    found = []
    for kind in ("grid", "strokes", "boxes", "dots", "texts"):
        for each in getattr(drawing, kind):
            found += [float(getattr(each, name)[:-1]) for name in ("x", "x1", "x2") if hasattr(each, name)]
    return found


def test_a_span_is_where_its_times_are() -> None:
    drawing = draw(spans(Row("one", (Span("works", 0, 50), Span("waits", 50, 100, "quiet")))))
    first, second = drawing.boxes
    assert (first.x, first.width, first.look) == ("1.00%", "49.00%", "span good")
    assert (second.x, second.width, second.look) == ("50.00%", "49.00%", "span quiet")
    assert first.name == "works: 0 to 50 s"
    assert drawing.axes == "Horizontal: Time (s)."
    assert [each.text for each in drawing.texts if each.look == "tick"] == ["0", "20", "40", "60", "80", "100 s"]
    assert drawing.values.rows == (("one", "works", "0", "50"), ("one", "waits", "50", "100"))
    assert drawing.keys == [("span good", "works"), ("span quiet", "waits")]


def test_names_of_moments_have_a_line_each() -> None:
    moments = tuple(Moment(f"event {number}", number / 10) for number in range(5))
    drawing = draw(spans(Row("one", (Span("works", 0, 1),)), moments=moments))
    heights = [each.y for each in drawing.texts if each.look == "moment"]
    assert len(set(heights)) == 5
    assert drawing.values.rows[1] == ("", "event 0", "0", "0")


def test_more_than_fits_is_said() -> None:
    drawing = draw(spans(*(Row(f"node-{number}", (Span("works", 0, 1),)) for number in range(1000))))
    assert len(drawing.boxes) == 40
    assert drawing.left_out == ["960 more rows are not drawn."]
    assert (len(drawing.values.rows), drawing.values.left_out) == (200, 800)


@pytest.mark.parametrize("rows", [(), (Row("one", ()),), (Row("one", (Span("works", math.nan, 1),)),)])
def test_what_has_no_time_is_not_drawn(rows: tuple[Row, ...]) -> None:
    with pytest.raises(CannotDraw, match="no time was recorded"):
        draw(spans(*rows))


def test_what_no_axis_holds_is_not_drawn() -> None:
    with pytest.raises(CannotDraw, match="beyond any axis"):
        draw(spans(Row("one", (Span("works", 0, 1e300),))))


@given(st.lists(st.tuples(word, number, number), max_size=8), st.lists(st.tuples(word, number), max_size=4))
def test_anything_is_drawn_on_the_page_or_not_at_all(rows: list[tuple[str, float, float]], moments: list) -> None:
    figure = spans(
        *(Row(name, (Span(name, begin, end),)) for name, begin, end in rows),
        moments=tuple(Moment(name, at) for name, at in moments),
    )
    try:
        drawing = draw(figure)
    except CannotDraw:
        return
    assert all(0 <= place <= 101 for place in places(drawing))
    assert all(len(each.text) <= 60 and each.text.isprintable() for each in drawing.texts)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0"), (-0.0, "0"), (0.25, "0.25"), (12.3456, "12.35"), (17179869184.0, "17,179,869,184"), (1e-30, "0")],
)
def test_numbers_for_people(value: float, words: str) -> None:
    assert shown(value) == words


def test_of_a_long_name_both_ends_are_shown() -> None:
    text = label("gang-scheduling-contention-node-2-de-6f98e626-one-0-czv8z")
    assert text.startswith("gang-scheduling-conten")
    assert text.endswith("6f98e626-one-0-czv8z")
    assert len(text) < 50


@given(st.floats(-1e14, 1e14), st.floats(-1e14, 1e14), st.integers(2, 8))
def test_ticks_are_round_and_on_the_axis(one: float, other: float, most: int) -> None:
    axis = scale([one, other], 0, 100)
    ticks = axis.ticks(most)
    assert 1 <= len(ticks) <= most
    assert all(axis.low - 1e-6 * (axis.high - axis.low) <= tick for tick in ticks)
    assert all(0 <= axis(tick) <= 100 for tick in ticks)


def test_a_matrix_is_a_table_and_says_what_it_leaves_out() -> None:
    rows = tuple((f"/dev/accel{number}", (Cell("sees it", "good"),) * 20) for number in range(100))
    drawing = draw(Matrix("Who", "Who sees what.", "Device", tuple(map(str, range(20))), rows))
    assert drawing.matrix is not None
    assert (len(drawing.matrix.rows), len(drawing.matrix.columns)) == (64, 16)
    assert drawing.matrix.rows[0] == ("/dev/accel0", (("good", "sees it"),) * 16)
    assert drawing.left_out == ["36 more rows are not shown.", "4 more columns are not shown."]


def test_an_empty_matrix_is_not_drawn() -> None:
    with pytest.raises(CannotDraw, match="nothing was recorded"):
        draw(Matrix("Who", "Who sees what.", "Device", (), ()))


def lines(*curves: Curve, **more: object) -> Lines:
    return Lines("Load", "The load over time.", TIME, Axis("Load", "%"), curves, **more)  # type: ignore[arg-type]


def test_a_curve_goes_through_its_points() -> None:
    drawing = draw(lines(Curve("one", ((0, 0), (10, 100)))))
    (way,) = drawing.ways
    assert way.points == f"0.0,{17 + 190:.1f} 1000.0,17.0"
    assert [(dot.x, dot.y) for dot in drawing.dots] == [("1.00%", "207.0"), ("99.00%", "17.0")]
    assert drawing.axes == "Horizontal: Time (s). Vertical: Load (%)."
    assert drawing.values.rows == (("one", "0", "0"), ("one", "10", "100"))


def test_steps_stay_until_the_next_value_and_gaps_stay_open() -> None:
    drawing = draw(lines(Curve("one", ((0, 1), (5, 2), (6, None), (8, 2), (10, 2)), steps=True)))
    across = [[float(each.split(",")[0]) for each in way.points.split()] for way in drawing.ways]
    assert across == [[0, 500, 500, 600], [800, 1000, 1000]]
    assert drawing.dots == []


def test_a_step_before_a_gap_lasts_until_the_gap() -> None:
    drawing = draw(lines(Curve("one", ((0, None), (10, 5), (40, None), (50, None)), steps=True)))
    assert [way.points for way in drawing.ways] == ["250.0,17.0 1000.0,17.0"]
    assert drawing.dots == []


@pytest.mark.parametrize(
    ("points", "steps"), [(((0, 1), (1, None)), False), (((0, 1),), True), (((0, 1), (0, None)), True)]
)
def test_a_value_alone_is_a_dot(points: tuple[tuple[float, float | None], ...], steps: bool) -> None:
    drawing = draw(lines(Curve("one", points, steps=steps)))
    assert (len(drawing.ways), len(drawing.dots)) == (0, 1)


def test_many_points_are_thinned_and_what_stands_out_stays() -> None:
    points = [(float(at), 1.0) for at in range(100_000)]
    points[54_321] = (54_321.0, 100.0)
    points[77_777] = (77_777.0, -100.0)
    drawing = draw(lines(Curve("one", tuple(points))))
    (way,) = drawing.ways
    assert len(way.points.split()) <= 402
    heights = [float(each.split(",")[1]) for each in way.points.split()]
    assert (min(heights), max(heights)) == (17.0, 207.0)
    assert drawing.left_out == ["Of many points, the lowest and the highest of each stretch are drawn."]
    assert (len(drawing.values.rows), drawing.values.left_out) == (200, 99_800)


def test_what_a_figure_is_about_is_drawn_first_and_the_rest_is_said() -> None:
    many = (
        *(Curve(f"device {number}", ((0, 1), (1, 1))) for number in range(30)),
        Curve("ours", ((0, 2), (1, 2)), strong=True),
    )
    drawing = draw(lines(*many))
    assert drawing.keys[0] == ("curve s1 strong", "ours")
    assert len(drawing.ways) == 12
    assert drawing.left_out == ["19 more curves are not drawn."]


def test_names_of_near_thresholds_do_not_meet() -> None:
    limits = (Threshold("low", 10), Threshold("high", 10.5), Threshold("far", 100))
    drawing = draw(lines(Curve("one", ((0, 0), (1, 100))), thresholds=limits))
    heights = sorted(float(each.y) for each in drawing.texts if each.look == "threshold")
    assert all(after - before > 10 for before, after in pairwise(heights))


@pytest.mark.parametrize("points", [(), ((0.0, None),), ((0.0, math.inf),), ((math.nan, 1.0),)])
def test_a_curve_without_values_is_not_drawn(points: tuple[tuple[float, float | None], ...]) -> None:
    with pytest.raises(CannotDraw, match="no value was recorded"):
        draw(lines(Curve("one", points)))


@given(
    st.lists(st.tuples(word, st.lists(st.tuples(number, st.one_of(st.none(), number)), max_size=30)), max_size=4),
    st.lists(st.tuples(word, number), max_size=3),
    st.booleans(),
)
def test_any_curves_are_drawn_on_the_page_or_not_at_all(curves: list, marks: list, steps: bool) -> None:
    figure = lines(
        *(Curve(name, tuple(points), steps=steps) for name, points in curves),
        thresholds=tuple(Threshold(*each) for each in marks),
        moments=tuple(Moment(*each) for each in marks),
    )
    try:
        drawing = draw(figure)
    except CannotDraw:
        return
    assert all(0 <= place <= 101 for place in places(drawing))
    for way in drawing.ways:
        across, down = zip(*(map(float, each.split(",")) for each in way.points.split()), strict=True)
        assert 0 <= min(across) <= max(across) <= 1000
        assert 0 <= min(down) <= max(down) <= drawing.height


def share(name: str = "one", value: float = 0.5, **changes: object) -> Share:
    return replace(Share(name, value, (0.4, 0.6), 0.8, (0.7, 0.9)), **changes)  # type: ignore[arg-type]


def test_a_share_lies_beside_what_agrees() -> None:
    drawing = draw(Shares("Split", "How it is split.", Axis("Answers from one"), (share(),)))
    (band,), (dot,) = drawing.boxes, drawing.dots
    assert (band.x, band.width, band.name) == ("69.60%", "19.60%", "agrees: 70 to 90 %")
    assert dot.x == "50.00%"
    assert [(each.look, each.x1) for each in drawing.strokes if each.look != "axis"] == [
        ("expected", "79.40%"),
        ("interval", "40.20%"),
    ]
    assert drawing.values.rows == (("one", "50 %", "40 to 60 %", "80 %", "70 to 90 %"),)


@given(st.lists(st.builds(share, word, number, interval=st.tuples(number, number), expected=number), max_size=60))
def test_any_shares_are_drawn_on_the_page_or_not_at_all(shares: list[Share]) -> None:
    try:
        drawing = draw(Shares("Split", "How it is split.", Axis("Answers"), tuple(shares)))
    except CannotDraw:
        return
    assert all(0 <= place <= 101 for place in places(drawing))


def test_more_shares_than_fit_are_said() -> None:
    drawing = draw(Shares("Split", "How it is split.", Axis("Answers"), tuple(share(str(n)) for n in range(50))))
    assert (len(drawing.dots), drawing.left_out) == (40, ["10 more rows are not drawn."])


def test_an_axis_without_numbers_has_names() -> None:
    axis = Axis("Reading", names=("before", "under load", "afterwards"))
    drawing = draw(Lines("Load", "The load.", axis, Axis("Load", "%"), (Curve("one", ((0, 1), (1, 50), (2, 1))),)))
    ticks = [(each.x, each.text, each.anchor) for each in drawing.texts if each.text in axis.names]
    assert ticks == [("1.00%", "before", "start"), ("50.00%", "under load", "middle"), ("99.00%", "afterwards", "end")]
    assert [row[1] for row in drawing.values.rows] == list(axis.names)


def test_a_named_place_without_a_value_has_room_of_its_own() -> None:
    axis = Axis("Reading", names=("before", "under load", "afterwards"))
    drawing = draw(Lines("Load", "The load.", axis, Axis("Load", "%"), (Curve("one", ((0, 1), (1, 50), (2, None))),)))
    assert [each.x for each in drawing.texts if each.text in axis.names] == ["1.00%", "50.00%", "99.00%"]
    assert [dot.x for dot in drawing.dots] == ["1.00%", "50.00%"]


def test_rows_over_named_places_have_room_for_each() -> None:
    axis = Axis("Phase", names=("before", "during", "after"))
    drawing = draw(Spans("When", "What was when.", axis, (Row("one", (Span("works", 0, 1),)),)))
    assert [each.x for each in drawing.texts if each.text in axis.names] == ["1.00%", "50.00%", "99.00%"]
