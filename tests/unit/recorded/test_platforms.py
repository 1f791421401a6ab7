"""Recorded platforms (tests/platforms): what `inspect` and a dry run must say of each, from the command line.

`expected.yaml` holds the right values. What is still read wrongly is named there, with the reason, and must fail: who
mends it removes the line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.replayed import replayed

from aiconform.cli import main
from aiconform.recorded import RecordedPlatform
from aiconform.spec import yamlfile

PLATFORMS = Path(__file__).parents[2] / "platforms"
NAMES = sorted(path.parent.name for path in PLATFORMS.glob("*/expected.yaml"))


@cache
def expected(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yamlfile.read(PLATFORMS / name / "expected.yaml").data
    return found


def parts() -> Iterator[Any]:
    """(platform, part of its expected.yaml), marked if the part is still read wrongly."""
    for name in NAMES:
        wrong = expected(name).get("read_wrongly") or {}
        for part in [each for each in expected(name) if each not in ("options", "read_wrongly")]:
            marks = [pytest.mark.xfail(strict=True, reason=wrong[part])] if part in wrong else []
            yield pytest.param(name, part, marks=marks, id=f"{name}-{part}")


Said = Callable[[str, str], Any]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """(name of a platform, `inspect` or `run --dry-run`) -> what that says, as data."""

    @cache
    def ask(name: str, command: str) -> Any:
        kubeconfig = tmp_path_factory.mktemp(name) / "kubeconfig"
        options = expected(name).get("options") or ()
        with replayed(RecordedPlatform.read(PLATFORMS / name), kubeconfig):
            arguments = [*command.split(), *options, "--kubeconfig", str(kubeconfig), "-o", "json"]
            done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return ask


@pytest.mark.parametrize(("name", "part"), list(parts()))
def test_a_platform_is_read_as_its_operator_would_tell(said: Said, name: str, part: str) -> None:
    right = expected(name)[part]
    if part == "plan":
        planned = {entry["id"]: entry["attempts"] for entry in said(name, "run --dry-run")}
        for check, wanted in right.items():
            attempts = [f"{each['probe']} on {each['target']}" for each in planned[check]]
            assert [each for each in attempts if not each.endswith(" on cluster")] == wanted
        return
    found = said(name, "inspect")
    if part == "accelerators":
        shown = [{key: entry[key] for key in (right or [entry])[0]} for entry in found["accelerators"]]
        assert sorted(shown, key=str) == sorted(right, key=str)
    elif part in ("passed_over", "problems"):
        among(right, found[part])
    elif part == "nodes":
        assert found["nodes"] == right
    else:
        entry = next(entry for entry in found["checks"] if entry["id"] == part)
        assert entry["state"].partition(":")[0] == right["state"], entry
        for key in {"found", "missing", "problems"} & right.keys():
            among(right[key], entry[key])
        # What a probe holds beside what it looks for, for a comparison, says nothing of the platform.
        said_of_it = {key: value for key, value in entry.items() if key != "attempts"}
        for pattern in right.get("never") or []:
            assert not re.search(pattern, json.dumps(said_of_it)), entry


def among(patterns: list[str], lines: list[str]) -> None:
    """Each pattern is found in a line; no line at all is expected if there is no pattern."""
    assert patterns or not lines, lines
    for pattern in patterns:
        assert any(re.search(pattern, line) for line in lines), (pattern, lines)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_said_to_run_that_lacks_something(said: Said, name: str) -> None:
    for entry in said(name, "inspect")["checks"]:
        assert not (entry["missing"] and entry["state"] == "can run"), entry
        assert "a defect of the check" not in entry["state"], entry


@pytest.mark.parametrize("name", NAMES)
def test_a_platform_cites_its_sources(name: str) -> None:
    head = (PLATFORMS / name / "objects.yaml").read_text(encoding="utf-8").partition("\n---")[0]
    assert re.search(r"^# .*https://", head, re.MULTILINE), f"{name}: cite the public description it is made after"
