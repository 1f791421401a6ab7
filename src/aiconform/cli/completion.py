"""`aiconform completion`: what a shell needs to complete the command, and the ids that it completes."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

import aiconform
from aiconform.cli import COMPLETE
from aiconform.cli.common import fail

SHELLS = ("bash", "zsh", "fish")
NAME = "aiconform"


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print a script that lets SHELL complete commands, options and ids of requirements.

    \b
    bash, in ~/.bashrc:  eval "$(aiconform completion bash)"
    zsh, in ~/.zshrc:    eval "$(aiconform completion zsh)"
    fish, once:          aiconform completion fish > ~/.config/fish/completions/aiconform.fish

    It takes bash 4.4 or newer.
    """
    found = get_completion_class(shell)
    root = click.get_current_context().find_root().command
    if found is None:
        fail(f"the installed click has no completion for {shell}: install a newer one")
    click.echo(found(root, {}, NAME, COMPLETE).source())


def complete_checks(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Ids of requirements that have an installed check."""
    from aiconform.installed import check_entries

    return _beginning(incomplete, [entry.name for entry in check_entries()])


def complete_requirements(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Ids of the standard: the names of its files, since to read them takes longer than a shell should wait."""
    folder = Path(aiconform.__file__).parent / "spec/requirements"
    return _beginning(incomplete, [file.stem for file in folder.glob("*.yaml")])


def _beginning(incomplete: str, ids: list[str]) -> list[str]:
    return sorted(each for each in set(ids) if each.startswith(incomplete))
