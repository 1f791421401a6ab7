"""`aiconform history`: many runs by time."""

from __future__ import annotations

from pathlib import Path

import click

from aiconform.cli.common import fail, installed_standard, output_option, print_json
from aiconform.cli.compare import UNDECIDED, WORSE
from aiconform.cli.ending import end


@click.command("history")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--last", type=click.IntRange(min=1), default=10, show_default=True, metavar="N", help="Show the last N runs."
)
@output_option
def command(folder: Path, last: int, output: str) -> None:
    """Show the runs in DIR, and in folders of it, by time: the verdict on each requirement, and where one got worse.

    Each run is judged again by this release, and each requirement is held against the last result before that decided
    it on the same cluster, also for another version of Kubernetes. Runs that are unfinished, or differ from themselves,
    are left out by name.

    Exit code, of the last run on each cluster: 0 if nothing got worse, 4 if something fails that did not fail before, 3
    if something that was decided could not be decided, or if that run is left out or cannot be recomputed.
    """
    from aiconform.engine.history import NoHistory, read_history
    from aiconform.reports.history import as_data, lines
    from aiconform.spec import SpecError

    try:
        found = read_history(folder, installed_standard())
    except (NoHistory, SpecError) as error:
        fail(str(error))
    if output == "json":
        print_json(as_data(found))
    else:
        for line in lines(found, last):
            click.echo(line)
    if found.step == "worse":
        end(WORSE)
    end(UNDECIDED if found.step == "undecided" else 0)
