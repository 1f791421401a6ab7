"""`aiconform inspect` from the command line: what is said of a check that can run, and of one that cannot."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.plugins import CHECK, forget, install, rewrite
from support.replayed import replayed

from aiconform.cli import main
from aiconform.recorded import RecordedPlatform

NAME = "acme.fabric"


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("platform") / "kubeconfig"
    with replayed(RecordedPlatform(), path):
        yield path


@pytest.fixture
def fabric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    forget()
    yield install(tmp_path)
    monkeypatch.undo()
    forget()


def says(package: Path, kubeconfig: Path, body: str) -> tuple[dict[str, object], list[str], str]:
    """(the entry of a check whose inspection has this body, the lines about it, its line of a dry run)."""
    names = "Inspection, NotApplicable, NothingToLookAt, inspection, Observation"
    looks = f"@inspection\nasync def look(platform, settings):\n    {body}\n\n\nCHECK ="
    rewrite(package, CHECK.replace("Observation", names, 1).replace("CHECK =", looks))
    found = CliRunner().invoke(main, ["inspect", "--kubeconfig", str(kubeconfig), "-o", "json"])
    assert found.exit_code == 0, found.output
    entry = next(each for each in json.loads(found.stdout)["checks"] if each["id"] == NAME)
    shown = CliRunner().invoke(main, ["inspect", "--kubeconfig", str(kubeconfig)]).stdout.splitlines()
    start = next(number for number, line in enumerate(shown) if line.startswith(NAME))
    more = [line for line in shown[start + 1 :] if line.startswith("  ")]
    planned = CliRunner().invoke(main, ["run", NAME, "--dry-run", "--kubeconfig", str(kubeconfig)]).stdout.splitlines()
    return entry, [shown[start], *more], planned[0].partition("): ")[2]


def test_what_cannot_run_is_never_said_to_run(fabric: Path, kubeconfig: Path) -> None:
    entry, lines, planned = says(fabric, kubeconfig, "return Inspection(('a switch',), ('links', 'cables'))")
    assert (entry["state"], planned) == ("cannot run: links; cables",) * 2
    assert lines[:4] == [f"{NAME}: cannot run", "  found: a switch", "  missing: links", "  missing: cables"]
    entry, lines, planned = says(fabric, kubeconfig, "raise NothingToLookAt('nothing to look at: no links')")
    assert (entry["state"], planned) == ("cannot run: no links",) * 2
    assert lines[:2] == [f"{NAME}: cannot run", "  missing: no links"]


def test_a_problem_keeps_nothing_from_running(fabric: Path, kubeconfig: Path) -> None:
    entry, lines, planned = says(fabric, kubeconfig, "return Inspection(problems=('one link is down',))")
    assert (entry["state"], entry["missing"], planned) == ("can run", [], "can run")
    assert lines[:2] == [f"{NAME}: can run", "  problem: one link is down"]


def test_what_does_not_apply_is_said_so(fabric: Path, kubeconfig: Path) -> None:
    entry, lines, planned = says(fabric, kubeconfig, "raise NotApplicable('no fabric: looked at nodes')")
    assert (entry["state"], planned) == ("does not apply: no fabric: looked at nodes",) * 2
    assert lines[0] == f"{NAME}: does not apply: no fabric: looked at nodes"
