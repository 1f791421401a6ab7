"""Limits inside the lab are multiples of how slow the machine is."""

from __future__ import annotations

import pytest

from aiconform.lab.machines import pace


@pytest.mark.parametrize(("measured", "factor"), [(0.3, 1.0), (1.0, 1.0), (3.26, 3.3), (500.0, 10.0)])
def test_limits_follow_what_is_measured_and_are_never_shorter(
    monkeypatch: pytest.MonkeyPatch, measured: float, factor: float
) -> None:
    monkeypatch.setattr(pace, "_measured", lambda: measured)
    assert pace.slowness() == factor
    assert pace.limit(30) == 30 * factor


def test_a_lab_that_came_up_on_a_busy_machine_is_not_slow_ever_after(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = iter([9.8] * 5 + [1.2] * 5)
    monkeypatch.setattr(pace, "_measured", lambda: next(measured))
    assert [pace.limit(10), pace.limit(10)] == [98, 12]


def test_a_moment_in_which_others_have_the_cpus_says_nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = iter([1.2, 60.0, 1.1, 10.0, 1.3])
    monkeypatch.setattr(pace, "_measured", lambda: next(measured))
    assert pace.slowness() == 1.3


def test_a_machine_on_which_a_sample_takes_long_is_not_asked_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    now, taken = [0.0], []

    def measured() -> float:
        now[0] += 0.4
        taken.append(4.0)
        return 4.0

    monkeypatch.setattr(pace, "_measured", measured)
    monkeypatch.setattr(pace.time, "perf_counter", lambda: now[0])
    assert pace.slowness() == 4
    assert len(taken) == 2


def test_a_machine_is_measured() -> None:
    assert 1 <= pace.slowness() <= 10
