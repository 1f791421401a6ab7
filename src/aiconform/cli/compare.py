"""`aiconform compare`: what changed between two runs."""

from __future__ import annotations

from pathlib import Path

import click

from aiconform.cli.common import fail, installed_standard, output_option, print_json
from aiconform.cli.ending import end

WORSE = 4
UNDECIDED = 3
RUN = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command("compare")
@click.argument("before", metavar="RUN", type=RUN)
@click.argument("after", metavar="RUN", type=RUN)
@click.option(
    "--any-version", is_flag=True, help="Also compare runs for different versions of Kubernetes: what both looked at."
)
@output_option
def command(before: Path, after: Path, any_version: bool, output: str) -> None:
    """Compare two run directories, the older one first: what changed, and whether anything got worse.

    Both runs are judged again from their observations by this release, so that a difference is one of what was seen.
    Compared are verdicts, assertions, times and requests of each requirement, and versions, accelerators and options
    of the runs. `aiconform certify compare` compares submissions.

    Exit code: 0 if nothing got worse, 4 if a requirement or an assertion fails that did not fail before, 3 if one that
    was decided could not be decided now, was not looked at, or cannot be compared by this release. It is also 3 if one
    fails that the older run did not look at, and 2 if the runs have no requirement in common.
    """
    from aiconform.engine.between import CannotCompare, between
    from aiconform.engine.finished import read_finished
    from aiconform.engine.rundir import BadRunDirectory
    from aiconform.reports.between import as_data, lines
    from aiconform.spec import SpecError

    try:
        standard = installed_standard()
        found = between(read_finished(before, standard), read_finished(after, standard), any_version=any_version)
    except (BadRunDirectory, CannotCompare, SpecError) as error:
        fail(str(error))
    if output == "json":
        print_json(as_data(found))
    else:
        for line in lines(found):
            click.echo(line)
    if found.step == "worse":
        end(WORSE)
    end(UNDECIDED if found.step == "undecided" else 0)
