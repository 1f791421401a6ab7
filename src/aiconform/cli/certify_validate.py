"""`aiconform certify validate`: submissions by the rules, or what a pull request changes among them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiconform.cli.certify_options import FILE, FOLDER, INVALID, checklists_option, print_result
from aiconform.cli.common import fail, note
from aiconform.cli.ending import end

if TYPE_CHECKING:
    from aiconform.certify.validate import Validated


@click.command("validate", short_help="Check submissions against the rules, and beyond.")
@click.argument("paths", metavar="[PATH]…", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--against",
    type=FOLDER,
    metavar="CORPUS",
    help="Compare with the submissions in this folder, without judging them.",
)
@click.option(
    "--changed",
    metavar="REF",
    help="Judge the submissions of CORPUS that differ from this commit or branch, instead of naming them.",
)
@click.option(
    "--offline", is_flag=True, help="Do not try links; they count as answering and are listed as not checked."
)
@click.option("--members", type=FILE, help="Names of CNCF members, one per line, or the landscape's landscape.yml.")
@checklists_option
@click.option("--fix", "correct", is_flag=True, help="Correct the files automatically where possible, then validate.")
@click.option(
    "--strict", is_flag=True, help="Exit with code 1 also for findings of severity error beyond the programme's rules."
)
@click.option("--sarif", "sarif_file", type=FILE, help="Also write the findings as SARIF 2.1.0 to this file.")
@click.option("--markdown", "markdown_file", type=FILE, help="Also write a comment for a pull request to this file.")
@click.option(
    "--least",
    type=click.Choice(["note", "warning", "error"]),
    default="note",
    show_default=True,
    help="Lowest severity to show as text.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "sarif", "markdown"]),
    default="text",
    show_default=True,
    help="Format of the result.",
)
def validate(
    paths: tuple[Path, ...],
    against: Path | None,
    changed: str | None,
    offline: bool,
    members: Path | None,
    checklists: Path | None,
    correct: bool,
    strict: bool,
    sarif_file: Path | None,
    markdown_file: Path | None,
    least: str,
    output: str,
) -> None:
    """Validate submissions by the programme's own rules, and report what reviewers look for beyond them.

    PATH is a PRODUCT.yaml or a folder that contains some. In a pull request, --against CORPUS --changed REF judges what
    the request changes and compares it with all others. Exit code: 0 if all are valid by the programme's rules,
    otherwise 1.
    """
    from aiconform.certify.comment import comment
    from aiconform.certify.members import BadMembers, read_members
    from aiconform.certify.sarif import sarif
    from aiconform.certify.validate import ValidationSettings, find
    from aiconform.certify.validate import validate as run

    try:
        settings = ValidationSettings(offline, read_members(members) if members else None, checklists)
    except BadMembers as error:
        fail(str(error))
    files = _files(paths, against, changed)
    if correct:
        _correct(files, checklists)
    results = run(files, settings, find([against]) if against and files else ())
    if sarif_file:
        _write(sarif_file, json.dumps(sarif(results), indent=1) + "\n")
    if markdown_file:
        _write(markdown_file, comment(results))
    _print(results, least, output)
    serious = strict and any(finding.severity == "error" for result in results for finding in result.findings)
    end(INVALID if serious or not all(result.valid for result in results) else 0)


def _files(paths: Sequence[Path], against: Path | None, changed: str | None) -> list[Path]:
    from aiconform.certify.changed import NoSuchChange, changed_submissions
    from aiconform.certify.validate import find

    if changed is None:
        if not paths:
            raise click.UsageError("name submissions, or use --against CORPUS --changed REF")
        return find(paths)
    if against is None or paths:
        raise click.UsageError("--changed REF names the submissions: it needs --against CORPUS and no PATH")
    try:
        return changed_submissions(against, changed)
    except NoSuchChange as error:
        fail(str(error))


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}")


def _correct(files: Sequence[Path], checklists: Path | None) -> None:
    from aiconform.certify.fix import fix

    for path in files:
        try:
            for done in fix(path, checklists):
                note(f"{path}: {done}")
        except OSError as error:
            fail(f"{path} cannot be corrected: {error.strerror}")


def _print(results: Sequence[Validated], least: str, output: str) -> None:
    from aiconform.certify.comment import comment
    from aiconform.certify.sarif import sarif
    from aiconform.certify.text import lines
    from aiconform.certify.validate import summary

    if output == "json":
        print_result({"submissions": [result.as_data() for result in results], "summary": summary(results)})
    elif output == "sarif":
        print_result(sarif(results))
    elif output == "markdown":
        click.echo(comment(results), nl=False)
    else:
        for line in lines(results, least):
            click.echo(line)
