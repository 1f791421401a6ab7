"""From observations to verdicts: the rules that a report lives by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check import Assertion, Check, Finding, Observation, Probe, left_out
from aiconform.engine.evidence import CheckResult, Evidence, Record
from aiconform.engine.verdicts import UnreadableEvidence, judge_check, judge_run
from aiconform.spec import load_standard


class Number(Observation):
    """A number that assertions judge: negative breaks, zero is undecided."""

    value: int
    subjects: int = 1


def positive(seen: Number) -> Finding:
    if seen.value > 1000:
        return left_out("too large to have a sign")
    return Finding(None if seen.value == 0 else seen.value > 0, f"value {seen.value}", seen.subjects)


async def look(*_: object) -> Number:
    raise NotImplementedError


REQUIREMENT = load_standard().requirement("secure_accelerator_access")


def even(seen: Number) -> Finding:
    return Finding(None if seen.value > 100 else seen.value % 2 == 0, f"value {seen.value}", seen.subjects)


PROBE = Probe("look", look, Number, None, 1, (0, 0), "restricted", ())
POSITIVE = Assertion("positive", "The number is positive", positive, Number, ("positive",))
EVEN = Assertion("even", "The number is even", even, Number, ("even", "round"))
CHECK = Check(REQUIREMENT.id, (PROBE,), (POSITIVE,))


def record(value: int | None, outcome: str = "seen", subjects: int = 1, target: str = "here") -> Record:
    observation = None if value is None else {"value": value, "subjects": subjects}
    message = "" if outcome == "seen" else f"because {outcome}"
    return Record(
        probe="look",
        target=target,
        outcome=outcome,
        message=message,
        observes="Number",
        observation=observation,
        seconds=0,
        requests=0,
    )


def judged(*records: Record) -> CheckResult:
    evidence = Evidence(check=CHECK.id, suite="", seconds=0, requests=0, records=records)
    return judge_check(REQUIREMENT, "v1.37", CHECK, evidence)


@pytest.mark.parametrize(
    ("records", "verdict"),
    [
        ([record(1)], "pass"),
        ([record(1), record(2)], "pass"),
        ([record(1), record(-1)], "fail"),
        ([record(1), record(0)], "error"),
        ([record(-1), record(0)], "fail"),
        ([record(1, subjects=0)], "error"),
        ([], "error"),
        ([record(1), record(None, "error")], "error"),
        ([record(-1), record(None, "error")], "fail"),
        ([record(None, "nothing")], "error"),
        ([record(None, "not-applicable")], "not-applicable"),
        ([record(None, "not-applicable"), record(1)], "pass"),
        ([record(None, "not-applicable"), record(None, "error")], "error"),
    ],
)
def test_the_verdict_of_a_check(records: list[Record], verdict: str) -> None:
    assert judged(*records).verdict == verdict


records_strategy = st.lists(
    st.one_of(
        st.builds(record, st.integers(-2, 2), subjects=st.integers(0, 2)),
        st.builds(record, st.none(), st.sampled_from(["error", "nothing", "not-applicable"])),
    ),
    max_size=5,
)


def test_what_does_not_apply_says_once_what_was_looked_at() -> None:
    short = record(None, "not-applicable")
    long, other = (short.model_copy(update={"message": text}) for text in (f"{short.message}; nor inside", "or else"))
    assert judged(short, long, short).reason == long.message
    assert judged(long, other).reason == f"{long.message}; or else"


@given(records_strategy)
def test_a_pass_needs_every_observation_to_hold_over_a_subject(records: list[Record]) -> None:
    result = judged(*records)
    seen = [entry.observation for entry in records if entry.observation]
    clean = seen and all(entry["value"] > 0 and entry["subjects"] > 0 for entry in seen)
    harmless = all(entry.outcome in ("seen", "not-applicable") for entry in records)
    assert (result.verdict == "pass") == bool(clean and harmless)
    assert (result.verdict == "fail") == any(entry["value"] < 0 for entry in seen)
    assert result.reason


def test_what_does_not_apply_is_left_out_and_keeps_nothing_from_being_decided() -> None:
    check = Check(REQUIREMENT.id, (PROBE,), (POSITIVE, Assertion("odd", "It is odd", even, Number, ("odd",))))
    evidence = Evidence(check=CHECK.id, suite="", seconds=0, requests=0, records=(record(1001),))
    result = judge_check(REQUIREMENT, "v1.37", check, evidence)
    assert result.left_out == {"positive": "too large to have a sign"}
    assert [each.id for each in result.assertions] == ["odd"]


def test_an_assertion_is_judged_where_it_applies() -> None:
    result = judged(record(1001), record(1, target="there"))
    assert (result.verdict, result.left_out) == ("pass", {})
    assert result.assertions[0].targets == {"there": True}
    assert judged(record(1001), record(-1)).verdict == "fail"


def test_a_check_of_which_nothing_applies_is_no_pass() -> None:
    result = judged(record(1001))
    assert (result.verdict, result.reason) == (
        "error",
        "could not decide: the check asserts nothing of what was observed; left out: positive",
    )


def test_an_assertion_over_all_observations_judges_them_together() -> None:
    def alike(seen: Sequence[Number]) -> Finding:
        return Finding(len({each.value for each in seen}) == 1, "compared", len(seen))

    def judge(*records: Record) -> CheckResult:
        evidence = Evidence(check=CHECK.id, suite="", seconds=0, requests=0, records=records)
        declared = Assertion("alike", "They are alike", alike, Number, ("alike",), together=True)
        return judge_check(REQUIREMENT, "v1.37", Check(REQUIREMENT.id, (PROBE,), (declared,)), evidence)

    (found,) = judge(record(1), record(1, target="there"), record(None, "not-applicable")).assertions
    assert (found.holds, found.subjects, found.targets) == (True, 2, {"cluster": True})
    assert judge(record(1), record(2, target="there")).verdict == "fail"
    assert judge(record(None, "error")).verdict == "error"
    assert judge().assertions[0].reason == "nothing was observed"


def test_a_reason_names_the_target_when_there_are_several() -> None:
    assert "here: value -1" in judged(record(1), record(-1)).reason


@pytest.mark.parametrize(
    ("value", "verdict", "strict"),
    [
        (2, "pass", "pass"),
        (1, "pass", "fail"),
        (101, "pass", "error"),
        (0, "error", "error"),
        (-1, "fail", "fail"),
        (-2, "fail", "fail"),
    ],
)
def test_what_goes_beyond_the_programmes_words_counts_in_the_strict_verdict_alone(
    value: int, verdict: str, strict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(REQUIREMENT), "programme_lines", lambda *_: frozenset({"positive", "other"}), raising=False
    )
    check = Check(REQUIREMENT.id, (PROBE,), (POSITIVE, EVEN))
    evidence = Evidence(check=check.id, suite="", seconds=0, requests=0, records=(record(value),))
    result = judge_check(REQUIREMENT, "v1.37", check, evidence)
    assert (result.verdict, result.strict) == (verdict, strict)
    assert [(each.id, each.asked_by) for each in result.assertions] == [("positive", "programme"), ("even", "project")]
    if verdict != strict:
        assert "beyond the programme's words" in result.reason
        assert f"value {value}" in result.reason
        assert judge_run([result], load_standard(), chosen=True) == "conformant"
        assert judge_run([result], load_standard(), chosen=True, strict=True) != "conformant"


def test_where_the_programme_asks_for_no_assertion_all_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(REQUIREMENT), "programme_lines", lambda *_: frozenset(), raising=False)
    assert (judged(record(-1)).verdict, judged(record(-1)).strict) == ("fail", "fail")


def test_a_report_with_one_verdict_has_it_over_all_assertions() -> None:
    old = judged(record(-1)).model_dump(exclude={"strict"})
    for each in old["assertions"]:
        del each["id"], each["asked_by"]
    read = CheckResult.model_validate(old)
    assert (read.verdict, read.strict) == ("fail", "fail")
    assert [each.id for each in read.assertions] == [""]


@pytest.mark.parametrize("change", [{"probe": "other"}, {"observes": "Other"}, {"observation": {"value": "x"}}])
def test_an_observation_that_this_suite_does_not_make_is_not_judged(change: dict[str, object]) -> None:
    with pytest.raises(UnreadableEvidence, match="secure_accelerator_access"):
        judged(record(1).model_copy(update=change))


@dataclass(frozen=True)
class Run:
    verdicts: tuple[tuple[str, str, str], ...]
    chosen: bool
    expected: str


@pytest.mark.parametrize(
    "run",
    [
        Run((("a", "MUST", "pass"), ("b", "SHOULD", "fail")), False, "conformant"),
        Run((("a", "MUST", "pass"), ("b", "SHOULD", "fail")), True, "not-conformant"),
        Run((("a", "MUST", "pass"), ("b", "folded", "fail")), False, "not-conformant"),
        Run((("a", "MUST", "pass"), ("b", "MUST", "not-run")), False, "undetermined"),
        Run((("a", "MUST", "pass"), ("b", "MUST", "error")), False, "undetermined"),
        Run((("a", "MUST", "error"), ("b", "MUST", "fail")), False, "not-conformant"),
        Run((("a", "MUST", "pass"), ("cluster_autoscaling", "MUST", "not-applicable")), False, "conformant"),
        Run((("a", "MUST", "pass"), ("b", "MUST", "not-applicable")), False, "undetermined"),
        Run((("cluster_autoscaling", "MUST", "not-applicable"),), False, "undetermined"),
        Run((("a", "SHOULD", "pass"),), False, "undetermined"),
        Run((("a", "SHOULD", "pass"),), True, "conformant"),
        Run((), True, "undetermined"),
    ],
)
def test_the_verdict_of_a_run(run: Run) -> None:
    results = [
        CheckResult(
            strict=verdict,
            id=name,
            title=name,
            level=level,
            verdict=verdict,
            reason="",
            seconds=0,
            requests=0,
            assertions=(),
        )
        for name, level, verdict in run.verdicts
    ]
    assert judge_run(results, load_standard(), chosen=run.chosen) == run.expected


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(-1, 1), st.integers(0, 1))))
def test_an_assertion_says_of_each_target_whether_it_holds_there(seen: list[tuple[str, int, int]]) -> None:
    (result,) = judged(
        *(record(value, subjects=subjects, target=target) for target, value, subjects in seen)
    ).assertions
    alone = {
        target: judged(*(record(value, subjects=n, target=target) for name, value, n in seen if name == target))
        for target, _, _ in seen
    }
    assert result.targets == {target: of_target.assertions[0].holds for target, of_target in alone.items()}
    assert (False in result.targets.values()) is (result.holds is False)
