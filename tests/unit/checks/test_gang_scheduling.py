"""The gang check's rules over made-up records, and its choice of solution, place and room, without a cluster."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check import NothingToLookAt
from aiconform.checks.gang_scheduling import assertions as check
from aiconform.checks.gang_scheduling import outcome, placement
from aiconform.checks.gang_scheduling.choice import NAMES
from aiconform.checks.gang_scheduling.observations import Contention, Room, Scarcity
from aiconform.checks.gang_scheduling.options import GangScheduling
from aiconform.checks.gang_scheduling.outcome import TOGETHER, Gang, Member
from aiconform.checks.gang_scheduling.session import Refused

SETTING: dict[str, Any] = {
    "solution": "kueue",
    "version": "0.19.2",
    "api": "kueue.x-k8s.io/v1beta2",
    "chosen": "it is the only one",
    "down": (),
    "way": "device-plugin",
    "resource": "example.com/gpu",
    "simulated": True,
    "nodes": ("a",),
    "free": 4,
}


def member(name: str, begin: float | None, end: float | None = None, *, well: bool = True) -> Member:
    """A Pod that was placed and ran from `begin` on, and ended well or was sent away at `end`."""
    fields: dict[str, Any] = {"name": name, "node": "a" if begin is not None else "", "created": 0.0}
    if begin is not None:
        fields |= {"scheduled": begin, "running": begin}
    if end is not None:
        fields |= {"ended": end, "succeeded": True} if well else {"gone": end}
    return Member(**fields)


def gang(*members: Member, size: int = 3, watched: float = 60.0, name: str = "one") -> Gang:
    return Gang(name=name, size=size, watched=watched, members=members)


def whole(begin: float, end: float | None, name: str = "one") -> Gang:
    return gang(*(member(f"{name}-{number}", begin, end) for number in range(3)), name=name)


NOBODY = gang(*(member(f"p-{number}", None) for number in range(3)))


# Records


def test_a_whole_gang_is_never_split() -> None:
    assert outcome.longest_split(whole(1, 11)) == 0
    assert outcome.most_at_once(whole(1, 11)) == 3
    assert outcome.finished(whole(1, 11)) == 11


def test_pods_that_end_one_after_the_other_are_no_split() -> None:
    assert outcome.longest_split(gang(member("a", 1, 10), member("b", 1, 20), member("c", 1, 30))) == 0


def test_a_part_that_waits_for_the_rest_is_a_split() -> None:
    assert outcome.longest_split(gang(member("a", 1), member("b", 1), member("c", None))) == 59
    assert outcome.longest_split(gang(member("a", 1, 11), member("b", 1, 11), member("c", 11, 21))) == 10


def test_a_gang_that_is_sent_away_and_comes_back_is_split_only_meanwhile() -> None:
    first = [member("a", 1, 4, well=False), member("b", 1, 4, well=False)]
    again = [member(name, 30, 40) for name in ("a2", "b2", "c2")]
    seen = gang(*first, *again)
    assert outcome.longest_split(seen) == 3
    assert outcome.finished(seen) == 40


def test_what_ran_one_after_the_other_did_not_run_together() -> None:
    assert outcome.most_at_once(gang(member("a", 1, 5), member("b", 5, 9), member("c", 9, 12))) == 1


starts = st.floats(0, 50, allow_nan=False)


@given(st.lists(st.tuples(st.none() | starts, st.floats(0.1, 50)), min_size=1, max_size=6), st.integers(1, 6))
def test_records_of_any_shape_keep_their_bounds(spans: list[tuple[float | None, float]], size: int) -> None:
    members = [
        member(str(number), begin, None if begin is None else begin + span)
        for number, (begin, span) in enumerate(spans)
    ]
    seen = gang(*members, size=size, watched=100.0)
    assert 0 <= outcome.longest_split(seen) <= 100
    assert outcome.most_at_once(seen) <= len(outcome.started(seen))
    if outcome.finished(seen) is not None:
        assert len(outcome.succeeded(seen)) >= size


@given(st.lists(starts, min_size=3, max_size=3))
def test_a_split_lasts_from_the_first_start_to_the_last(begins: list[float]) -> None:
    seen = gang(*(member(str(number), begin, 100.0) for number, begin in enumerate(begins)), watched=120.0)
    assert outcome.longest_split(seen) == pytest.approx(max(begins) - min(begins))


# Assertions


def test_a_gang_that_fits() -> None:
    def fits(seen: Gang | None, **change: Any) -> Any:
        return check.gang_runs(Room(**SETTING | change, patience=20, gang=seen, problem="" if seen else "refused by X"))

    assert fits(whole(1, 11)).holds is True
    assert fits(whole(1, 11)).subjects == 3
    assert fits(whole(1, None)).holds is False
    assert fits(NOBODY).holds is False
    assert "not available: k/c" in fits(NOBODY, down=("k/c",)).reason
    assert "refused by X" in fits(None).reason
    assert fits(gang(member("a", 1, 5), member("b", 5, 9), member("c", 9, 12))).holds is False


def scarcity(seen: Gang, *, released: float | None = 10.0, said: str = "waits") -> Scarcity:
    return Scarcity(**SETTING, patience=20, left=2, window=10, gang=seen, said=said, released=released)


def test_a_gang_that_waits_and_is_let_go() -> None:
    seen = scarcity(whole(12, None))
    assert [each(seen).holds for each in (check.no_pod_starts, check.wait_is_reported, check.waiting_gang_runs)] == [
        True,
        True,
        True,
    ]


def test_one_pod_that_starts_too_early_is_enough() -> None:
    seen = scarcity(gang(member("a", 3), member("b", None), member("c", None)), released=None)
    assert check.no_pod_starts(seen).holds is False
    assert "a on a after 3.0 s" in check.no_pod_starts(seen).reason
    assert check.wait_is_reported(seen).holds is None
    assert check.waiting_gang_runs(seen).holds is None


def test_silence_and_no_release_are_told_apart() -> None:
    assert check.wait_is_reported(scarcity(whole(12, None), said="")).holds is False
    assert check.waiting_gang_runs(scarcity(whole(12, None), said="")).holds is True
    assert check.waiting_gang_runs(scarcity(NOBODY)).holds is False
    assert check.no_pod_starts(scarcity(NOBODY)).holds is True


def contention(one: Gang, two: Gang) -> Contention:
    return Contention(**SETTING, patience=20, work=8, room=4, gangs=(one, two))


def test_two_gangs_one_after_the_other() -> None:
    seen = contention(whole(1, 11), whole(12, 22, "two"))
    assert check.no_partial_hold(seen).holds is True
    assert check.both_gangs_finish(seen).holds is True


def test_two_halves_that_wait_for_each_other() -> None:
    half = gang(member("a", 1), member("b", 1), member("c", None))
    seen = contention(half, half)
    assert check.no_partial_hold(seen).holds is False
    assert check.both_gangs_finish(seen).holds is None


def test_bindings_some_seconds_apart_are_no_part() -> None:
    slow = gang(member("a", 1, 20), member("b", 3, 20), member("c", TOGETHER, 20))
    assert check.no_partial_hold(contention(slow, whole(21, 30, "two"))).holds is True


def test_a_gang_that_starves() -> None:
    seen = contention(whole(1, 11), NOBODY)
    assert check.no_partial_hold(seen).holds is True
    assert check.both_gangs_finish(seen).holds is False
    assert check.no_partial_hold(contention(NOBODY, NOBODY)).holds is None
    assert check.both_gangs_finish(contention(NOBODY, NOBODY)).holds is False


# Room


@given(st.integers(2, 64), st.integers(2, 16))
def test_one_gang_fits_and_two_do_not(free: int, most: int) -> None:
    sizes = placement.sizes(free, most)
    assert 2 <= sizes.gang <= most
    assert sizes.gang <= sizes.room <= free
    assert sizes.room < 2 * sizes.gang
    # Pod by Pod a second gang could always begin: with what the first leaves, or when its first Pod ends.
    assert sizes.room > sizes.gang or sizes.stagger > TOGETHER


def test_a_gang_works_longer_than_a_split_may_last() -> None:
    assert placement.WORK > TOGETHER


@pytest.mark.parametrize("name", ["observe_seconds", "window"])
@pytest.mark.parametrize("window", ["4", "-1", "x"])
def test_a_window_too_short_to_mean_anything_is_refused(name: str, window: str) -> None:
    from aiconform.engine.options import parse
    from aiconform.engine.plan import BadChoice

    with pytest.raises(BadChoice, match=r"gang_scheduling\.observe_seconds"):
        parse([f"gang_scheduling.{name}={window}"])


def test_an_unknown_solution_is_refused_with_those_that_are() -> None:
    from aiconform.engine.options import parse
    from aiconform.engine.plan import BadChoice

    with pytest.raises(BadChoice, match="kueue, volcano"):
        parse(["gang_scheduling.solution=slurm"])


@pytest.mark.parametrize("name", ["", *NAMES])
def test_every_adapter_is_offered(name: str) -> None:
    assert GangScheduling(solution=name).solution == name


def test_nothing_to_look_at_is_no_verdict() -> None:
    assert issubclass(Refused, NothingToLookAt)
