"""`--namespace NAME` is a name of a Namespace before it goes into a request path."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.cli import cleanup, doctor, rbac, run
from aiconform.cli.guest import namespace_name

OPTION = click.Option(["--namespace"])
CONTEXT = click.Context(click.Command("run"))


@given(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True))
def test_labels_of_rfc_1123_are_names(name: str) -> None:
    assert namespace_name(CONTEXT, OPTION, name) == name


@pytest.mark.parametrize("name", ["../nodes", "a/b", "Team", "-a", "a-", "a.b", "a" * 64, "team\n", "a?x=y"])
@pytest.mark.parametrize(
    "command", [run.command, doctor.command, cleanup.command, rbac.command], ids=["run", "doctor", "cleanup", "rbac"]
)
def test_other_names_are_refused_by_each_command(command: click.Command, name: str) -> None:
    with pytest.raises(click.BadParameter, match="is no name of a Namespace") as refused:
        command.make_context("aiconform", ["--namespace", name])
    assert refused.value.exit_code == 2
