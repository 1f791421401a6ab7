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
    _agrees(directory)
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
    from aiconform.engine.rundir import BadRunDirectory, RunDirectory

    run = RunDirectory(directory)
    if not (directory / "run.json").is_file():
        fail(f"{directory} is not a run directory (it has no run.json): name a directory that `aiconform run` wrote")
    try:
        info = run.read_info()
        if not info.ended or not (directory / "report.json").is_file():
            fail(f"the run in {directory} is unfinished: continue it with `aiconform run --resume {directory}`")
        report = run.read_report()
        evidence = read_evidence(run)
    except BadRunDirectory as error:
        fail(str(error))
    ids = [check.id for check in report.checks]
    twice = sorted({each for each in ids if ids.count(each) > 1})
    if twice:
        fail(f"{directory / 'report.json'}: more than one verdict on {', '.join(twice)}")
    return report, evidence


def _agrees(directory: Path) -> None:
    """Ends with exit code 2 if the run differs from itself, or is none; warns if it cannot be recomputed here."""
    from aiconform.engine.judge import judge
    from aiconform.engine.rundir import BadRunDirectory
    from aiconform.reports.plain import plain
    from aiconform.reports.summary import counted
    from aiconform.spec import SpecError

    try:
        judgement = judge(directory, installed_standard())
    except (BadRunDirectory, SpecError) as error:
        fail(plain(str(error)))
    if judgement.differences:
        count = counted(len(judgement.differences), "difference")
        fail(f"the run differs from what its own files say ({count}): see `aiconform judge {directory}`")
    for text in judgement.unread:
        note(f"warning: a verdict could not be recomputed: {plain(text)}")
