"""Runs that earlier versions of the suite made are judged to the same verdicts.

Each folder of tests/runs is a run directory as that version wrote it: assertions by their sentences, without ids, and
one verdict over all of them, which is the strict verdict of today.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aiconform.check.registry import load_check
from aiconform.cli import main
from aiconform.engine.judge import judge
from aiconform.spec import load_standard

RUNS = Path(__file__).parents[2] / "runs"
FOLDERS = sorted(path.parent for path in RUNS.glob("*/run.json"))


NAMES: dict[str, dict[str, dict[str, str]]] = json.loads((RUNS / "names.json").read_text())


def reported(run: Path) -> dict[str, Any]:
    """The report as the file has it, not as today's models read it."""
    data: dict[str, Any] = json.loads((run / "report.json").read_text())
    return data


def test_there_are_runs() -> None:
    assert FOLDERS


@pytest.mark.parametrize("run", FOLDERS, ids=lambda path: path.name)
def test_the_verdicts_are_those_that_were_reported(run: Path) -> None:
    judgement = judge(run, load_standard())
    assert judgement.differences == ()
    old = reported(run)
    assert judgement.report.strict == old["verdict"]
    assert {check.id: check.strict for check in judgement.report.checks} == {
        check["id"]: check["verdict"] for check in old["checks"]
    }


@pytest.mark.parametrize("run", FOLDERS, ids=lambda path: path.name)
def test_each_assertion_is_found_again_with_the_same_finding(run: Path) -> None:
    computed = {check.id: check for check in judge(run, load_standard()).report.checks}
    for check in reported(run)["checks"]:
        if not check["assertions"]:
            continue
        titles = {
            title: each.id for each in load_check(check["id"]).assertions for title in (each.title, *each.formerly)
        }
        before = {titles[each["title"]]: (each["holds"], each["subjects"]) for each in check["assertions"]}
        after = {each.id: (each.holds, each.subjects) for each in computed[check["id"]].assertions}
        # Of an assertion that is newer than the run, nothing was observed.
        assert before == {id_: finding for id_, finding in after.items() if id_ in before or finding != (None, 0)}


@pytest.mark.parametrize("run", FOLDERS, ids=lambda path: path.name)
def test_notes_speak_of_other_versions_alone(run: Path) -> None:
    for note in judge(run, load_standard()).notes:
        assert "another version of the suite" in note or "another edition of the standard" in note or "worded" in note


@pytest.mark.parametrize("run", FOLDERS, ids=lambda path: path.name)
def test_the_commands_take_them(run: Path) -> None:
    done = CliRunner().invoke(main, ["judge", str(run)])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(main, ["report", str(run)])
    assert done.exit_code == 0, done.output
    assert "warning" not in done.stderr


@pytest.mark.parametrize("id_", sorted(NAMES))
def test_what_old_runs_name_is_still_known_by_these_names(id_: str) -> None:
    check, names = load_check(id_), NAMES[id_]
    titles = {title: each.id for each in check.assertions for title in (each.title, *each.formerly)}
    probes = {probe.name: probe.observes.__name__ for probe in check.probes}
    assert {title: titles.get(title) for title in names["assertions"]} == names["assertions"]
    assert {name: probes.get(name) for name in names["probes"]} == names["probes"]
