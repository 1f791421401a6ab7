"""The ids of lines and limits, who asks for a line, and requirements that other packages bring."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aiconform.spec import ExtensionConflict, MalformedFile, UnknownLine, UnknownRequirement, load_standard
from aiconform.spec import load_extension as load
from aiconform.spec.lifecycle import breaches
from aiconform.spec.standard import REQUIREMENTS, requirement_from
from aiconform.spec.yamlfile import read

STANDARD = load_standard()
GANGS = (REQUIREMENTS / "gang_scheduling.yaml").read_text(encoding="utf-8")
PROPOSAL = (REQUIREMENTS / "node_recovery.yaml").read_text(encoding="utf-8")
FABRIC = PROPOSAL.replace("id: node_recovery", "id: acme.fabric").replace(
    "owners: [sig-node", "owners: [acme, sig-node"
)


def written(folder: Path, text: str, name: str = "gang_scheduling.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_lines_have_ids_and_say_who_asks() -> None:
    gangs = STANDARD.requirement("gang_scheduling")
    assert [line.id for line in gangs.lines][:3] == ["gang_runs", "no_pod_starts", "wait_is_reported"]
    assert gangs.line("wait_is_reported").programme is None
    assert gangs.programme_lines("v1.37") == {line.id for line in gangs.lines} - {"wait_is_reported"}
    with pytest.raises(UnknownLine, match="gang_scheduling has no line 'wait'; it has gang_runs"):
        gangs.line("wait")


def test_the_programme_asks_for_no_line_before_the_requirement_is_listed() -> None:
    sandboxing = STANDARD.requirement("workload_sandboxing")
    assert not sandboxing.programme_lines("v1.36")
    assert "kernel_is_another" in sandboxing.programme_lines("v1.37")
    assert sandboxing.programme_lines("v1.100") == sandboxing.programme_lines("v1.37")
    assert all(
        not requirement.programme_lines("v1.38") for requirement in STANDARD.requirements if not requirement.levels
    )


def test_restart_and_what_follows_is_asked_by_this_project() -> None:
    """The programme's sentence has Pods that run, webhooks that are operational and resources that are reconciled."""
    operators = STANDARD.requirement("robust_controller")
    assert operators.programme_lines("v1.37") == {"operator_is_ready", "webhook_refuses", "resource_becomes_ready"}


def test_every_listed_requirement_has_a_line_that_the_programme_asks_for() -> None:
    for requirement in STANDARD.requirements:
        for version in requirement.levels:
            assert requirement.programme_lines(version), (requirement.id, version)


def test_an_id_is_given_once_to_lines_and_limits(tmp_path: Path) -> None:
    twice = written(tmp_path, GANGS.replace("id: partial_hold", "id: gang_runs"))
    with pytest.raises(MalformedFile) as caught:
        requirement_from(read(twice))
    first = GANGS[: GANGS.index("id: gang_runs")].count("\n") + 1
    assert f"the id 'gang_runs' is also on line {first}" in str(caught.value)
    assert caught.value.line == GANGS[: GANGS.index("id: partial_hold")].count("\n") + 1


@pytest.mark.parametrize("wrong", ["Gang runs", "gang-runs", "gang.runs", "g" * 61])
def test_ids_are_words_of_code(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(MalformedFile, match=r"procedure\.steps\[0\]\.holds\[0\]\.id is"):
        requirement_from(read(written(tmp_path, GANGS.replace("id: gang_runs", f"id: {wrong}"))))


def test_the_programme_asks_for_a_line_only_where_the_requirement_is_listed(tmp_path: Path) -> None:
    written(
        tmp_path,
        PROPOSAL.replace("id: lost_node_is_marked", "id: lost_node_is_marked\n          programme: v1.37"),
        "node_recovery.yaml",
    )
    problems = [breach.problem for breach in breaches(load_standard(tmp_path))]
    assert "says that v1.37 asks for lost_node_is_marked, but is not on the list of that version" in problems


def test_facts_of_a_requirement() -> None:
    gangs = STANDARD.requirement("gang_scheduling")
    assert gangs.programme.test == "TestGangScheduling"
    assert "kueue" in gangs.programme.keywords
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in gangs.programme.descriptions)
    assert gangs.remediation
    assert gangs.disturbs
    assert gangs.lab.add_ons == ("kueue",)
    proposal = STANDARD.requirement("node_recovery")
    assert (proposal.programme.test, proposal.programme.keywords, proposal.lab.add_ons) == (None, (), ())


def test_every_listed_requirement_says_what_to_do_when_it_fails() -> None:
    assert [r.id for r in STANDARD.requirements if r.levels and not (r.remediation and r.programme.descriptions)] == []


# Extensions


def test_an_extension_joins_beside_the_lists(tmp_path: Path) -> None:
    fabric = load(written(tmp_path, FABRIC, "requirement.yaml"))
    assert fabric.is_extension
    extended = STANDARD.extended([fabric])
    assert extended.requirement("acme.fabric") is fabric
    assert extended.extensions == (fabric,)
    assert extended.digest == STANDARD.digest
    assert extended.requirements == STANDARD.requirements
    assert all(extended.at(version) == STANDARD.at(version) for version in STANDARD.versions)
    with pytest.raises(UnknownRequirement, match=r"did you mean acme\.fabric"):
        extended.requirement("acme.fabrics")


def test_ids_of_extensions_are_taken_once_and_have_a_dot(tmp_path: Path) -> None:
    fabric = load(written(tmp_path, FABRIC))
    with pytest.raises(ExtensionConflict, match=r"two packages bring acme\.fabric"):
        STANDARD.extended([fabric, fabric])
    with pytest.raises(ExtensionConflict, match=r"two packages bring acme\.fabric"):
        STANDARD.extended([fabric]).extended([fabric])
    with pytest.raises(ExtensionConflict, match=r"node_recovery has no dot"):
        STANDARD.extended([STANDARD.requirement("node_recovery")])
    with pytest.raises(
        MalformedFile, match=r"the id 'node_recovery' of an extension has no dot; expected an id such as"
    ):
        load(written(tmp_path, PROPOSAL))


def test_the_standard_takes_no_extension(tmp_path: Path) -> None:
    written(tmp_path, FABRIC, "acme.fabric.yaml")
    with pytest.raises(MalformedFile, match=r"the id 'acme\.fabric' has a dot, which marks an extension"):
        load_standard(tmp_path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("stage: proposed", "stage: MUST"), "stage: an extension is on no list"),
        (("stage: proposed", "stage: proposed\nkar: 99"), "kar: an extension is on no list"),
        (("stage: proposed", "stage: proposed\nlevels: {v1.37: MUST}"), "levels: an extension is on no list"),
        (
            ("stage: proposed", "stage: proposed\nprogramme: {test: TestFabric}"),
            "programme: an extension is on no list",
        ),
        (
            ("id: lost_node_is_marked", "id: lost_node_is_marked\n          programme: v1.37"),
            "the programme asks for no line of an extension",
        ),
    ],
)
def test_an_extension_claims_nothing_of_the_programme(tmp_path: Path, change: tuple[str, str], problem: str) -> None:
    with pytest.raises(MalformedFile, match=problem):
        load(written(tmp_path, FABRIC.replace(*change)))


def test_owners_of_the_standard_are_sigs(tmp_path: Path) -> None:
    with pytest.raises(MalformedFile, match="'acme' is no SIG or working group; write sig-… or wg-…"):
        requirement_from(
            read(
                written(
                    tmp_path, PROPOSAL.replace("owners: [sig-node", "owners: [acme, sig-node"), "node_recovery.yaml"
                )
            )
        )
