"""Checks without Python, named by `--checks`: every command takes them, and a bad file costs nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aiconform.check import registry
from aiconform.cli import main
from aiconform.installed import FILES

EXAMPLE = Path(__file__).parents[3] / "examples" / "acme-names" / "acme.names.yaml"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    registry.forget()
    yield
    os.environ.pop(FILES, None)
    registry.forget()


def aiconform(*words: str | Path) -> Result:
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_each_command_knows_the_check_of_a_file() -> None:
    listed = aiconform("--checks", EXAMPLE, "spec", "list", "-o", "json")
    assert "acme.names" in {row["id"] for row in json.loads(listed.stdout)}
    assert "Pods resolve the cluster" in aiconform("--checks", EXAMPLE, "spec", "show", "acme.names").stdout
    role = aiconform("--checks", EXAMPLE, "rbac", "acme.names").stdout
    assert "serviceaccounts" in role
    assert "rolebindings" in role


def test_a_folder_and_the_environment_name_files_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.yaml").write_text(EXAMPLE.read_text().replace("id: acme.names", "id: acme.other"))
    monkeypatch.setenv(FILES, str(tmp_path))
    listed = aiconform("--checks", EXAMPLE.parent, "spec", "list").stdout
    assert "acme.names" in listed
    assert "acme.other" in listed


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("id: acme.names", "id: acme_names", "has no dot"),
        ("holds: seen.token", "holds: seen.(", "assertion token_present: holds"),
        ("container:\n", "containers:\n", "unknown key"),
        (
            "    - id: token_present\n      title",
            "    - id: name_resolves\n      title",
            "more than one assertion has the id name_resolves",
        ),
        ("title: Pods resolve the cluster's names\n", "", "'title' is missing"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_nothing_else_is_lost(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    text = EXAMPLE.read_text()
    assert old in text
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace(old, new, 1))
    done = aiconform("--checks", broken, "--checks", EXAMPLE, "spec", "list")
    assert done.exit_code == 0
    assert str(broken) in done.stderr
    assert told in done.stderr
    assert "acme.names" in done.stdout


def test_a_file_without_a_container_says_so(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    bare = tmp_path / "bare.yaml"
    bare.write_text(text[: text.index("# The check: this container")])
    assert "nothing that observes" in aiconform("--checks", bare, "spec", "list").stderr


def test_an_id_that_two_files_have_is_refused(tmp_path: Path) -> None:
    twin = tmp_path / "twin.yaml"
    twin.write_text(EXAMPLE.read_text())
    done = aiconform("--checks", EXAMPLE, "--checks", twin, "spec", "list")
    assert "another check has this id" in done.stderr
    assert str(twin) in done.stderr


def test_a_file_that_is_not_there_is_wrong_use() -> None:
    assert aiconform("--checks", "nowhere.yaml", "spec", "list").exit_code == 2


def test_spec_check_names_lines_and_assertions_of_a_file_that_do_not_meet(tmp_path: Path) -> None:
    text, rule = EXAMPLE.read_text(), "      title: A Pod has a token"
    assert text.count(rule) == 1
    apart = tmp_path / "apart.yaml"
    apart.write_text(text.replace(rule, f"      serves: [no_such_line]\n{rule}"))
    done = aiconform("--checks", apart, "spec", "check")
    assert done.exit_code == 1
    assert "acme.names has the line token_present, which no assertion serves" in done.stdout
    assert "acme.names has no line no_such_line, which the assertion token_present serves" in done.stdout


def test_spec_check_names_what_a_file_has_left_of_the_scaffold(tmp_path: Path) -> None:
    left = tmp_path / "left.yaml"
    left.write_text(EXAMPLE.read_text().replace("Room for one small Pod.", "FILL IN"))
    done = aiconform("--checks", left, "spec", "check")
    assert done.exit_code == 1
    assert "acme.names still says 'FILL IN'" in done.stdout


def test_the_example_breaks_no_rule() -> None:
    assert aiconform("--checks", EXAMPLE, "spec", "check").exit_code == 0
