"""`aiconform certify delta|layers`: on the way to the next version, and on top of another platform."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiconform.cli.certify_life import life_of
from aiconform.cli.certify_options import INVALID, checklists_option, print_result
from aiconform.cli.common import fail, note, output_option
from aiconform.cli.ending import end

if TYPE_CHECKING:
    from aiconform.certify.delta import Delta

SUBMISSION = click.Path(path_type=Path, exists=True)


@click.command("delta", short_help="Say what the next certification needs.")
@click.argument("submission", metavar="SUBMISSION", type=SUBMISSION)
@click.option("--kubernetes", metavar="vX.Y", help="The next version; the newest released one by default.")
@checklists_option
@output_option
def delta(submission: Path, kubernetes: str | None, checklists: Path | None, output: str) -> None:
    """Say what the next certification of a platform needs: what to run again, what to answer, what may be carried over.

    SUBMISSION is the certified one, vX.Y/<product>. For the same version, a year later, the runs have to be new.
    `certify init --from SUBMISSION` writes the next PRODUCT.yaml with what may be carried over.
    """
    from aiconform.certify.delta import lines
    from aiconform.reports.plain import plain
    from aiconform.spec import load_standard

    standard = load_standard()
    version = standard.version(kubernetes) if kubernetes else standard.newest
    found = delta_from(submission, version, checklists)
    if output == "json":
        print_result(found.as_data())
        return
    for line in lines(found):
        click.echo(plain(line))
    folder = submission if submission.is_dir() else submission.parent
    note(f"next: aiconform certify init --from {folder} --kubernetes {version} --out {version}/{folder.name}")


def delta_from(submission: Path, version: str, checklists: Path | None) -> Delta:
    """Ends with exit code 2 if there is no such submission or list."""
    from aiconform.certify.checklist import checklist_of
    from aiconform.certify.corpus import minor
    from aiconform.certify.delta import delta as run
    from aiconform.certify.examined import Examined
    from aiconform.certify.rules.loading import examined
    from aiconform.certify.submission import FILE

    checklist = checklist_of(version, checklists)
    if checklist is None:
        fail(f"there is no checklist of {version} yet")
    old = examined(submission / FILE if submission.is_dir() else submission, checklists)
    if not isinstance(old, Examined):
        fail(f"{submission}: {old.message}")
    if minor(version) < minor(old.checklist.version):
        fail(f"{version} is before {old.checklist.version}, for which {submission} is")
    return run(old, checklist)


@click.command("layers", short_help="Say what a layered product adds to its base.")
@click.argument("product", type=SUBMISSION)
@click.argument("base", type=SUBMISSION)
@click.option("--date", "today", type=click.DateTime(["%Y-%m-%d"]), help="Judge age and expiry on this day, not today.")
@checklists_option
@output_option
def layers(product: Path, base: Path, today: datetime | None, checklists: Path | None, output: str) -> None:
    """Say for each requirement that PRODUCT claims which layer provides it, and what BASE is certified for.

    Both are submissions, vX.Y/<product>. Exit code: 1 if a claim rests on a base that is not certified for it, or names
    no layer.
    """
    from aiconform.certify.layers import layers as run
    from aiconform.certify.layers import lines
    from aiconform.reports.plain import plain

    folders = (path if path.is_dir() else path.parent for path in (product, base))
    one, other = (life_of(folder, checklists, today) for folder in folders)
    found = run(one, other)
    if output == "json":
        about = {
            name: {key: each[key] for key in ("slug", "version", "state", "expires", "platform")}
            for name, each in (("product", one), ("base", other))
        }
        print_result({**about, "requirements": [each.as_data() for each in found]})
    else:
        click.echo(plain(f"{other['platform']['platformName']} {other['version']}: {other['state'].replace('-', ' ')}"))
        for line in lines(found):
            click.echo(plain(line))
    end(INVALID if any(each.problems for each in found) else 0)
