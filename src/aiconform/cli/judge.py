"""`aiconform judge`: every verdict again, from the observations alone."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from aiconform.cli.common import fail, output_option, print_json

DIFFERS = 3


@click.command("judge")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@output_option
def command(directory: Path, output: str) -> None:
    """Recompute every verdict of the run in DIR from its observations, without a cluster.

    Reports each difference from what the run says, and each break in the journal's chain of hashes. Exit code: 0 if the
    run says what its observations say, 3 if not.
    """
    from aiconform.engine.judge import judge
    from aiconform.engine.rundir import BadRunDirectory
    from aiconform.reports.plain import plain
    from aiconform.spec import SpecError, load_standard

    try:
        judgement = judge(directory, load_standard())
    except (BadRunDirectory, SpecError) as error:
        fail(str(error))
    report = judgement.report
    if output == "json":
        print_json(
            {
                "run": report.run,
                "agrees": not judgement.differences,
                "differences": judgement.differences,
                "notes": judgement.notes,
                "report": report.model_dump(mode="json"),
            }
        )
    else:
        for result in report.checks:
            click.echo(f"{result.verdict:<15} {result.id}: {plain(result.reason)}")
        click.echo(f"recomputed: {report.verdict}")
        for text in judgement.notes:
            click.echo(f"note: {text}")
        for text in judgement.differences:
            click.echo(f"differs: {plain(text)}")
        if not judgement.differences:
            click.echo("The run says what its observations say; its journal is unbroken.")
    sys.exit(DIFFERS if judgement.differences else 0)
