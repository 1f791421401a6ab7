"""`aiconform lab fault`: deliberate defects of the lab, on and off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from aiconform.cli.common import Failure, output_option, print_json
from aiconform.cli.lab import running


@click.command("fault")
@click.argument("faults", nargs=-1, metavar="[FAULT[@NODE]]...")
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

    FAULT@NODE is a fault at this node only, FAULT one at all nodes, or where --node and --autoscaled say.
    Several faults change side by side. Returns when all changes have taken effect. Running containers keep running.
    """
    from aiconform.lab import LabError, load
    from aiconform.lab.faults.registry import FAULTS, UnknownFault
    from aiconform.lab.faults.state import AUTOSCALED
    from aiconform.lab.faults.switch import describe, faults_on, turn

    if sum((listing, bool(faults), every)) != 1 or (off and listing) or (every and not off):
        raise click.UsageError("give names of faults, --off --all, or --list")
    try:
        at = (*nodes, *([AUTOSCALED] if autoscaled else []))
        where = _where(faults, at)
        if listing:
            lab = load(lab_name)
            _print(describe(list(FAULTS.values()), lab.state if lab else None), output)
            return
        lab = running(lab_name)
        if every:
            where = {fault.name: at for fault in faults_on(lab.state)}
        turn(lab, where, on=not off)
    except UnknownFault as error:
        raise click.UsageError(str(error)) from error
    except LabError as error:
        raise Failure(str(error)) from error
    if output == "json":
        print_json([{"name": str(name), "on": not off, "nodes": list(places)} for name, places in where.items()])
        return
    for name, places in where.items():
        told = ", ".join("autoscaled nodes" if place == AUTOSCALED else place for place in places)
        click.echo(f"{name} is {'off' if off else 'on'}{' at ' if told else ''}{told}")


def _where(words: Sequence[str], at: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Fault -> at which nodes, none for all, by words FAULT and FAULT@NODE.

    at: where the faults are that are given without a node. Raises UnknownFault, UsageError.
    """
    from aiconform.lab.faults.registry import find

    found: dict[str, list[str]] = {}
    for word in words:
        name, separator, node = word.partition("@")
        find(name)
        if separator and not node:
            raise click.UsageError(f"{word} names no node: give FAULT@NODE, or FAULT alone for all nodes")
        if separator and at:
            raise click.UsageError(f"{word} says where the fault is: give it without --node and --autoscaled")
        found.setdefault(name, []).append(node)
    # A fault that is also given without a node is meant everywhere.
    return {name: at if name in words else tuple(dict.fromkeys(nodes)) for name, nodes in found.items()}


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
