"""`aiconform report`: a finished run in another form."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiconform.cli.common import fail, note

if TYPE_CHECKING:
    from aiconform.engine.evidence import Evidence, Report

FORMATS = ("text", "markdown", "html", "junit", "json")


@click.command("report")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE instead of standard output."
)
def command(directory: Path, form: str, out: Path | None) -> None:
    """Render the finished run in DIR.

    A report says what the run says. If that is not what its observations say, a warning names the way to look at it:
    `aiconform judge`.
    """
    report, evidence = _read(directory)
    _warn(directory)
    data = _render(form, report, evidence, to_terminal=out is None and sys.stdout.isatty())
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
        fail(f"{directory} is not a run directory (it has no run.json): name a folder that `aiconform run` wrote")
    try:
        info = run.read_info()
        if not info.ended or not (directory / "report.json").is_file():
            fail(f"the run in {directory} is unfinished: go on with `aiconform run --resume {directory}`")
        report = run.read_report()
        evidence = {check: run.read_evidence(check)[0] for check in run.evidence_ids()}
    except BadRunDirectory as error:
        fail(str(error))
    ids = [check.id for check in report.checks]
    twice = sorted({each for each in ids if ids.count(each) > 1})
    if twice:
        fail(f"{directory / 'report.json'}: more than one verdict on {', '.join(twice)}")
    return report, evidence


def _warn(directory: Path) -> None:
    from aiconform.engine.judge import judge
    from aiconform.engine.rundir import BadRunDirectory
    from aiconform.reports.plain import plain
    from aiconform.reports.summary import counted
    from aiconform.spec import SpecError, load_standard

    try:
        judgement = judge(directory, load_standard())
    except (BadRunDirectory, SpecError) as error:
        note(f"warning: the verdicts could not be computed again: {plain(str(error))}")
        return
    if judgement.differences:
        count = counted(len(judgement.differences), "difference")
        note(f"warning: the run says other than its observations ({count}): see `aiconform judge {directory}`")


def _render(form: str, report: Report, evidence: Mapping[str, Evidence], *, to_terminal: bool) -> bytes:
    if form == "text":
        from aiconform.reports.text import render_text

        width = max(60, shutil.get_terminal_size().columns) if to_terminal else 110
        return render_text(report, evidence, width).encode()
    if form == "markdown":
        from aiconform.reports.markdown import render_markdown

        return render_markdown(report, evidence).encode()
    if form == "html":
        from aiconform.reports.html import render_html

        return render_html(report, evidence).encode()
    if form == "junit":
        from aiconform.reports.junit import render_junit

        return render_junit(report, evidence)
    # Escaped for a terminal: JSON allows control characters of the C1 block as they are.
    text = json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=to_terminal)
    return f"{text}\n".encode()
