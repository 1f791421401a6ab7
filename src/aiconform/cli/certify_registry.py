"""`aiconform certify registry`: many submissions as JSON files and a static site."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from aiconform.cli.certify_options import FILE, FOLDER, checklists_option, print_result
from aiconform.cli.common import fail, note, output_option


@click.group("registry")
def command() -> None:
    """Show many submissions and bundles as one site."""


@command.command(short_help="Build a static site and JSON files.")
@click.argument("corpus", metavar="CORPUS", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.argument("out", metavar="OUT", type=FOLDER)
@click.option(
    "--dates", type=FILE, help="When submissions were accepted: a YAML or JSON mapping of vX.Y/<product> to dates."
)
@click.option("--date", "today", type=click.DateTime(["%Y-%m-%d"]), help="Judge age and expiry on this day, not today.")
@click.option(
    "--reports",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of conformance reports of the Gateway API or its inference extension, as evidence of others.",
)
@click.option("--members", type=FILE, help="Names of CNCF members, one per line, or the landscape's landscape.yml.")
@checklists_option
@output_option
def build(
    corpus: Path,
    out: Path,
    dates: Path | None,
    today: datetime | None,
    reports: Path | None,
    members: Path | None,
    checklists: Path | None,
    output: str,
) -> None:
    """Build a registry of all submissions and bundles below CORPUS in the folder OUT.

    CORPUS holds folders vX.Y/<product> and archives of bundles; a clone of the programme's repository is one. OUT
    becomes a static site that works from a folder or any web server, with the same facts as JSON. Built again, it reads
    only the submissions that changed and writes only the files that changed.

    When a submission was accepted comes from --dates, or else from the git history of CORPUS. Links are not tried.
    """
    from aiconform.certify.members import BadMembers, read_members
    from aiconform.certify.registry.build import RegistrySettings
    from aiconform.certify.registry.build import build as run
    from aiconform.certify.registry.life import BadDates, read_dates
    from aiconform.certify.registry.output import CannotWrite
    from aiconform.certify.validate import ValidationSettings
    from aiconform.reports.plain import plain

    try:
        validation = ValidationSettings(True, read_members(members) if members else None, checklists)
        day = (today or datetime.now().astimezone()).date()
        made = run([corpus], out, RegistrySettings(validation, day, read_dates(dates) if dates else {}, reports))
    except (BadMembers, BadDates, CannotWrite) as error:
        fail(str(error))
    for left in made.left_out:
        note(plain(f"left out: {left.source}: {left.why}"))
    if output == "json":
        print_result(
            {
                "submissions": made.submissions,
                "platforms": made.platforms,
                "recorded": made.recorded,
                "left_out": [left.as_data() for left in made.left_out],
                "written": made.written,
                "removed": made.removed,
            }
        )
        return
    note(f"{made.submissions} submissions of {made.platforms} platforms; {made.recorded} of them read anew")
    note(f"{made.written} files written, {made.removed} removed")
    click.echo(out / "index.html")
