"""`aiconform certify life|appeal|withdraw`: what becomes of certifications after their merge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiconform.cli.certify_options import FILE, checklists_option, print_result
from aiconform.cli.common import fail, note, output_option

if TYPE_CHECKING:
    from aiconform.certify.certificate import Appeal, Withdrawal

PRODUCT = click.Path(path_type=Path, file_okay=False, exists=True)
DAY = click.DateTime(["%Y-%m-%d"])


@click.command(short_help="Show what became of certifications.")
@click.argument("corpus", metavar="PATH", type=PRODUCT)
@click.option(
    "--dates", type=FILE, help="When submissions were accepted: a YAML or JSON mapping of vX.Y/<product> to dates."
)
@click.option("--date", "today", type=DAY, help="Judge age and expiry on this day, not today.")
@checklists_option
@output_option
def life(corpus: Path, dates: Path | None, today: datetime | None, checklists: Path | None, output: str) -> None:
    """Show each certification at or below PATH: its state, since when and until when it counts, and appeals.

    A certification is of one platform for one version. It counts for a year from the merge, which comes from --dates,
    else from the git history, else from CERTIFICATE.yaml beside the submission. That file also has renewals for the
    same version, the withdrawal, and appeals. `renewed` says that a newer version is certified.
    """
    from aiconform.certify.bundle import CERTIFICATE
    from aiconform.reports.plain import plain

    found = _lives(corpus, checklists, today, dates)
    if output == "json":
        print_result({"certifications": found})
        return
    for each in found:
        click.echo(plain(_line(each)))
        if each["certificate"] is None:
            click.echo(f"  {CERTIFICATE} cannot be read: see `aiconform certify validate`")
        for text in _recorded(each["certificate"] or {}):
            click.echo(plain(f"  {text}"))
    tell_undated(found)


def tell_undated(found: Iterable[Mapping[str, Any]]) -> None:
    """Tell the way out if it is not known since when one of these dated records counts."""
    count = sum(each["state"] == "undated" for each in found)
    if count:
        note(f"{count} undated: name the day of acceptance with --dates FILE")


def life_of(
    folder: Path, checklists: Path | None, today: datetime | None = None, dates: Path | None = None
) -> dict[str, Any]:
    """The dated record of one product's folder. Ends with exit code 2 if it is none, or the dates cannot be read."""
    found = _lives(folder, checklists, today, dates)
    if len(found) != 1:
        fail(f"{folder} holds {len(found)} submissions: name one, vX.Y/<product>")
    return found[0]


def _lives(corpus: Path, checklists: Path | None, today: datetime | None, dates: Path | None) -> list[dict[str, Any]]:
    """The dated records at or below a folder. Ends with exit code 2 if the dates cannot be read."""
    from aiconform.certify.registry.life import BadDates, read_dates
    from aiconform.certify.registry.lives import lives
    from aiconform.certify.validate import ValidationSettings

    try:
        known = read_dates(dates) if dates else {}
    except BadDates as error:
        fail(str(error))
    return lives(corpus, ValidationSettings(offline=True, checklists=checklists), known, _day(today))


def _line(each: dict[str, Any]) -> str:
    from aiconform.certify.registry.lives import span

    return f"{each['state']:<10} {each['version']}/{each['slug']}  {each['platform']['platformName']}: {span(each)}"


def _recorded(known: dict[str, Any]) -> list[str]:
    lines = [f"renewed on {day}" for day in known.get("renewed", ())]
    if gone := known.get("withdrawn"):
        lines.append(f"withdrawn on {gone['date']} by {gone['by']}: {gone['why']}")
    for number, appeal in enumerate(known.get("appeals", ()), 1):
        about = f" about {', '.join(appeal['about'])}" if appeal["about"] else ""
        said = f"{appeal['outcome']} on {appeal['decided']}: {appeal['decision']}" if appeal["decided"] else "open"
        lines.append(f"appeal {number} of {appeal['raised']} by {appeal['by']}{about} ({appeal['why']}): {said}")
    return lines


@click.command(short_help="Record an appeal, or what became of it.")
@click.argument("product", type=PRODUCT)
@click.option("--by", metavar="TEXT", help="Who appeals.")
@click.option("--about", metavar="ID", multiple=True, help="The requirement; without it, the whole certification.")
@click.option("--link", metavar="URL", default="", help="Where it is discussed.")
@click.option("--decide", "number", type=int, metavar="N", help="Decide appeal N of `certify life`.")
@click.option("--outcome", type=click.Choice(["upheld", "rejected"]), help="With --decide.")
@click.option("--why", metavar="TEXT", required=True, help="The reason of the appeal, or of the decision.")
@click.option("--date", "day", type=DAY, help="The day, if it is not today.")
def appeal(
    product: Path,
    by: str | None,
    about: tuple[str, ...],
    link: str,
    number: int | None,
    outcome: str | None,
    why: str,
    day: datetime | None,
) -> None:
    """Record an appeal in PRODUCT/CERTIFICATE.yaml: somebody holds that the certification, or its refusal, is wrong.

    With --decide N --outcome …, record what became of it. `validate` reports appeals that are open or were upheld.
    """
    from aiconform.certify.certificate import Appeal, BadCertificate, decide

    if (number is None) != (outcome is None):
        raise click.UsageError("--decide N and --outcome belong together")
    if number is None:
        if not by:
            raise click.UsageError("say who appeals: --by")
        _unknown(about)
        _change(product, appeal=Appeal(raised=_day(day), by=by, why=why, about=about, link=link))
        return
    try:
        click.echo(decide(product, number, outcome=str(outcome), decision=why, day=_day(day)))
    except BadCertificate as error:
        fail(str(error))
    except OSError as error:
        fail(f"{product} cannot be written: {error.strerror}")


@click.command(short_help="Record that a certification was withdrawn.")
@click.argument("product", type=PRODUCT)
@click.option("--by", metavar="TEXT", required=True, help="Who withdraws it.")
@click.option("--why", metavar="TEXT", required=True, help="The reason.")
@click.option("--date", "day", type=DAY, help="The day, if it is not today.")
def withdraw(product: Path, by: str, why: str, day: datetime | None) -> None:
    """Record in PRODUCT/CERTIFICATE.yaml that the certification was withdrawn, by the vendor or by the programme."""
    from aiconform.certify.certificate import Withdrawal

    _change(product, withdrawal=Withdrawal(date=_day(day), by=by, why=why))


def _change(product: Path, *, appeal: Appeal | None = None, withdrawal: Withdrawal | None = None) -> None:
    from aiconform.certify.certificate import BadCertificate, change
    from aiconform.certify.submission import FILE as SUBMISSION

    if not (product / SUBMISSION).is_file():
        fail(f"{product} has no {SUBMISSION}: name the folder vX.Y/<product> of a submission")
    try:
        click.echo(change(product, appeal=appeal, withdrawal=withdrawal))
    except BadCertificate as error:
        fail(str(error))
    except OSError as error:
        fail(f"{product} cannot be written: {error.strerror}")


def _unknown(about: tuple[str, ...]) -> None:
    from aiconform.spec import load_standard

    for requirement in about:
        if requirement not in load_standard().ids:
            fail(f"--about: there is no requirement {requirement!r}: see `aiconform spec list`")


def _day(given: datetime | None) -> date:
    return (given or datetime.now().astimezone()).date()
