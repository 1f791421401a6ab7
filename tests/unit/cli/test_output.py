"""`-o json` and `--output json` mean the same wherever a command has a result that a program may read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support.certify_runs import make_run

from aiconform.cli import main


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Each command below, with the words that call it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from commands(found, (*path, name))


ALL = dict(commands(main))
# What these write is one text, or they write none.
NO_RESULT = {
    ("spec", "freeze"),
    ("spec", "new"),
    ("spec", "render"),
    ("spec", "schema"),
    ("certify", "appeal"),
    ("certify", "challenge"),
    ("certify", "init"),
    ("certify", "sign"),
    ("certify", "withdraw"),
    ("completion",),
    ("replay",),
    ("lab", "assets", "build"),
    ("lab", "down"),
    ("lab", "kubeconfig"),
    ("lab", "node", "add"),
    ("lab", "node", "remove"),
}


def test_each_other_command_has_a_result_as_json() -> None:
    without = {
        path
        for path, command in ALL.items()
        if not any({"-o", "--output"} <= set(parameter.opts) for parameter in command.params)
    }
    assert without == NO_RESULT


@pytest.mark.parametrize("option", ["-o", "--output"])
@pytest.mark.parametrize(
    "words",
    [
        ("options",),
        ("images",),
        ("rbac", "dra_support"),
        ("spec", "list"),
        ("spec", "show", "dra_support"),
        ("lab", "fault", "--list"),
        ("lab", "add-ons"),
        ("lab", "identities"),
    ],
)
def test_both_names_give_json(words: tuple[str, ...], option: str) -> None:
    done = CliRunner().invoke(main, [*words, option, "json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)


@pytest.mark.parametrize(
    ("command", "option"),
    [("judge", "-o"), ("judge", "--output"), ("report", "-o"), ("report", "--output"), ("report", "--format")],
)
def test_a_run_is_given_as_json_by_either_name(command: str, option: str, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    done = CliRunner().invoke(main, [command, str(run), option, "json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)
