"""`aiconform judge`: every verdict again, from the observations alone."""

from __future__ import annotations

from pathlib import Path

import click

from aiconform.cli.common import fail, installed_standard, output_option, print_json, strict_option
from aiconform.cli.ending import end

DIFFERS = 3


@click.command("judge")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@strict_option
@output_option
def command(directory: Path, strict: bool, output: str) -> None:
    """Recompute every verdict of the run in DIR from its observations, without a cluster.

    Reports each difference between the run's report and its observations, each break in the journal's chain of hashes,
    each file that the journal recorded differently, and what in the run contradicts itself. Both verdicts are
    recomputed: the one by the programme's own words, and the strict one, which also counts what this project asks for
    beyond them.

    Exit code: 3 if there is a difference or something that this release cannot recompute, else 0; with --strict, that
    of the strict verdict: 0 conformant, 1 not conformant, 3 undetermined.
    """
    from aiconform.engine.judge import judge
    from aiconform.engine.rundir import BadRunDirectory
    from aiconform.engine.verdicts import EXIT_CODES
    from aiconform.reports.plain import plain
    from aiconform.spec import SpecError

    try:
        judgement = judge(directory, installed_standard())
    except (BadRunDirectory, SpecError) as error:
        fail(str(error))
    report = judgement.report
    if output == "json":
        print_json(
            {
                "run": report.run,
                "agrees": judgement.agrees,
                "differences": judgement.differences,
                "unread": judgement.unread,
                "notes": judgement.notes,
                "report": report.model_dump(mode="json"),
            }
        )
    else:
        for result in report.checks:
            verdict = (
                result.verdict if result.strict == result.verdict else f"{result.verdict} (strict: {result.strict})"
            )
            click.echo(f"{verdict:<15} {result.id}: {plain(result.reason)}")
        click.echo(f"recomputed: {report.verdict}; strict: {report.strict}")
        for text in judgement.notes:
            click.echo(f"note: {text}")
        for text in judgement.differences:
            click.echo(f"differs: {plain(text)}")
        for text in judgement.unread:
            click.echo(f"cannot be recomputed here: {plain(text)}")
        if judgement.agrees:
            click.echo("The report agrees with the observations, and the journal is unbroken.")
    if not judgement.agrees:
        end(DIFFERS)
    end(EXIT_CODES[report.strict] if strict else 0)
