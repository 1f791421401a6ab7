"""`aiconform lab fault`: deliberate defects of the lab, on and off."""

from __future__ import annotations

import json

import click


class _Refused(click.ClickException):
    exit_code = 2


@click.command("fault")
@click.argument("fault", required=False, metavar="[FAULT]")
@click.option("--off", is_flag=True, help="End the fault.")
@click.option("--list", "listing", is_flag=True, help="List every fault and whether it is on.")
@click.option("--name", "lab_name", default="lab", show_default=True, help="The lab.")
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text", help="Form of the list.")
def command(fault: str | None, off: bool, listing: bool, lab_name: str, output: str) -> None:
    """Turn one deliberate defect of the lab on, or off again.

    Returns when it is in force. What runs already keeps running.
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
            rows = describe(list(FAULTS.values()), lab.state if lab else None)
            _print(rows, output)
            return
        if lab is None or not lab.running:
            raise LabError(f"lab {lab_name} is not up; bring it up with `aiconform lab up --name {lab_name}`")
        turn(lab, fault or "", on=not off)
    except UnknownFault as err:
        raise click.UsageError(str(err)) from err
    except LabError as err:
        raise _Refused(str(err)) from err
    state = {"name": fault, "on": not off}
    click.echo(json.dumps(state) if output == "json" else f"{fault} is {'off' if off else 'on'}")


def _print(rows: list[dict[str, object]], output: str) -> None:
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    width = max(len(str(row["name"])) for row in rows)
    for row in rows:
        click.echo(f"{'on ' if row['on'] else 'off'}  {row['name']!s:{width}}  {row['description']}")
