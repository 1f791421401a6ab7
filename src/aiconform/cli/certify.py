"""`aiconform certify`: validate, build, sign, verify, redact and compare submissions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aiconform.cli.certify_build import build, init, redact, sign
from aiconform.cli.certify_options import FILE, INVALID, checklists_option, print_result
from aiconform.cli.certify_registry import command as registry
from aiconform.cli.common import Failure, fail, note, output_option
from aiconform.cli.ending import end


class CertifyGroup(click.Group):
    """Exits with code 2 and one sentence when a command is used wrongly."""

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


for made in (init, build, redact, sign, registry):
    command.add_command(made)


@command.command(short_help="Check submissions against the rules, and beyond.")
@click.argument("paths", metavar="PATH…", nargs=-1, required=True, type=click.Path(path_type=Path))
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
    correct: bool,
    strict: bool,
    sarif_file: Path | None,
    least: str,
    output: str,
) -> None:
    """Validate submissions by the programme's own rules, and report what reviewers look for beyond them.

    PATH is a PRODUCT.yaml or a folder that contains some. Exit code: 0 if all are valid by the programme's rules,
    otherwise 1.
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
    if correct:
        from aiconform.certify.fix import fix

        for path in files:
            try:
                for done in fix(path, checklists):
                    note(f"{path}: {done}")
            except OSError as error:
                fail(f"{path} cannot be corrected: {error.strerror}")
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
    end(INVALID if serious or not all(result.valid for result in results) else 0)


@command.command(short_help="Verify a bundle without its cluster.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--key", type=FILE, help="Public key (PEM) of the signer.")
@click.option("--identity", metavar="NAME", help="Identity of a keyless signer, for example a mail address.")
@click.option("--issuer", metavar="URL", help="The OIDC issuer that must have confirmed --identity.")
@click.option("--unsigned", is_flag=True, help="Check everything except the signature.")
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

    Checks the signature; that no file is missing, added or changed; the journals and every verdict of the runs; and
    that no claim is above its evidence. Exit code: 0 if all checks hold, 1 if not.
    """
    from aiconform.certify.attestation import verify_keyless, verify_with_key
    from aiconform.certify.bundle import BadBundle, opened
    from aiconform.certify.verify import verify as run
    from aiconform.reports.plain import plain

    if sum(map(bool, (key, identity, unsigned))) != 1:
        raise click.UsageError("say who must have signed it: use one of --key, --identity and --unsigned")
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
        end(INVALID)
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
            click.echo(f"claims that no run supports: {', '.join(found.unshown)}")
        click.echo("verified" if not found.problems else "NOT verified")
    end(INVALID if found.problems else 0)


@command.command(short_help="Show submissions side by side.")
@click.argument("paths", metavar="A B…", nargs=-1, required=True, type=click.Path(path_type=Path))
@checklists_option
@output_option
def compare(paths: tuple[Path, ...], checklists: Path | None, output: str) -> None:
    """Compare submissions by requirement and proof grade. For two submissions of one product, also show the changes."""
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
