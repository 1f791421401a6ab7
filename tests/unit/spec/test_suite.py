"""Lines and limits beside the assertions and options that cite them."""

from __future__ import annotations

from pathlib import Path

from aiconform.spec import Requirement, load_extension, load_standard
from aiconform.spec.suite import Citations, mismatches

STANDARD = load_standard()
GANGS = STANDARD.requirement("gang_scheduling")


def citations(requirement: Requirement, **options: list[str]) -> Citations:
    """An assertion for each line that one can judge, and an option for each limit that an option can set."""
    return Citations(
        {line.id: [line.id] for line in requirement.lines if not line.not_judged},
        {f"{limit.id}_seconds": [limit.id] for limit in requirement.procedure.limits if not limit.set_by} | options,
    )


def problems(requirement: Requirement, cited: Citations) -> list[str]:
    return [breach.problem for breach in mismatches(requirement, cited)]


def test_a_check_that_serves_every_line_and_limit() -> None:
    for requirement in STANDARD.requirements:
        assert problems(requirement, citations(requirement)) == []


def test_one_assertion_may_serve_several_lines_and_one_line_several_assertions() -> None:
    cited = citations(GANGS)
    lines = {name: ids for name, ids in cited.assertions.items() if name not in ("wait_is_reported", "no_pod_starts")}
    merged = lines | {"gang_waits": ["wait_is_reported", "no_pod_starts"], "too": ["gang_runs"]}
    assert problems(GANGS, Citations(merged, cited.options)) == []


def test_lines_and_limits_that_nothing_serves_are_named() -> None:
    said = problems(GANGS, Citations({}, {}))
    assert "has the line no_pod_starts, which no assertion serves" in said
    fixed = {limit.id for limit in GANGS.procedure.limits if limit.set_by}
    unset = [
        f"has the limit {each.id}, which no option sets" for each in GANGS.procedure.limits if each.id not in fixed
    ]
    assert said[len(GANGS.lines) :] == unset


def test_citations_of_what_is_not_there_are_named() -> None:
    cited = citations(GANGS, patience_seconds=["patience"])
    said = problems(GANGS, Citations({**cited.assertions, "gang_sings": ["gang_sings"]}, cited.options))
    assert said == [
        "has no line gang_sings, which the assertion gang_sings serves",
        "has no limit patience, which the option patience_seconds sets",
    ]


def test_what_is_said_to_be_unjudged_or_set_otherwise_is_so() -> None:
    metrics = STANDARD.requirement("accelerator_metrics")
    procedure = metrics.procedure
    limits = tuple(limit.model_copy(update={"set_by": "constant"}) for limit in procedure.limits)
    fixed = metrics.model_copy(update={"procedure": procedure.model_copy(update={"limits": limits})})
    cited = citations(fixed, scrape_seconds=["one_scrape"])
    assertions = {**cited.assertions, "extras": ["further_metrics_reported"]}
    assert problems(fixed, Citations(assertions, cited.options)) == [
        "says that no assertion judges further_metrics_reported, but extras serves it",
        "says that constant sets one_scrape, but the option scrape_seconds does",
    ]


def test_the_example_says_what_sets_its_limit() -> None:
    package = Path(__file__).parents[3] / "examples" / "acme-fabric" / "src" / "acme_fabric"
    example = load_extension(package / "acme.fabric.yaml")
    served = {name: [name] for name in ("interface_present", "mtu_is_enough")}
    assert problems(example, Citations(served, {"mtu": []})) == []
