"""`aiconform judge` from the command line: both verdicts, and the exit code that follows each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from defusedxml import ElementTree
from support.certify_runs import CHECK, make_run

from aiconform.check.registry import load_check
from aiconform.cli import main
from aiconform.spec import Requirement


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.fixture
def beyond(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run in which all that the programme asks for holds, and something that this project asks for does not."""
    broken = [
        each["id"]
        for each in json.loads((make_run(tmp_path / "whole", leaks=True) / "report.json").read_text())["checks"][0][
            "assertions"
        ]
        if each["holds"] is not True
    ]
    asked = frozenset(line for each in load_check(CHECK).assertions if each.id not in broken for line in each.serves)
    monkeypatch.setattr(Requirement, "programme_lines", lambda *_: asked, raising=False)
    return make_run(tmp_path / "run", leaks=True)


def test_the_exit_code_follows_the_strict_verdict_only_where_asked(beyond: Path) -> None:
    done = call("judge", beyond)
    assert done.exit_code == 0
    assert f"pass (strict: fail) {CHECK}" in done.stdout
    assert "recomputed: conformant; strict: not-conformant" in done.stdout
    assert call("judge", beyond, "--strict").exit_code == 1


def test_json_has_both_verdicts(beyond: Path) -> None:
    report = json.loads(call("judge", beyond, "-o", "json").stdout)["report"]
    assert (report["verdict"], report["strict"]) == ("conformant", "not-conformant")
    (check,) = report["checks"]
    assert (check["verdict"], check["strict"]) == ("pass", "fail")
    assert {each["asked_by"] for each in check["assertions"]} == {"programme", "project"}


def test_every_report_says_what_goes_beyond(beyond: Path) -> None:
    text = call("report", beyond).stdout
    assert "Conformant on 1 chosen requirement" in text
    flat = " ".join(text.split())
    assert "Beyond the programme's words:" in flat
    assert "broken: secure_accelerator_access/" in flat
    assert "Strict verdict: not conformant." in flat


def test_a_difference_is_told_before_the_strict_verdict(beyond: Path) -> None:
    report = json.loads((beyond / "report.json").read_text())
    (beyond / "report.json").write_text(json.dumps({**report, "strict": "conformant"}))
    assert call("judge", beyond, "--strict").exit_code == 3


def test_a_run_with_nothing_beyond_says_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = frozenset(line for each in load_check(CHECK).assertions for line in each.serves)
    monkeypatch.setattr(Requirement, "programme_lines", lambda *_: everything, raising=False)
    run = make_run(tmp_path / "run")
    assert "Beyond" not in call("report", run).stdout
    assert call("judge", run, "--strict").exit_code == 0


def test_what_goes_to_the_programme_follows_its_own_words(beyond: Path) -> None:
    root = ElementTree.fromstring(call("report", beyond, "--format", "junit").stdout_bytes)
    assert not list(root.iter("failure"))
    assert not list(root.iter("error"))
    assert any("beyond the programme's words, broken" in (each.get("message") or "") for each in root.iter("skipped"))
