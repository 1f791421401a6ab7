"""`aiconform lab fault`: deliberate defects of the lab, on and off."""

from __future__ import annotations

from typing import Any

import click

from aiconform.cli.common import Failure, output_option, print_json


@click.command("fault")
@click.argument("fault", required=False, metavar="[FAULT]")
@click.option("--off", is_flag=True, help="Turn the fault off.")
@click.option(
    "--list", "listing", is_flag=True, help="List all faults: whether each is on, what it breaks and what it needs."
)
@click.option("--name", "lab_name", default="lab", show_default=True, help="The lab.")
@output_option
def command(fault: str | None, off: bool, listing: bool, lab_name: str, output: str) -> None:
    """Turn a fault (a deliberate defect of the lab) on or off.

    Returns when the change has taken effect. Running containers keep running.
    """
    from aiconform.lab import LabError, load
    from aiconform.lab.faults.registry import FAULTS, UnknownFault, find
    from aiconform.lab.faults.switch import describe, turn

    if listing == (fault is not None) or (off and listing):
        raise click.UsageError("give the name of a fault, or --list")
    try:
        if fault:
            find(fault)
        lab = load(lab_name)
        if listing:
            _print(describe(list(FAULTS.values()), lab.state if lab else None), output)
            return
        if lab is None or not lab.running:
            raise LabError(f"lab {lab_name} is not up; bring it up with `aiconform lab up --name {lab_name}`")
        turn(lab, fault or "", on=not off)
    except UnknownFault as error:
        raise click.UsageError(str(error)) from error
    except LabError as error:
        raise Failure(str(error)) from error
    if output == "json":
        print_json({"name": fault, "on": not off})
    else:
        click.echo(f"{fault} is {'off' if off else 'on'}")


def _print(rows: list[dict[str, Any]], output: str) -> None:
    if output == "json":
        print_json(rows)
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        needs = f" (needs {', '.join(row['needs'])})" if row["needs"] else ""
        click.echo(f"{'on ' if row['on'] else 'off'}  {row['name']:{width}}  {row['description']}{needs}")
        click.echo(f"     {'':{width}}  breaks {', '.join(row['breaks'])}")
