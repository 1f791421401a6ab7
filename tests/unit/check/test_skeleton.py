"""`aiconform spec new --check`: what it writes works as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aiconform.check.skeleton import CannotWrite, with_entry_point
from aiconform.cli import main

CHECKOUT = Path(__file__).parents[3]


def new(*words: str) -> Result:
    return CliRunner().invoke(main, ["spec", "new", *words])


def python(*words: str, path: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path)}
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=cwd, env=environment, check=False
    )


def test_an_extension_becomes_a_package_whose_test_passes(tmp_path: Path) -> None:
    done = new("acme.fast_fabric", "--check", "--into", str(tmp_path))
    assert done.exit_code == 0, done.output
    root = tmp_path / "acme-fast-fabric"
    assert done.stdout.strip() == str(root)
    assert '"acme.fast_fabric" = "acme_fast_fabric:CHECK"' in (root / "pyproject.toml").read_text()
    tests = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", path=root / "src", cwd=root)
    assert tests.returncode == 0, tests.stdout
    assert "3 passed" in tests.stdout
    meets = """
from acme_fast_fabric import CHECK
from aiconform.spec import load_extension
requirement = load_extension(CHECK.requirement)
lines = {line.id for line in requirement.lines}
limits = {limit.id for limit in requirement.procedure.limits}
served = {line for assertion in CHECK.assertions for line in assertion.serves}
(limit,) = requirement.procedure.limits
assert CHECK.options().start_seconds == limit.seconds
options = {limit for name in CHECK.options.model_fields for limit in CHECK.options.info(name).serves}
assert (CHECK.id, lines, limits) == (requirement.id, served, options), (lines, served, limits, options)
"""
    done_ = python("-c", meets, path=root / "src", cwd=root)
    assert done_.returncode == 0, done_.stderr


def test_the_package_is_installed_from_its_folder_not_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = new("acme.fast_fabric", "--check")
    assert done.stdout.strip() == "acme-fast-fabric"
    assert "pip install ./acme-fast-fabric " in done.stderr


def test_the_file_of_an_extension_alone_is_checked_as_one(tmp_path: Path) -> None:
    done = new("acme.fabric", "--into", str(tmp_path))
    path = tmp_path / "acme.fabric.yaml"
    assert done.stdout.strip() == str(path)
    assert f"aiconform --checks {path} spec check" in done.stderr


def test_a_requirement_of_the_standard_gets_a_module_in_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("src/aiconform/spec/requirements", "src/aiconform/checks", "tests/unit/checks"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text((CHECKOUT / "pyproject.toml").read_text())
    monkeypatch.chdir(tmp_path)
    done = new("fast_fabric", "--check")
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [
        "src/aiconform/spec/requirements/fast_fabric.yaml",
        "src/aiconform/checks/fast_fabric.py",
        "tests/unit/checks/test_fast_fabric.py",
        "pyproject.toml",
    ]
    assert 'fast_fabric = "aiconform.checks.fast_fabric:CHECK"' in Path("pyproject.toml").read_text()
    # The linter knows a project's own packages by their folders.
    for file in ("src/aiconform/__init__.py", "src/aiconform/check/__init__.py", "src/aiconform/check/testing.py"):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "src", "tests"]
    lint = subprocess.run(ruff, capture_output=True, text=True, check=False)
    assert lint.returncode == 0, lint.stdout
    again = new("fast_fabric", "--check")
    assert again.exit_code == 2
    assert "exists already" in again.stderr


def test_what_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words, told in (
        (["fast_fabric", "--check"], "acme.fast_fabric"),
        (["gang_scheduling", "--check"], "in the standard already"),
        (["Acme.Fabric"], "cannot be an id"),
    ):
        done = new(*words)
        assert done.exit_code == 2
        assert told in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_entry_point_goes_where_the_others_are() -> None:
    text = '[project.entry-points."aiconform.checks"]\na = "x:CHECK"\nc = "x:CHECK"\n\n[tool]\n'
    assert with_entry_point(text, "b", "m") == text.replace("c = ", 'b = "m:CHECK"\nc = ')
    with pytest.raises(CannotWrite, match="entry-points"):
        with_entry_point("[project]\n", "b", "m")
