"""Pull requests: what changed is judged against all others, as a comment, as SARIF, and by the files of CI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.certify_material import certify, product, write

from aiconform.certify.comment import READ
from aiconform.certify.grades import GRADES, NOT_CLAIMED

CI = Path(__file__).parents[3] / "ci"
NOTES = (
    "We installed the scheduler on twelve nodes of the reference cluster and submitted a job of eight workers while "
    "room was left for seven, then watched that none of them was bound until the last node became free again."
)


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=someone", "-c", "user.email=someone@platform.test", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A repository with two products on main, and a branch that adds a third and changes the notes of one."""
    root = tmp_path / "corpus"
    write(root, product(gang_scheduling={"notes": NOTES}), "v1.37/one")
    write(root, product(), "v1.37/two")
    git(root.parent, "init", "-q", "-b", "main", str(root))
    git(root, "add", "-A")
    git(root, "commit", "-qm", "start")
    git(root, "checkout", "-qb", "request")
    mine = product(gang_scheduling={"notes": NOTES}, metadata={"platformName": "Three", "vendorName": "Third"})
    write(root, mine, "v1.37/three")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "three")
    return root


def changed(corpus: Path, *options: str) -> dict[str, Any]:
    result = certify("validate", "--against", corpus, "--changed", "main", "--offline", "-o", "json", *options)
    assert result.exit_code in (0, 1), result.output
    return dict(json.loads(result.stdout))


def names(found: dict[str, Any]) -> list[str]:
    return [each["path"].split("/")[-2] for each in found["submissions"]]


def test_what_changed_is_judged_against_all_others(corpus: Path) -> None:
    found = changed(corpus)
    assert names(found) == ["three"]
    assert "F-copied-notes" in {each["rule"] for each in found["submissions"][0]["findings"]}
    alone = json.loads(certify("validate", corpus / "v1.37/three", "--offline", "-o", "json").stdout)
    assert "F-copied-notes" not in {each["rule"] for each in alone["submissions"][0]["findings"]}


def test_evidence_and_what_is_not_committed_count(corpus: Path) -> None:
    (corpus / "v1.37/two/docs").mkdir()
    (corpus / "v1.37/two/docs/new page.md").write_text("new")
    assert names(changed(corpus)) == ["three", "two"]


def test_what_was_removed_is_not_judged(corpus: Path) -> None:
    git(corpus, "rm", "-rq", "v1.37/two")
    assert names(changed(corpus)) == ["three"]


def test_nothing_changed_is_valid(corpus: Path) -> None:
    git(corpus, "checkout", "-q", "main")
    result = certify("validate", "--against", corpus, "--changed", "main", "--offline", "-o", "markdown")
    assert (result.exit_code, result.stdout) == (0, "No submission changed.\n")


@pytest.mark.parametrize("ref", ["no-such-branch", "--output=x"])
def test_a_commit_that_is_none_is_wrong_use(corpus: Path, ref: str) -> None:
    result = certify("validate", "--against", corpus, f"--changed={ref}", "--offline")
    assert result.exit_code == 2
    assert "git cannot say" in result.output


@pytest.mark.parametrize("arguments", [[], ["--changed", "main"], ["x", "--changed", "main", "--against", "y"]])
def test_wrong_use_is_said(arguments: list[str]) -> None:
    assert certify("validate", *arguments).exit_code == 2


def test_the_comment_has_words_for_every_grade() -> None:
    assert {*READ} == {*GRADES, NOT_CLAIMED}


def test_the_comment_says_what_to_read(corpus: Path) -> None:
    hostile = "Implemented @everyone <img src=x> | </details>"
    write(corpus, product(gang_scheduling={"status": hostile}), "v1.37/three")
    text = certify("validate", "--against", corpus, "--changed", "main", "--offline", "-o", "markdown").stdout
    assert "**not valid**" in text
    assert "the pages: they say how it could be done" in text
    assert "**Open questions**" in text
    assert text.count("<img") == text.count("\\<img") > 0
    assert "@everyone" not in text
    assert text.count("<details>") == text.count("</details>")


