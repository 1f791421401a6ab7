"""`aiconform certify`: submissions validated, built, signed, verified, redacted and compared."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from aiconform.cli.common import Failure, fail, note, output_option, print_json

INVALID = 1
FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)

checklists_option = click.option(
    "--checklists",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    envvar="AICONFORM_CHECKLISTS",
    show_envvar=True,
    help="Folder with the programme's checklists (AIConformance-1.NN.yaml), for example a checkout of its repository.",
)


class CertifyGroup(click.Group):
    """Ends with exit code 2 and one sentence on everything that was used wrongly."""

    def invoke(self, ctx: click.Context) -> Any:
        from aiconform.certify.checklist import BadChecklists
        from aiconform.certify.validate import NothingToValidate
        from aiconform.spec import SpecError

        try:
            return super().invoke(ctx)
        except (BadChecklists, NothingToValidate, SpecError) as error:
            raise Failure(str(error)) from error


@click.group("certify", cls=CertifyGroup)
def command() -> None:
    """Build, validate, sign, verify, redact and compare submissions to the certification programme."""


@command.command()
@click.argument("paths", metavar="PATH…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--offline", is_flag=True, help="Do not ask links; they count as answering and are reported as not checked."
)
@click.option("--members", type=FILE, help="Names of CNCF members, one a line, or the landscape's landscape.yml.")
@checklists_option
@click.option("--fix", "mend", is_flag=True, help="Mend what is mechanical in place, then validate.")
@click.option(
    "--strict", is_flag=True, help="Exit code 1 also on findings of severity error beyond the programme's rules."
)
@click.option("--sarif", "sarif_file", type=FILE, help="Also write the findings as SARIF 2.1.0 to this file.")
@click.option(
    "--least",
    type=click.Choice(["note", "warning", "error"]),
    default="note",
    show_default=True,
    help="Least severity shown as text.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "sarif"]),
    default="text",
    show_default=True,
    help="Format of the result.",
)
def validate(
    paths: tuple[Path, ...],
    offline: bool,
    members: Path | None,
    checklists: Path | None,
    mend: bool,
    strict: bool,
    sarif_file: Path | None,
    least: str,
    output: str,
) -> None:
    """Validate submissions: the programme's own rules, and what reviewers look for beyond them.

    PATH is a PRODUCT.yaml or a folder that holds some. Exit code: 0 if all are valid by the programme's rules, else 1.
    """
    import json

    from aiconform.certify.members import BadMembers, read_members
    from aiconform.certify.sarif import sarif
    from aiconform.certify.text import lines
    from aiconform.certify.validate import Options, find, summary
    from aiconform.certify.validate import validate as run

    try:
        options = Options(offline, read_members(members) if members else None, checklists)
    except BadMembers as error:
        fail(str(error))
    files = find(paths)
    if mend:
        from aiconform.certify.fix import fix

        for path in files:
            try:
                for done in fix(path, checklists):
                    note(f"{path}: {done}")
            except OSError as error:
                fail(f"{path} cannot be mended: {error.strerror}")
    results = run(files, options)
    if sarif_file:
        try:
            sarif_file.write_text(json.dumps(sarif(results), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            fail(f"{sarif_file} cannot be written: {error.strerror}")
    if output == "json":
        print_json({"submissions": [result.as_data() for result in results], "summary": summary(results)})
    elif output == "sarif":
        print_json(sarif(results))
    else:
        for line in lines(results, least):
            click.echo(line)
    serious = strict and any(finding.severity == "error" for result in results for finding in result.findings)
    sys.exit(INVALID if serious or not all(result.valid for result in results) else 0)


_ = (FOLDER, output_option)
