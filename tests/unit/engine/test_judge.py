"""Runs judged again: what a report may say, and what shows that it says something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.certify_runs import CHECK, as_made_before_ids, change_json, make_run, sealed

from aiconform.cli import main
from aiconform.engine.judge import judge
from aiconform.spec import load_standard

FORGED = f"{CHECK}/forged_is_refused"


def differences(run: Path) -> str:
    return "\n".join(judge(run, load_standard()).differences)


def place(run: Path, assertion: str) -> int:
    report = json.loads((run / "report.json").read_text())
    return [each["id"] for each in report["checks"][0]["assertions"]].index(assertion)


@pytest.mark.parametrize("made", [{}, {"leaks": True}, {"started": False}])
@pytest.mark.parametrize("old", [False, True])
def test_an_honest_run_has_no_differences(made: dict[str, Any], old: bool, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", **made)
    if old:
        as_made_before_ids(run)
    judgement = judge(run, load_standard())
    assert judgement.differences == ()
    assert judgement.notes == ()
    assert all(result.id for result in judgement.report.checks[0].assertions)


@pytest.mark.parametrize("field", ["verdict", "strict"])
@pytest.mark.parametrize("where", [(), ("checks", 0)])
def test_neither_verdict_can_be_changed(field: str, where: tuple[str | int, ...], tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", leaks=True)
    change_json(run / "report.json", *where, field, value="pass" if where else "conformant")
    assert "the observations say fail" in differences(run) or "its observations say not-conformant" in differences(run)


def test_an_assertion_is_named_with_its_check(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    change_json(run / "report.json", "checks", 0, "assertions", place(run, "forged_is_refused"), "holds", value=False)
    assert f"{FORGED}: the report says False" in differences(run)


def test_a_reworded_reason_is_a_difference_only_in_a_run_of_this_version(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    change_json(run / "report.json", "checks", 0, "assertions", place(run, "forged_is_refused"), "reason", value="so")
    assert f"{FORGED}: the report says so" in differences(run)
    for name in ("run.json", "report.json"):
        change_json(run / name, "suite", value="sha256:other")
    judgement = judge(run, load_standard())
    assert not [each for each in judgement.differences if FORGED in each]
    assert any("worded differently" in note for note in judgement.notes)


def test_assertions_that_only_one_side_has_are_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    change_json(
        run / "report.json", "checks", 0, "assertions", place(run, "forged_is_refused"), "id", value="made_up_later"
    )
    found = differences(run)
    assert f"{CHECK}/made_up_later: reported, but not computed" in found
    assert f"{FORGED}: computed, but not reported" in found


def test_the_order_of_assertions_is_free(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    report = json.loads((run / "report.json").read_text())
    report["checks"][0]["assertions"].reverse()
    (run / "report.json").write_text(json.dumps(report))
    assert differences(sealed(run)) == ""


def test_an_old_run_cannot_say_more_than_its_observations(tmp_path: Path) -> None:
    run = as_made_before_ids(make_run(tmp_path / "run", leaks=True))
    change_json(run / "report.json", "checks", 0, "verdict", value="pass")
    change_json(run / "report.json", "verdict", value="conformant")
    found = CliRunner().invoke(main, ["judge", str(run)])
    assert found.exit_code == 3
    assert f"{CHECK}: the report says pass; the observations say fail" in found.stdout
