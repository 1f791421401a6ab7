"""`aiconform lab trait`: what makes real clusters less permissive than the lab, on and off."""

from __future__ import annotations

from typing import Any

import click

from aiconform.cli.common import Failure, output_option, print_json
from aiconform.cli.lab import running


@click.command("trait")
@click.argument("traits", nargs=-1, metavar="[TRAIT]...")
@click.option("--off", is_flag=True, help="Turn the traits off.")
@click.option("--all", "every", is_flag=True, help="With --off: every trait that is on.")
@click.option("--list", "listing", is_flag=True, help="List all traits: whether each is on, and what a run says of it.")
@click.option("--name", "lab_name", default="lab", show_default=True, help="The lab.")
@output_option
def command(traits: tuple[str, ...], off: bool, every: bool, listing: bool, lab_name: str, output: str) -> None:
    """Turn traits of clusters on or off: what policies ask, what quotas limit, what nodes and registries lack.

    None is a defect: a run passes, or says what the cluster asks for. Returns when all changes have taken effect.
    """
    from aiconform.lab import LabError, load
    from aiconform.lab.traits.catalog import find, traits_on
    from aiconform.lab.traits.switch import describe, turn

    if sum((listing, bool(traits), every)) != 1 or (off and listing) or (every and not off):
        raise click.UsageError("give names of traits, --off --all, or --list")
    try:
        names = [find(name).name for name in dict.fromkeys(traits)]
        if listing:
            lab = load(lab_name)
            _print(describe(lab.state if lab else None), output)
            return
        lab = running(lab_name)
        if every:
            names = [trait.name for trait in traits_on(lab.state)]
        turn(lab, names, on=not off)
    except LabError as error:
        raise Failure(str(error)) from error
    if output == "json":
        print_json([{"name": name, "on": not off} for name in names])
    else:
        for name in names:
            click.echo(f"{name} is {'off' if off else 'on'}")


def _print(rows: list[dict[str, Any]], output: str) -> None:
    if output == "json":
        print_json(rows)
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        needs = f" (needs {', '.join(row['needs'])})" if row["needs"] else ""
        click.echo(f"{'on ' if row['on'] else 'off'}  {row['name']:{width}}  {row['description']}{needs}")
        click.echo(f"     {'':{width}}  a run: {row['says']}")
