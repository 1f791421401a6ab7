"""Bundles that releases of this project made still verify: to the same verdicts, with the same signatures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.certify_material import certify

KEPT = Path(__file__).parents[2] / "bundles"
RELEASES = sorted(path for path in KEPT.iterdir() if path.is_dir())


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_it_verifies(release: Path) -> None:
    (bundle,) = release.glob("v*/*")
    expected = json.loads((release / "expected.json").read_text())
    asked = ("--policy", release / "policy.yaml", "--challenge", release / "challenge.json")
    done = certify("verify", bundle, *asked, "-o", "json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert known(found, expected) == expected
    assert not found["problems"]


def known(found: Any, expected: Any) -> Any:
    """What was found, without the steps and fields that a later release added."""
    if isinstance(expected, dict):
        return {name: known(found[name], each) for name, each in expected.items()}
    if isinstance(expected, list) and len(found) == len(expected):
        return [known(*each) for each in zip(found, expected, strict=True)]
    return found


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_an_edit_is_found_as_on_the_first_day(release: Path, tmp_path: Path) -> None:
    (bundle,) = release.glob("v*/*")
    copy = tmp_path / bundle.parent.name / bundle.name
    shutil.copytree(bundle, copy)
    page = next(copy.rglob("report.html"))
    page.write_text(page.read_text() + " ")
    done = certify("verify", copy, "--policy", release / "policy.yaml", "-o", "json")
    assert done.exit_code == 1
    problems = json.loads(done.stdout)["problems"]
    assert any("report.html differs from what the journal recorded" in text for text in problems)
