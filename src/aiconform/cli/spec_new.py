"""`aiconform spec new`: the scaffold of a proposal, and the skeleton of its check."""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from aiconform.cli.common import Failure, note

CHECKOUT = Path("src/aiconform/spec/requirements")


@click.command("new")
@click.argument("id_", metavar="ID")
@click.option("--title", metavar="TEXT", help="Title; made from the ID by default.")
@click.option("--area", metavar="AREA", default="Node", show_default=True, help="One of the eleven areas.")
@click.option("--check", is_flag=True, help="Also write a check that works as it is, with a unit test.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Folder for the file or the package: {CHECKOUT} in a checkout, else the current folder.",
)
def command(id_: str, title: str | None, area: str, check: bool, into: Path | None) -> None:
    """Write the scaffold of a proposal.

    An ID with a dot (acme.fabric) is an extension; with --check it becomes a Python package of its own. Another ID is
    a requirement of the standard; --check then needs a checkout of this project.
    """
    from aiconform.check.skeleton import CannotWrite, write_module, write_package
    from aiconform.spec import Area, load_standard
    from aiconform.spec.scaffold import scaffold

    areas = {str(known).lower(): known for known in Area}
    if area.lower() not in areas:
        raise click.BadParameter(f"there is no area {area!r}; the areas are {', '.join(Area)}", param_hint="--area")
    if id_ in load_standard().ids:
        raise Failure(f"{id_} is in the standard already; see `aiconform spec show {id_}`")
    extension = "." in id_
    if check and not extension and not CHECKOUT.is_dir():
        raise Failure(
            f"{id_} without a dot is a requirement of the standard, whose check needs a checkout of this project; "
            f"an extension has a dot, for example acme.{id_}"
        )
    title = title or id_.replace(".", " ").replace("_", " ").capitalize()
    folder = into or (CHECKOUT if CHECKOUT.is_dir() and not extension else Path())
    written: list[Path] = []
    try:
        if check and extension:
            folder = write_package(id_, title=title, folder=folder)
        elif check:
            written = write_module(id_, title=title, checkout=Path())
    except CannotWrite as error:
        raise Failure(str(error)) from error
    path = scaffold(
        id_, title=title, area=areas[area.lower()], folder=folder, today=datetime.date.today(), with_check=check
    )
    if check and extension:
        root = folder.parent.parent
        # A bare name is a distribution of the index to pip, not the folder.
        installed = root if root.is_absolute() else f"./{root.as_posix()}"
        note(f"replace every FILL IN, then: pip install {installed} && aiconform spec check && aiconform run {id_}")
        click.echo(root)
        return
    if extension:
        note(f"replace every FILL IN, add a `container` that observes, then run `aiconform --checks {path} spec check`")
    else:
        note(f"replace every FILL IN, then run `aiconform spec check {folder}`")
    for each in (path, *written):
        click.echo(each)