def ran(command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command of a CI file, as its runner calls it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["sh", "-e", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path, **variables},
        text=True,
        capture_output=True,
        check=False,
    )


def files_of_ci(corpus: Path) -> None:
    """SARIF and comment are about what changed alone."""
    sarif = json.loads((corpus / "certify.sarif").read_text())
    places = {
        place["physicalLocation"]["artifactLocation"]["uri"]
        for each in sarif["runs"][0]["results"]
        for place in each["locations"]
    }
    assert places == {"v1.37/three/PRODUCT.yaml"}
    assert "v1.37/three" in (corpus / "certify.md").read_text()


def test_the_github_action(corpus: Path) -> None:
    action = yaml.safe_load((CI / "github/validate/action.yml").read_text())
    (step,) = [each for each in action["runs"]["steps"] if each["name"] == "Validate"]
    summary = corpus.parent / "summary"
    done = ran(step["run"], corpus, CORPUS=".", BASE="main", OPTIONS="--offline", GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 0, done.stderr
    files_of_ci(corpus)
    assert summary.read_text() == (corpus / "certify.md").read_text()
    write(corpus, product(gang_scheduling={"status": "no"}), "v1.37/three")
    assert (
        ran(
            step["run"], corpus, CORPUS=".", BASE="main", OPTIONS="--offline", GITHUB_STEP_SUMMARY=str(summary)
        ).returncode
        == 1
    )


def pip(folder: Path) -> str:
    """A folder for PATH, where python3 prints what pip is to install."""
    program = folder / "python3"
    program.write_text('#!/bin/sh\nshift 4; echo "$*"\n')
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_the_github_action_installs_its_own_commit_unless_told_otherwise(tmp_path: Path) -> None:
    action = yaml.safe_load((CI / "github/validate/action.yml").read_text())
    (step,) = [each for each in action["runs"]["steps"] if each["name"] == "Install"]
    variables = {"GITHUB_ACTION_PATH": str(CI / "github/validate"), "PATH": pip(tmp_path)}
    done = ran(step["run"], tmp_path, **variables, PACKAGE=action["inputs"]["package"]["default"])
    assert done.stdout == f"{CI.parent}[certify]\n"
    assert (CI.parent / "pyproject.toml").is_file()
    assert ran(step["run"], tmp_path, **variables, PACKAGE="a.whl[certify]").stdout == "a.whl[certify]\n"


def test_the_gitlab_template_asks_what_to_install(tmp_path: Path) -> None:
    job = yaml.safe_load((CI / "gitlab/validate.yml").read_text())["validate-submissions"]
    install = job["before_script"][-1]
    variables = {**job["variables"], "PATH": pip(tmp_path)}
    done = ran(install, tmp_path, **variables)
    assert done.returncode != 0
    assert "AICONFORM_PACKAGE: is not set" in done.stderr
    assert ran(install, tmp_path, **{**variables, "AICONFORM_PACKAGE": "a.whl"}).stdout == "a.whl\n"


def test_the_gitlab_template(corpus: Path) -> None:
    job = yaml.safe_load((CI / "gitlab/validate.yml").read_text())["validate-submissions"]
    variables = {**job["variables"], "AICONFORM_OPTIONS": "--offline", "CI_MERGE_REQUEST_DIFF_BASE_SHA": "main"}
    for command in job["script"]:
        done = ran(command, corpus, **variables)
        assert done.returncode == 0, done.stderr
    files_of_ci(corpus)
    assert all((corpus / path).is_file() for path in job["artifacts"]["paths"])


def test_a_reviewer_is_told_what_to_read_for_each_grade() -> None:
    assert set(READ) == {*GRADES, NOT_CLAIMED}
