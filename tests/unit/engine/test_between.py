"""What changed between two runs: which step leads from one result to the next, and what of the runs is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.certify_runs import CHECK, make_run
from support.report_examples import result

from aiconform.engine.between import (
    CannotCompare,
    Difference,
    between,
    most_important,
    requirement_step,
    step,
)
from aiconform.engine.evidence import Accelerator, AssertionResult, CheckResult, Tool
from aiconform.engine.finished import Finished, read_finished
from aiconform.spec import load_standard

VERDICTS = ("pass", "fail", "error", "not-applicable", "not-run")
RESULTS = st.sampled_from((*VERDICTS, "holds", "broken", "undecided", "left out", ""))
FAILING = ("fail", "broken")
DECIDED = ("pass", "holds", *FAILING)


@given(RESULTS, RESULTS)
def test_a_step_means_what_its_name_says(before: str, after: str) -> None:
    found = step(before, after)
    assert (found == "same") == (before == after)
    assert (found == "worse") == (after in FAILING and before != after)
    assert (found == "undecided") == (before in DECIDED and after in ("error", "not-run", "undecided", ""))
    if found == "better":
        assert after in ("pass", "holds")
        assert step(after, before) in ("worse", "undecided", "changed")


@given(RESULTS, st.sampled_from(("error", "not-run", "undecided", "")))
def test_what_could_not_be_decided_is_never_worse(before: str, after: str) -> None:
    assert step(before, after) in ("undecided", "changed", "same")


def assertion(id_: str, holds: bool | None, asked_by: str = "programme") -> AssertionResult:
    return AssertionResult.model_validate(
        {"id": id_, "title": id_, "asked_by": asked_by, "holds": holds, "reason": "seen", "subjects": 1}
    )


def check(*assertions: AssertionResult, verdict: str = "pass", **changes: object) -> CheckResult:
    return result(CHECK, verdict, strict=verdict, assertions=assertions, **changes)


def test_an_assertion_that_breaks_is_worse_also_where_the_verdict_stays() -> None:
    before, after = check(assertion("a", True, "project")), check(assertion("a", False, "project"))
    found = requirement_step(before, after)
    assert (found.verdict, found.step) == ("same", "worse")
    (only,) = found.assertions
    assert (only.id, only.asked_by, only.before, only.after, only.reason) == ("a", "project", "holds", "broken", "seen")


def test_an_assertion_that_is_left_out_or_has_no_result_is_neither_worse_nor_better() -> None:
    before = check(assertion("a", True), assertion("b", True))
    found = requirement_step(before, check(assertion("b", True), left_out={"a": "it does not apply"}))
    assert [(each.id, each.step, each.after, each.reason) for each in found.assertions] == [
        ("a", "changed", "left out", "it does not apply")
    ]
    assert requirement_step(check(), before).step == "better"
    assert requirement_step(check(left_out={"a": "no"}), check(assertion("a", None))).step == "changed"


def test_the_most_important_step_comes_first() -> None:
    assert most_important(["same", "better", "undecided", "worse"]) == "worse"
    assert most_important(["better", "undecided"]) == "undecided"
    assert most_important([]) == "same"


ASSERTION = assertion("a", True)


@pytest.fixture
def run(tmp_path: Path) -> Finished:
    return read_finished(make_run(tmp_path / "run"), load_standard())


def test_a_run_is_what_it_was(run: Finished) -> None:
    found = between(run, run)
    assert (found.step, found.run, found.only, found.unread) == ("same", (), ((), ()), ())
    assert [each.id for each in found.requirements] == [CHECK]


ACCELERATOR = Accelerator(node="n2", way="dra", name="gpu.test", product="T2", total=8, free=3, simulated=True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda info: {"kubernetes": "v1.37.9"}, Difference("Kubernetes", "v1.37.2", "v1.37.9")),
        (
            lambda info: {"tool": Tool(name="aiconform", version="9")},
            Difference("release", "aiconform 0.1.0", "aiconform 9"),
        ),
        (lambda info: {"suite": "sha256:other"}, Difference("suite", "", "sha256:other")),
        (lambda info: {"cluster": {**info.cluster, "uid": "other"}}, Difference("cluster", "", "other")),
        (
            lambda info: {"accelerators": (*info.accelerators, ACCELERATOR)},
            Difference("gpu.test on n2 (dra)", "", "8 T2, simulated"),
        ),
        (
            lambda info: {"passed_over": ("node n3 is not Ready",)},
            Difference("passed over: node n3 is not Ready", "", "yes"),
        ),
        (lambda info: {"options": {"every_node": True, "new": {"a": 1}}}, Difference("option every_node", "", "True")),
        (lambda info: {"chosen": None}, Difference("scope", "chosen requirements", "all requirements")),
    ],
)
def test_what_differs_of_the_runs_is_told(
    run: Finished, change: Callable[..., dict[str, object]], told: object
) -> None:
    info = run.info.model_copy(update={"options": {"every_node": False}})
    other = info.model_copy(update=change(info))
    (found,) = between(replace(run, info=info), replace(run, info=other)).run
    assert isinstance(told, Difference)
    assert (found.what, found.after) == (told.what, told.after)
    # What is made anew for each test is not spelled out above.
    assert not told.before or found.before == told.before


def test_how_many_accelerators_are_free_says_nothing_of_the_platform(run: Finished) -> None:
    busy = tuple(each.model_copy(update={"free": 0}) for each in run.info.accelerators)
    assert between(run, replace(run, info=run.info.model_copy(update={"accelerators": busy}))).run == ()


def test_a_requirement_that_one_run_did_not_look_at_is_named(run: Finished) -> None:
    more = run.report.model_copy(
        update={
            "checks": (
                *run.report.checks,
                result("dra_support", "fail"),
                result("gpu_sharing", "not-run", assertions=()),
            )
        }
    )
    found = between(run, replace(run, report=more))
    assert found.only == ((), ("dra_support",))
    gone = between(replace(run, report=more), run)
    assert gone.only == (("dra_support",), ())


@pytest.mark.parametrize(
    ("other", "gone", "come"),
    [
        (result("dra_support", "pass", assertions=()), "undecided", "same"),
        (result("dra_support", "fail", assertions=()), "undecided", "undecided"),
        (result("dra_support", "error", strict="error", assertions=()), "same", "same"),
        (result("dra_support", "error", strict="fail", assertions=()), "undecided", "undecided"),
        (result("dra_support", "error", strict="error", assertions=(ASSERTION,)), "undecided", "same"),
        (result("dra_support", "not-applicable", strict="not-applicable", assertions=()), "same", "same"),
    ],
)
def test_what_only_one_run_looked_at_is_not_known_to_be_no_worse(
    other: CheckResult, gone: str, come: str, run: Finished
) -> None:
    more = replace(run, report=run.report.model_copy(update={"checks": (*run.report.checks, other)}))
    for found, step_ in ((between(more, run), gone), (between(run, more), come)):
        assert found.step == step_
        assert found.unknown == (("dra_support",) if step_ == "undecided" else ())
    unread = replace(more, unread={"dra_support": "made by aiconform 9"})
    assert between(unread, run).step == between(run, unread).step == "undecided"


def test_runs_without_a_requirement_in_common_are_not_compared(run: Finished) -> None:
    not_run = result("dra_support", "not-run", assertions=())
    nothing = replace(run, report=run.report.model_copy(update={"checks": (not_run,)}))
    other = replace(run, report=run.report.model_copy(update={"checks": (result("dra_support"),)}))
    for one, another in ((run, other), (other, run), (run, nothing), (nothing, nothing)):
        with pytest.raises(CannotCompare, match=r"no requirement in common.*name runs of the same requirements"):
            between(one, another, any_version=True)


def test_a_requirement_that_was_to_be_run_and_was_not_is_undecided(run: Finished) -> None:
    nothing = run.report.model_copy(update={"checks": (result(CHECK, "not-run", assertions=()),)})
    assert between(run, replace(run, report=nothing)).step == "undecided"


def test_what_cannot_be_recomputed_is_not_compared(run: Finished) -> None:
    newer = replace(run, unread={CHECK: "made by aiconform 9"})
    for found in (between(run, newer), between(newer, run)):
        assert (found.unread, found.requirements, found.step) == ((CHECK,), (), "undecided")
        assert "verdict" not in [each.what for each in found.run if each.before and each.after]


def test_runs_for_different_versions_are_compared_only_if_asked(run: Finished) -> None:
    older = replace(run, info=run.info.model_copy(update={"standard": "v1.36"}))
    with pytest.raises(CannotCompare, match=r"run for v1\.36 and .* one for v1\.37.*spec diff.*--any-version"):
        between(older, run)
    assert between(older, run, any_version=True).run == (Difference("standard", "v1.36", "v1.37"),)
