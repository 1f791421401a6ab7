"""What commands share: options, errors with an exit code, and clean-up on a signal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from aiconform.cli.ending import INTERRUPTED, WRONG, end
from aiconform.reports.plain import plain

if TYPE_CHECKING:
    from aiconform.platform import AcceleratorOptions
    from aiconform.spec import Standard

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def cluster_options(function: F) -> F:
    """--kubeconfig and --context, as in kubectl."""
    kubeconfig = click.option(
        "--kubeconfig", metavar="FILE", help="Kubeconfig; by default, KUBECONFIG or ~/.kube/config."
    )
    context = click.option(
        "--context", metavar="NAME", help="Context of the kubeconfig; by default, its current context."
    )
    return kubeconfig(context(function))


def accelerator_options(function: F) -> F:
    """What the user says of accelerators and taints; `accelerators_said` reads it."""
    for declare in (
        click.option(
            "--toleration",
            "tolerations",
            multiple=True,
            metavar="KEY[=VALUE][:EFFECT]",
            help="A taint of Nodes that a run may tolerate, besides those that name an accelerator.",
        ),
        click.option(
            "--accelerator-profile",
            "profiles",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="More accelerators: a YAML file with a list `accelerators` of names, drivers, resources and labels.",
        ),
        click.option(
            "--not-accelerator",
            "not_accelerators",
            multiple=True,
            metavar="PATTERN",
            help="DRA drivers or extended resources that are no accelerators.",
        ),
        click.option(
            "--accelerator",
            "accelerators",
            multiple=True,
            metavar="PATTERN",
            help="DRA drivers or extended resources that are accelerators, such as gpu.example.com or 'example.com/*'.",
        ),
    ):
        function = declare(function)
    return function


def accelerators_said(
    accelerators: tuple[str, ...],
    not_accelerators: tuple[str, ...],
    profiles: tuple[Path, ...],
    tolerations: tuple[str, ...],
) -> AcceleratorOptions:
    """What `accelerator_options` were given. Ends with exit code 2 if one cannot be read."""
    from aiconform.platform import AcceleratorOptions
    from aiconform.platform.accelerators.nodes import Toleration
    from aiconform.platform.accelerators.profiles import BadProfile, read_profiles

    try:
        own = tuple(profile for path in profiles for profile in read_profiles(path))
        tolerated = tuple(map(Toleration.parse, tolerations))
    except BadProfile as error:
        fail(f"--accelerator-profile: {error}")
    except ValueError as error:
        fail(f"--toleration: {error}")
    return AcceleratorOptions(accelerators, not_accelerators, own, tolerated)


output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Format of the result.",
)


set_option = click.option(
    "--set",
    "options",
    multiple=True,
    metavar="ID.NAME=VALUE",
    help="Set an option of a check (see `aiconform options`).",
)


strict_option = click.option(
    "--strict", is_flag=True, help="Let the exit code also follow what goes beyond the programme's words."
)


extensions_option = click.option(
    "--extensions", is_flag=True, help="Also the checks of all installed extensions (`aiconform spec list`)."
)


def installed_standard() -> Standard:
    """The standard with all installed extensions; names on standard error those that cannot be used.

    Raises SpecError.
    """
    from aiconform.installed import only_own

    if only_own():
        # Reading the standard needs neither a check nor the client of a cluster.
        from aiconform.spec import load_standard

        return load_standard()
    from aiconform.check.registry import broken_checks, extended_standard

    for broken in broken_checks():
        note(f"warning: {broken}")
    return extended_standard()


def print_json(data: Any) -> None:
    """Print data in ASCII: text from a cluster can contain terminal control characters."""
    click.echo(json.dumps(data, indent=2))


def note(message: str) -> None:
    """Print progress to standard error."""
    click.echo(message, err=True)


class Failure(click.ClickException):
    """An error whose message names the problem and what to do; nothing was judged."""

    def __init__(self, message: str, exit_code: int = WRONG) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # click asks the instance

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"aiconform: {plain(self.message)}", err=True)


def fail(message: str) -> NoReturn:
    """End with exit code 2."""
    raise Failure(message)


class ToldGroup(click.Group):
    """A group that tells some errors of its commands as one sentence, with exit code 2."""

    def told(self) -> tuple[type[Exception], ...]:
        """These errors. Called only when a command ends by an error, since to import them takes time."""
        raise NotImplementedError

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            # --help ends so.
            raise
        except self.told() as error:
            raise Failure(str(error)) from error


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run to completion. SIGINT and SIGTERM cancel, which cleans up; a second one exits at once. Both exit with 130."""
    try:
        return asyncio.run(_with_signals(main))
    except (asyncio.CancelledError, KeyboardInterrupt):
        end(INTERRUPTED)


async def _with_signals(main: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(main)
    loop = asyncio.get_running_loop()
    stopping = False

    def stop() -> None:
        nonlocal stopping
        if stopping:
            os._exit(INTERRUPTED)
        stopping = True
        note("aiconform: interrupted; cleaning up (interrupt again to stop at once)")
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:
            # On Windows, asyncio itself cancels this task on Ctrl-C.
            break
    return await task
