"""Many runs by time: what a later result is held against."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.report_examples import result

from aiconform.engine.between import requirement_step
from aiconform.engine.evidence import AssertionResult, CheckResult
from aiconform.engine.history import decided

OPEN = ("error", "not-run")
HOLDS = st.sampled_from((True, False, None))
VERDICTS = st.sampled_from(("pass", "fail", "not-applicable", *OPEN))


def assertion(id_: str, holds: bool | None) -> AssertionResult:
    return AssertionResult(id=id_, title=id_, asked_by="programme", holds=holds, reason="seen", subjects=1)


@st.composite
def results(draw: st.DrawFn) -> CheckResult:
    held = draw(st.dictionaries(st.sampled_from("abc"), st.one_of(HOLDS, st.just("left out"))))
    return result(
        "dra_support",
        draw(VERDICTS),
        strict=draw(VERDICTS),
        assertions=tuple(assertion(id_, each) for id_, each in held.items() if each != "left out"),
        left_out={id_: "it does not apply" for id_, each in held.items() if each == "left out"},
    )


def holds(check: CheckResult) -> dict[str, bool | None]:
    return {each.id: each.holds for each in check.assertions}


@given(results(), results())
def test_what_is_decided_stays_until_it_is_decided_otherwise(before: CheckResult, after: CheckResult) -> None:
    kept = decided(before, after)
    for of in ("verdict", "strict"):
        was, is_ = getattr(before, of), getattr(after, of)
        assert getattr(kept, of) == (was if is_ in OPEN else is_)
    for id_ in "abc":
        if id_ in after.left_out:
            assert id_ not in holds(kept)
        elif holds(after).get(id_) is not None:
            assert holds(kept)[id_] == holds(after)[id_]
        else:
            assert holds(kept).get(id_) == holds(before).get(id_)


@given(results(), results())
def test_what_happened_already_is_not_worse_again(before: CheckResult, after: CheckResult) -> None:
    again = requirement_step(decided(before, after), after)
    assert again.step in ("same", "undecided", "changed")
