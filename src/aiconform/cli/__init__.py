"""The `aiconform` command. A command's module is imported only when that command runs.

That keeps `aiconform --help` quick: the table below holds each command's one-line help.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import click

from aiconform import __version__
from aiconform.cli.ending import exit_code, own_code_for_closed_output
from aiconform.installed import FILES

COMPLETE = "_AICONFORM_COMPLETE"
"""Environment variable by which a shell asks what comes next (`aiconform completion`), whatever the program's name."""
# command -> its one-line help; its module is aiconform.cli.<command>, its object there is `command`
COMMANDS = {
    "run": "Run the suite on a cluster and report the verdicts.",
    "judge": "Recompute the verdicts of a run from its observations.",
    "report": "Render a run as text, Markdown, HTML, JUnit or JSON.",
    "compare": "Show what changed between two runs, and whether anything got worse.",
    "history": "Show many runs by time, and where one got worse.",
    "inspect": "Show what the platform offers, and what would prevent a check from running.",
    "doctor": "Show what stands in the way of a run, before anything runs.",
    "replay": "Serve a recorded platform, for example one that is read wrongly.",
    "spec": "Read, compare and render the standard.",
    "certify": "Build, validate, sign, verify and compare submissions.",
    "cleanup": "Delete what interrupted runs left on a cluster.",
    "options": "List the options of each check.",
    "rbac": "Print the minimal ClusterRole for the chosen checks.",
    "images": "List the images of test Pods.",
    "completion": "Print a script that lets a shell complete this command.",
    "lab": "Run a reference AI platform of real components on this machine.",
}


class LazyGroup(click.Group):
    """Lists COMMANDS and imports only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"aiconform.cli.{name}").command
        return command

    def main(self, *arguments: Any, standalone_mode: bool = True, **options: Any) -> Any:
        """As click's, with this command's exit codes."""
        options.setdefault("complete_var", COMPLETE)
        call: Callable[[], object] = partial(super().main, *arguments, standalone_mode=False, **options)
        if refused := _no_completion(os.environ.get(options["complete_var"], "")):
            call = partial(_refuse, refused)
        if not standalone_mode:
            return call()
        sys.exit(exit_code(call))

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with own_code_for_closed_output():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with own_code_for_closed_output():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _no_completion(asked: str) -> str:
    """Why click would end with 1, or as by a defect, on what a shell asks by the variable COMPLETE; "" if it would not.

    The shells set COMP_WORDS and COMP_CWORD; that of fish is a word, and that of the others a number.
    """
    if not asked:
        return ""
    from click.shell_completion import get_completion_class

    shell, _, what = asked.partition("_")
    if not get_completion_class(shell) or what not in ("source", "complete"):
        return f"{COMPLETE}={asked} is no completion: `aiconform completion --help` names the shells that have one"
    word = os.environ.get("COMP_CWORD")
    if what == "complete" and (
        "COMP_WORDS" not in os.environ or word is None or not (shell == "fish" or word.isdecimal())
    ):
        return f"{COMPLETE}={asked} is for the script of `aiconform completion {shell}`, which also sets the words"
    return ""


def _refuse(why: str) -> None:
    from aiconform.cli.common import fail

    fail(why)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="aiconform")
@click.option(
    "--checks",
    multiple=True,
    metavar="PATH",
    type=click.Path(exists=True),
    help="A check without Python: its file, or a folder of such files. AICONFORM_CHECKS does the same.",
)
def main(checks: tuple[str, ...]) -> None:
    """Prove that a Kubernetes platform can run AI workloads.

    Results go to standard output, progress to standard error. Exit codes: 0 conformant, 1 not conformant,
    2 wrong use or a defect, 3 undetermined, 4 worse than before (compare, history), 130 interrupted.
    """
    if checks:
        already = os.environ.get(FILES)
        os.environ[FILES] = os.pathsep.join((*checks, *([already] if already else ())))
