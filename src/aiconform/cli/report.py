"""`aiconform report`: a finished run in another format."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiconform.cli.common import fail, installed_standard, note
from aiconform.reports.formats import BY_NAME, FORMATS, Medium, read_evidence

if TYPE_CHECKING:
    from aiconform.engine.evidence import Evidence, Report


@click.command("report")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "--format",
    "form",
    type=click.Choice(list(BY_NAME)),
    default="text",
    show_default=True,
    help="; ".join(f"{each.name}: {each.about}" for each in FORMATS) + ".",
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE instead of standard output."
)
def command(directory: Path, form: str, out: Path | None) -> None:
    """Render the finished run in DIR.

    A run that differs from what its observations or its journal say is not rendered; `aiconform judge` shows where.
    """
    from aiconform.engine.rundir import RunDirectory
    from aiconform.engine.times import read_times

    report, evidence = _read(directory)
    terminal = out is None and sys.stdout.isatty()
    medium = Medium(max(60, shutil.get_terminal_size().columns), terminal=True) if terminal else Medium()
    data = BY_NAME[form].render(report, evidence, medium, read_times(RunDirectory(directory)))
    if out is None:
        click.echo(data, nl=False)
        return
    try:
        out.write_bytes(data)
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror}")
    note(f"wrote {out}")


def _read(directory: Path) -> tuple[Report, Mapping[str, Evidence]]:
    """Ends with exit code 2 if it is no finished run or differs from itself; warns of what cannot be recomputed."""
    from aiconform.engine.finished import read_finished
    from aiconform.engine.rundir import BadRunDirectory, RunDirectory
    from aiconform.reports.plain import plain
    from aiconform.spec import SpecError

    try:
        run = read_finished(directory, installed_standard())
        evidence = read_evidence(RunDirectory(directory))
    except (BadRunDirectory, SpecError) as error:
        fail(str(error))
    for id_, why in run.unread.items():
        note(f"warning: a verdict could not be recomputed: {plain(f'{id_}: {why}')}")
    return run.claimed, evidence
