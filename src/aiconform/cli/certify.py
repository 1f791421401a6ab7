"""`aiconform certify`: validate, build, sign, verify, redact and compare submissions."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiconform.cli.certify_build import build, redact, sign
from aiconform.cli.certify_init import init
from aiconform.cli.certify_life import appeal, life, life_of, tell_undated, withdraw
from aiconform.cli.certify_next import delta, layers
from aiconform.cli.certify_options import FILE, INVALID, checklists_option, print_result, sigstore_option
from aiconform.cli.certify_registry import command as registry
from aiconform.cli.certify_validate import validate
from aiconform.cli.common import ToldGroup, fail, note, output_option
from aiconform.cli.ending import end
from aiconform.cli.extras import ExtraGroup

if TYPE_CHECKING:
    from aiconform.certify.answers import Requirement
    from aiconform.certify.challenge import Challenge
    from aiconform.certify.trust import Policy

UNDECIDED = 3
# Those of aiconform.certify.answers; spelled out so that --help imports nothing.
REQUIRABLE = ("consistent", "vouched", "shown", "valid", "challenged")


class CertifyGroup(ExtraGroup, ToldGroup):
    extra = "certify"

    def told(self) -> tuple[type[Exception], ...]:
        from aiconform.certify.checklist import BadChecklists
        from aiconform.certify.validate import NothingToValidate
        from aiconform.spec import SpecError

        return BadChecklists, NothingToValidate, SpecError


@click.group("certify", cls=CertifyGroup)
def command() -> None:
    """Build, validate, sign, verify, redact and compare submissions to the certification programme."""


for made in (init, build, redact, sign, registry, validate, life, appeal, withdraw, delta, layers):
    command.add_command(made)


@command.command(short_help="Verify a bundle without its cluster.")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--key", type=FILE, help="Public key (PEM) of the signer.")
@click.option("--identity", metavar="NAME", help="Identity of a keyless signer, for example a mail address.")
@click.option("--issuer", metavar="URL", help="The OIDC issuer that must have confirmed --identity.")
@sigstore_option
@click.option("--policy", "policy_file", type=FILE, help="Trust policy (YAML): who may sign for whom, and how many.")
@click.option("--unsigned", is_flag=True, help="Check everything except the signature.")
@click.option("--challenge", metavar="FILE", help="What every run must have carried: a file of `certify challenge`.")
@click.option(
    "--fetch",
    is_flag=True,
    help="Install the release that made a run, where only that one can recompute it, and let it judge.",
)
@click.option(
    "--require",
    "required",
    type=click.Choice(REQUIRABLE),
    multiple=True,
    help="What must hold for exit code 0. By default: consistent, vouched unless --unsigned is given, and challenged "
    "with --challenge.",
)
@checklists_option
@output_option
def verify(
    bundle: Path,
    key: Path | None,
    identity: str | None,
    issuer: str | None,
    sigstore_config: Path | None,
    policy_file: Path | None,
    unsigned: bool,
    challenge: str | None,
    fetch: bool,
    required: tuple[Requirement, ...],
    checklists: Path | None,
    output: str,
) -> None:
    """Verify a bundle (a folder, .tar, .tar.gz or .zip) without the cluster it came from.

    Three answers: whether the bundle is consistent (digests, journals, every verdict recomputed, no claim above its
    evidence; a bundle without a run has nothing to recompute); who vouches for it, with which key and since when, held
    against what you trust; and how many MUST requirements are shown by runs. What --require names decides the exit
    code: `shown` asks for a run on real accelerators for every MUST, `valid` for the programme's rules.

    A run that only another release can recompute is neither right nor wrong. With --fetch, that release is installed
    from the package index into an environment of its own, which is removed afterwards.

    Exit code: 0 if it holds, 1 if not, 2 if whom sigstore trusts cannot be known, 3 if only another release of this
    tool can say.
    """
    from aiconform.certify.answers import lines
    from aiconform.certify.bundle import BadBundle, opened
    from aiconform.certify.keyless import NoDeployment
    from aiconform.certify.releases import releases
    from aiconform.certify.verify import verify as run
    from aiconform.reports.plain import plain

    if sum(map(bool, (key, identity, policy_file, unsigned))) != 1:
        raise click.UsageError("say whom you trust: use one of --key, --identity, --policy and --unsigned")
    if sigstore_config and not identity:
        raise click.UsageError("--sigstore-config goes with --identity; a policy names its own (sigstore_config)")
    if unsigned and "vouched" in required:
        raise click.UsageError("--unsigned asks nobody to vouch: leave out `--require vouched`")
    if "challenged" in required and not challenge:
        raise click.UsageError("`--require challenged` needs --challenge")
    usual: tuple[Requirement, ...] = ("consistent",) if unsigned else ("consistent", "vouched")
    required = tuple(dict.fromkeys(required)) or (*usual, *(("challenged",) if challenge else ()))
    asked = _challenge(challenge) if challenge else None
    _not_of_the_bundle(bundle, key or policy_file or sigstore_config)
    policy = _policy(key, identity, issuer, sigstore_config, policy_file)
    try:
        with opened(bundle) as folder, releases() if fetch else nullcontext() as others:
            found = run(folder, policy, checklists, asked, others)
    except BadBundle as error:
        click.echo(plain(f"aiconform: {error}"), err=True)
        end(INVALID)
    except NoDeployment as error:
        fail(str(error))
    if output == "json":
        print_result({"bundle": str(bundle), **found.as_data(required)})
    else:
        for line in lines(found, required):
            click.echo(line)
    if all(map(found.holds, required)):
        end(0)
    end(UNDECIDED if found.undecided(required) else INVALID)


@command.command("challenge", short_help="Make a number that a run has to carry.")
@click.option("--for", "vendor", metavar="VENDOR", default="", help="The vendorName that the challenge is for.")
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="For how long it is good.")
@click.option("--out", type=FILE, help="Write to this file, which is never overwritten, instead of standard output.")
def make_challenge(vendor: str, days: int, out: Path | None) -> None:
    """Make a challenge: a number that nobody could know before, which a run carries into the cluster and back.

    The reviewer gives it to the vendor (`aiconform run --challenge FILE`) and keeps it for `certify verify --challenge
    FILE`. It shows that the run was made after the challenge, with a cluster at hand.
    """
    from aiconform.certify.challenge import new_challenge

    made = new_challenge(vendor, days).as_text()
    if out is None:
        click.echo(made, nl=False)
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(made)
    except FileExistsError:
        fail(f"{out} exists: a challenge is never overwritten")
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror}")
    click.echo(out)
    note(f"next: the vendor runs `aiconform run --challenge {out.name}`; keep the file for")
    note(f"`aiconform certify verify BUNDLE --challenge {out}`")


def _not_of_the_bundle(bundle: Path, trusted: Path | None) -> None:
    """Ends with exit code 2 if whom to trust is taken from what is to be verified."""
    if trusted and bundle.is_dir() and trusted.resolve().is_relative_to(bundle.resolve()):
        fail(
            f"{trusted} lies in the bundle: whoever makes a bundle can put a key into it. Take it from the vendor's "
            "own site, or from somebody whom you trust"
        )


def _challenge(given: str) -> Challenge:
    from aiconform.certify.challenge import BadChallenge, read_challenge

    try:
        return read_challenge(given)
    except BadChallenge as error:
        fail(str(error))


def _policy(
    key: Path | None, identity: str | None, issuer: str | None, sigstore_config: Path | None, file: Path | None
) -> Policy | None:
    from aiconform.certify.trust import BadPolicy, of_identity, of_key, read_policy

    try:
        if key:
            return of_key(key)
        if identity:
            return of_identity(identity, issuer, sigstore_config)
        return read_policy(file) if file else None
    except BadPolicy as error:
        fail(str(error))


@command.command(short_help="Show submissions side by side.")
@click.argument("paths", metavar="A B…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--dates", type=FILE, help="When submissions were accepted: a YAML or JSON mapping of vX.Y/<product> to dates."
)
@click.option("--date", "today", type=click.DateTime(["%Y-%m-%d"]), help="Judge age and expiry on this day, not today.")
@checklists_option
@output_option
def compare(
    paths: tuple[Path, ...], dates: Path | None, today: datetime | None, checklists: Path | None, output: str
) -> None:
    """Compare submissions: by requirement the claim and what shows it, and until when each certification counts.

    For two submissions of one product, also show the changes. When one was accepted comes from --dates, else from the
    git history.
    """
    from aiconform.certify.compare import CannotCompare, lines
    from aiconform.certify.compare import compare as run
    from aiconform.certify.validate import ValidationSettings, find
    from aiconform.certify.validate import validate as validated

    try:
        settings = ValidationSettings(offline=True, checklists=checklists)
        found = run(validated(find(paths), settings), lambda folder: life_of(folder, checklists, today, dates))
    except CannotCompare as error:
        fail(str(error))
    if output == "json":
        print_result(found.as_data())
        return
    for line in lines(found):
        click.echo(line)
    tell_undated(found.lives)
