"""A check works while one of its probes does; the rest of its time it only waits."""

from __future__ import annotations

from contextlib import ExitStack

from hypothesis import given
from hypothesis import strategies as st

from aiconform.engine.clock import WorkClock


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=6))
def test_worked_is_the_union_of_its_probes_times_and_the_rest_was_waited(spans: list[tuple[int, int]]) -> None:
    now = 0
    clock = WorkClock(lambda: now)
    open_: dict[int, ExitStack] = {}
    for now in range(50):
        for number, (begin, length) in enumerate(spans):
            if number in open_ and now >= begin + length:
                open_.pop(number).close()
            elif now == begin and length:
                open_[number] = ExitStack()
                open_[number].enter_context(clock.working())
    worked = len({second for begin, length in spans for second in range(begin, begin + length)})
    assert clock.measured() == (worked, 49 - worked)
