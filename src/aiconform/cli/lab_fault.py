"""`aiconform lab fault`: deliberate defects of the lab, on and off."""

from __future__ import annotations

from typing import Any

import click

from aiconform.cli.common import Failure, output_option, print_json
from aiconform.cli.lab import running


@click.command("fault")
@click.argument("faults", nargs=-1, metavar="[FAULT]...")
@click.option("--off", is_flag=True, help="Turn the faults off.")
@click.option("--all", "every", is_flag=True, help="With --off: every fault that is on.")
@click.option("--node", "nodes", multiple=True, metavar="NODE", help="Only at this node; by default, at all nodes.")
@click.option("--autoscaled", is_flag=True, help="Only at nodes that an autoscaler orders.")
@click.option(
    "--list",
    "listing",
    is_flag=True,
    help="List all faults: whether each is on and where, what it breaks, disturbs and needs.",
)
@click.option("--name", "lab_name", default="lab", show_default=True, help="The lab.")
@output_option
def command(
    faults: tuple[str, ...],
    off: bool,
    every: bool,
    nodes: tuple[str, ...],
    autoscaled: bool,
    listing: bool,
    lab_name: str,
    output: str,
) -> None:
    """Turn faults (deliberate defects of the lab) on or off.

    Several faults change side by side. Returns when all changes have taken effect. Running containers keep running.
    """
    from aiconform.lab import LabError, load
    from aiconform.lab.faults.registry import FAULTS, UnknownFault, find
    from aiconform.lab.faults.state import AUTOSCALED
    from aiconform.lab.faults.switch import describe, faults_on, turn

    if sum((listing, bool(faults), every)) != 1 or (off and listing) or (every and not off):
        raise click.UsageError("give names of faults, --off --all, or --list")
    try:
        for name in faults:
            find(name)
        if listing:
            lab = load(lab_name)
            _print(describe(list(FAULTS.values()), lab.state if lab else None), output)
            return
        lab = running(lab_name)
        names = [fault.name for fault in faults_on(lab.state)] if every else list(dict.fromkeys(faults))
        where = (*nodes, *([AUTOSCALED] if autoscaled else []))
        turn(lab, names, on=not off, nodes=where)
    except UnknownFault as error:
        raise click.UsageError(str(error)) from error
    except LabError as error:
        raise Failure(str(error)) from error
    if output == "json":
        print_json([{"name": str(name), "on": not off, "nodes": list(where)} for name in names])
    else:
        place = f" at {', '.join((*nodes, *(['autoscaled nodes'] if autoscaled else [])))}" if where else ""
        for name in names:
            click.echo(f"{name} is {'off' if off else 'on'}{place}")


def _print(rows: list[dict[str, Any]], output: str) -> None:
    if output == "json":
        print_json(rows)
        return
    from aiconform.lab.faults.fault import EVERY_OTHER

    width = max(len(row["name"]) for row in rows)
    for row in rows:
        needed = [*row["needs"], *(f"{role} nodes" for role in row["roles"])]
        needed += [" or ".join(row["ways"])] if row["ways"] else []
        needs = f" (needs {', '.join(needed)})" if needed else ""
        where = f" [at {', '.join(row['nodes'])}]" if row["nodes"] else ""
        click.echo(f"{'on ' if row['on'] else 'off'}  {row['name']:{width}}  {row['description']}{needs}{where}")
        others = ["every other check" if each == EVERY_OTHER else each for each in row["disturbs"]]
        disturbs = f"; disturbs {', '.join(others)}" if others else ""
        click.echo(f"     {'':{width}}  breaks {', '.join(row['breaks'])}{disturbs}")
