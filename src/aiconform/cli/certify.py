"""`aiconform certify`: submissions validated, built, signed, verified, redacted and compared."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from aiconform.cli.certify_build import build, init, redact, sign
from aiconform.cli.certify_options import FILE, INVALID, checklists_option, print_result
from aiconform.cli.common import Failure, fail, note, output_option


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


for made in (init, build, redact, sign):
    command.add_command(made)


@command.command(short_help="Check submissions: the rules, and beyond.")
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
    from aiconform.certify.validate import ValidationSettings, find, summary
    from aiconform.certify.validate import validate as run

    try:
        settings = ValidationSettings(offline, read_members(members) if members else None, checklists)
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
    results = run(files, settings)
    if sarif_file:
        try:
            sarif_file.write_text(json.dumps(sarif(results), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            fail(f"{sarif_file} cannot be written: {error.strerror}")
    if output == "json":
        print_result({"submissions": [result.as_data() for result in results], "summary": summary(results)})
    elif output == "sarif":
        print_result(sarif(results))
    else:
        for line in lines(results, least):
            click.echo(line)
    serious = strict and any(finding.severity == "error" for result in results for finding in result.findings)
    sys.exit(INVALID if serious or not all(result.valid for result in results) else 0)


@command.command(short_help="Check a bundle without its cluster.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--key", type=FILE, help="Public key (PEM) of the signer.")
@click.option("--identity", metavar="NAME", help="Identity of a keyless signer, such as a mail address or a workflow.")
@click.option("--issuer", metavar="URL", help="The OIDC issuer that must have vouched for --identity.")
@click.option("--unsigned", is_flag=True, help="Check all but the signature.")
@checklists_option
@output_option
def verify(
    bundle: Path,
    key: Path | None,
    identity: str | None,
    issuer: str | None,
    unsigned: bool,
    checklists: Path | None,
    output: str,
) -> None:
    """Verify a bundle (a folder, .tar, .tar.gz or .zip) without the cluster it came from.

    Checks the signature, that nothing is missing, added or changed, the journals and every verdict of the runs, and
    that no claim is above its evidence. Exit code: 0 if all of it holds, 1 if not.
    """
    from aiconform.certify.attestation import verify_keyless, verify_with_key
    from aiconform.certify.bundle import BadBundle, opened
    from aiconform.certify.verify import verify as run
    from aiconform.reports.plain import plain

    if sum(map(bool, (key, identity, unsigned))) != 1:
        raise click.UsageError("say who must have signed: one of --key and --identity, or --unsigned")
    attested: Any = None
    if key:
        attested = lambda folder: verify_with_key(folder, key)  # noqa: E731
    elif identity:
        attested = lambda folder: verify_keyless(folder, identity, issuer)  # noqa: E731
    try:
        with opened(bundle) as folder:
            found = run(folder, attested, checklists)
    except BadBundle as error:
        click.echo(plain(f"aiconform: {error}"), err=True)
        sys.exit(INVALID)
    if output == "json":
        print_result({"bundle": str(bundle), **found.as_data()})
    else:
        words = {True: "holds", False: "DOES NOT HOLD", None: "not checked"}
        for name, held in found.steps.items():
            click.echo(f"{name:<10} {words[held]}")
        for text in found.problems:
            click.echo(plain(f"problem: {text}"))
        for text in found.notes:
            click.echo(plain(f"note: {text}"))
        if found.unshown:
            click.echo(f"claims that no run shows: {', '.join(found.unshown)}")
        click.echo("verified" if not found.problems else "NOT verified")
    sys.exit(INVALID if found.problems else 0)


@command.command(short_help="Show submissions side by side.")
@click.argument("paths", metavar="A B…", nargs=-1, required=True, type=click.Path(path_type=Path))
@checklists_option
@output_option
def compare(paths: tuple[Path, ...], checklists: Path | None, output: str) -> None:
    """Compare submissions by requirement and proof grade; of two of one product also what changed."""
    from aiconform.certify.compare import CannotCompare, lines
    from aiconform.certify.compare import compare as run
    from aiconform.certify.validate import ValidationSettings, find
    from aiconform.certify.validate import validate as validated

    try:
        found = run(validated(find(paths), ValidationSettings(offline=True, checklists=checklists)))
    except CannotCompare as error:
        fail(str(error))
    if output == "json":
        print_result(found.as_data())
        return
    for line in lines(found):
        click.echo(line)
