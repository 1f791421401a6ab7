"""The rules by which a requirement lives: held by the standard, broken by what breaks them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiconform.check.registry import check_ids, load_check
from aiconform.lab.faults.registry import FAULTS
from aiconform.spec import Level, Requirement, Stage, Standard, load_standard
from aiconform.spec.lifecycle import ORDER, breaches, disagreements
from aiconform.spec.model import Event, Related, Wording
from aiconform.spec.review import review
from aiconform.spec.schema import SCHEMA_FILE, schema_text
from aiconform.spec.suite import CHECKS_FROM, gaps, orphans
from aiconform.spec.words import EventKind
from aiconform.spec.yamlfile import read

STANDARD = load_standard()
CHECKS = set(check_ids())
SHARED = Path(os.environ.get("AICONFORM_SHARED", "../shared")) / "cncf" / "checklists"


def with_changes(id_: str, **changes: object) -> Standard:
    """The standard with one requirement changed."""
    changed = STANDARD.requirement(id_).model_copy(update=changes)
    others = tuple(changed if r.id == id_ else r for r in STANDARD.requirements)
    return dataclasses.replace(STANDARD, requirements=others)


def problems(id_: str, **changes: object) -> str:
    found = breaches(with_changes(id_, **changes))
    assert {breach.requirement for breach in found} <= {id_}
    return "; ".join(breach.problem for breach in found)


def levels(*given: str) -> Mapping[str, Level]:
    """Levels of the newest versions, oldest first."""
    return dict(zip(STANDARD.versions[-len(given) :], map(Level, given), strict=True))


# The standard keeps its rules


def test_no_rule_is_broken() -> None:
    assert breaches(STANDARD) == []


def test_every_check_is_named_by_a_requirement() -> None:
    assert CHECKS
    assert all(load_check(name).id == STANDARD.requirement(name).id for name in CHECKS)


def test_the_committed_schema_is_the_models() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text()


def test_what_is_on_the_list_has_a_check_or_is_counted_as_missing() -> None:
    listed = {r.id for r in STANDARD.at(CHECKS_FROM) if r.level_at(CHECKS_FROM) != "folded"}
    missing = {gap.requirement for gap in gaps(STANDARD, CHECKS_FROM, CHECKS) if gap.kind == "check"}
    assert missing == listed - CHECKS


def test_a_must_with_a_check_has_an_assertion_that_a_fault_breaks() -> None:
    broken = set().union(*(fault.checks for fault in FAULTS.values()))
    assert broken <= CHECKS
    assert [gap for gap in gaps(STANDARD, STANDARD.newest, CHECKS, broken) if gap.kind == "fault"] == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="the public checklists are not beside the checkout (AICONFORM_SHARED)")
@pytest.mark.parametrize("version", [release.version for release in STANDARD.releases if release.released])
def test_levels_are_those_of_the_public_checklist(version: str) -> None:
    data = read(SHARED / f"AIConformance-{version[1:]}.yaml").data
    checklist = {category: {item["id"]: item["level"] for item in items} for category, items in data["spec"].items()}
    assert sum(map(len, checklist.values())) == {"v1.33": 9, "v1.34": 9, "v1.35": 12, "v1.36": 14, "v1.37": 15}[version]
    assert disagreements(STANDARD, version, checklist) == []


# What breaks a rule


def test_nothing_enters_as_must_after_the_founding_lists() -> None:
    said = problems("workload_sandboxing", levels=levels("MUST", "MUST"), stage=Stage.MUST)
    assert "enters v1.37 as a MUST" in said


def test_nothing_enters_without_having_been_proposed() -> None:
    history = STANDARD.requirement("gang_scheduling").history[1:]
    assert "begins with entered" in problems("gang_scheduling", history=history)
    unsourced = (history[0].model_copy(update={"event": EventKind.PROPOSED, "sources": ()}), *history)
    assert "without a source" in problems("gang_scheduling", history=unsourced)


def test_levels_do_not_go_back_or_skip() -> None:
    assert "from MUST to SHOULD" in problems("gang_scheduling", levels=levels("MUST", "SHOULD"), stage=Stage.MUST)
    assert "from SHOULD to folded" in problems("gpu_sharing", levels=levels("SHOULD", "folded"), stage=Stage.SHOULD)
    gone = {v: level for v, level in STANDARD.requirement("gang_scheduling").levels.items() if v != "v1.36"}
    assert "no level for v1.36" in problems("gang_scheduling", levels=gone)
    assert "v1.99" in problems("gang_scheduling", levels={**gone, "v1.36": Level.MUST, "v1.99": Level.MUST})
    assert "enters as folded" in problems("gpu_sharing", levels=levels("folded", "folded"), stage=Stage.FOLDED)


def test_stage_history_and_levels_agree() -> None:
    assert "level at v1.37 makes it SHOULD" in problems("gpu_sharing", stage=Stage.MUST)
    history = STANDARD.requirement("dra_support").history
    assert "folded in v1.36" in problems("dra_support", history=history[:-1])
    told = Event(event=EventKind.PROMOTED, version="v1.37", what="Not so.")
    assert "its levels do not show" in problems(
        "gang_scheduling", history=(*STANDARD.requirement("gang_scheduling").history, told)
    )
    swapped = (history[0], history[2], history[1], *history[3:])
    assert "comes after" in problems("dra_support", history=swapped)


def test_a_former_wording_needs_its_event() -> None:
    said = problems("gang_scheduling", earlier=(Wording(through="v1.35", statement="It MUST have been so."),))
    assert "no event says that v1.36 changed it" in said


def test_related_ids_kar_numbers_and_categories() -> None:
    assert "nowhere" in problems("gpu_sharing", related=(Related(id="no_such", why="x"),))
    assert "itself" in problems("gpu_sharing", related=(Related(id="gpu_sharing", why="x"),))
    assert "KAR number 1" in problems("gpu_sharing", kar=1)
    assert "without a category" in problems("gpu_sharing", category=None)


def test_checklists_are_compared_in_both_directions() -> None:
    ours = {"accelerators": {"dra_support": "SHOULD"}, "storage": {"fast": "MUST"}}
    said = "\n".join(disagreements(STANDARD, "v1.33", ours))
    assert "storage/fast: the standard says nothing, the checklist MUST" in said
    assert "networking/ai_inference: the standard says MUST, the checklist nothing" in said
    assert "dra_support" not in said


def test_modules_without_a_requirement_are_found() -> None:
    assert orphans(STANDARD, {"gang_scheduling", "gang_schedule"}) == ["gang_schedule"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(ORDER), min_size=1, max_size=6))
def test_levels_that_only_rise_by_steps_are_the_only_ones_without_a_breach(given_levels: list[Level]) -> None:
    changed = levels(*given_levels)
    standard = with_changes("gpu_sharing", levels=changed)
    steps = {breach.where for breach in breaches(standard) if "goes from" in breach.problem}
    ranks = [ORDER.index(level) for level in given_levels]
    bad = {v for v, a, b in zip(list(changed)[1:], ranks, ranks[1:], strict=False) if b - a not in (0, 1)}
    assert {where[1] for where in steps} == bad


@settings(deadline=None)
@given(
    st.sets(st.sampled_from(STANDARD.ids)), st.sampled_from(STANDARD.versions), st.sets(st.sampled_from(STANDARD.ids))
)
def test_gaps_and_checks_add_up_to_the_list(checks: set[str], version: str, broken: set[str]) -> None:
    listed = {r.id: r for r in STANDARD.at(version) if r.level_at(version) != "folded"}
    found = gaps(STANDARD, version, checks, broken)
    assert {gap.requirement for gap in found if gap.kind == "check"} == set(listed) - checks
    musts = {id_ for id_, r in listed.items() if r.level_at(version) == "MUST"}
    assert {gap.requirement for gap in found if gap.kind == "fault"} == (musts & checks) - broken
    assert len(found) == len({gap.requirement for gap in found})


def test_a_review_tells_the_line(tmp_path: Path) -> None:
    from aiconform.spec.standard import REQUIREMENTS

    for path in REQUIREMENTS.glob("*.yaml"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    changed = tmp_path / "gpu_sharing.yaml"
    text = changed.read_text(encoding="utf-8")
    changed.write_text(text.replace("stage: SHOULD", "stage: MUST"), encoding="utf-8")
    line = text.split("stage:")[0].count("\n") + 1
    found = review(tmp_path, checks={})
    assert found.exit_code == 1
    assert found.problems[0].startswith(f"{changed}:{line}: gpu_sharing is at the stage MUST")


def test_requirements_cannot_be_changed() -> None:
    requirement: Requirement = STANDARD.requirement("gpu_sharing")
    with pytest.raises(ValueError, match="frozen"):
        requirement.title = "x"  # type: ignore[misc]
