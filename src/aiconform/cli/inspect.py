"""`aiconform inspect`: what the platform offers; only reads."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiconform.cli.common import (
    accelerator_options,
    accelerators_said,
    cluster_options,
    fail,
    installed_standard,
    note,
    output_option,
    print_json,
    run_async,
    set_option,
)

if TYPE_CHECKING:
    from aiconform.platform import AcceleratorOptions

# So many nodes, or lines about what was passed over, are shown one by one; more are counted.
_SHOWN = 10


@click.command("inspect")
@cluster_options
@accelerator_options
@set_option
@click.option(
    "--record",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write what was read into a new folder, redacted, for `aiconform replay` (docs/recorded-platforms.md).",
)
@output_option
def command(
    kubeconfig: str | None,
    context: str | None,
    accelerators: tuple[str, ...],
    not_accelerators: tuple[str, ...],
    profiles: tuple[Path, ...],
    tolerations: tuple[str, ...],
    options: tuple[str, ...],
    record: Path | None,
    output: str,
) -> None:
    """Show what the platform offers to the checks, and what would prevent one from running. Creates nothing."""
    said = accelerators_said(accelerators, not_accelerators, profiles, tolerations)
    found = run_async(_recorded(record, kubeconfig, context, said, options))
    if output == "json":
        print_json(found)
        return
    from aiconform.reports.plain import plain

    click.echo(f"Kubernetes {found['kubernetes']} at {found['server']}")
    click.echo(f"Nodes: {found['nodes']['ready']} of {found['nodes']['total']} usable")
    click.echo(f"Dynamic Resource Allocation: {found['dra'] or 'not served'}")
    click.echo("Accelerators:" if found["accelerators"] else "Accelerators: none that a check could use")
    for line in _accelerators(found["accelerators"]):
        click.echo("  " + plain(line))
    for title, key in (("Passed over", "passed_over"), ("Would keep a check from running", "problems")):
        if found[key]:
            click.echo(f"{title}:")
            for text in found[key][:_SHOWN]:
                click.echo("  " + plain(text))
            if len(found[key]) > _SHOWN:
                click.echo(f"  and {len(found[key]) - _SHOWN} more (-o json lists them)")
    for entry in found["checks"]:
        # What is missing follows line by line.
        state = entry["state"].partition(":")[0] if entry["missing"] else entry["state"]
        click.echo(plain(f"{entry['id']}: {state}"))
        for key, word in (("found", "found"), ("missing", "missing"), ("problems", "problem")):
            for text in entry[key]:
                click.echo(plain(f"  {word}: {text}"))
        if entry["disturbs"]:
            click.echo(plain(f"  disturbs: {entry['disturbs']}"))


def _accelerators(entries: list[dict[str, Any]]) -> list[str]:
    """A line for each node, or for each kind of accelerator where there are many nodes."""
    kinds: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        each = len(entries) <= _SHOWN and entry["node"]
        kinds[each or "", entry["product"], entry["way"], entry["name"]].append(entry)
    lines = []
    for (node, product, way, name), members in kinds.items():
        known = "simulated" if members[0]["simulated"] else members[0]["profile"] or members[0]["name"]
        free, total = (sum(entry[key] for entry in members) for key in ("free", "total"))
        where = node or (f"{len(members)} nodes" if len(members) > 1 else "1 node")
        by = "DRA" if way == "dra" else "device plugin"
        amount = f"{free} of {total} free{_measure(members)}"
        lines.append(f"{where}: {amount}, {product or name} by {by} ({name}; {known})")
    return lines


def _measure(entries: list[dict[str, Any]]) -> str:
    """What one accelerator is, where it is not one device: a part of a device, or all devices of a host."""
    if unit := max((entry["unit"] for entry in entries if entry["unit"] > 1), default=0):
        return f" (a Pod must ask for all {unit} of a host)"
    total, physical = (sum(entry[key] for entry in entries) for key in ("total", "physical"))
    return f" (on {physical} device{'s' if physical > 1 else ''})" if 0 < physical < total else ""


async def _recorded(
    folder: Path | None, kubeconfig: str | None, context: str | None, said: AcceleratorOptions, options: tuple[str, ...]
) -> dict[str, Any]:
    """As `_inspect`; writes what was read into the folder, if there is one."""
    if folder is None:
        return await _inspect(kubeconfig, context, said, options)
    from aiconform.cluster import ClusterError, connect
    from aiconform.cluster.answers import heard
    from aiconform.recorded.recording import NotEmpty, read_discovery, write

    try:
        with heard() as answers:
            found = await _inspect(kubeconfig, context, said, options)
            async with connect(kubeconfig, context) as cluster:
                await read_discovery(cluster)
        replaced = write(folder, answers, found["server"])
    except (ClusterError, NotEmpty, OSError) as error:
        fail(str(error))
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(replaced.items())) or "nothing"
    note(
        f"{folder} holds what was read, with {counts} replaced. Names of workloads stay: look at it before you share it"
    )
    return found


async def _inspect(
    kubeconfig: str | None, context: str | None, said: AcceleratorOptions, options: tuple[str, ...]
) -> dict[str, Any]:
    from aiconform.check import Settings
    from aiconform.cluster import ClusterError, connect
    from aiconform.cluster.requests import metered
    from aiconform.engine.options import parse
    from aiconform.engine.plan import BadChoice, make_plan
    from aiconform.engine.preview import preview
    from aiconform.platform import Platform
    from aiconform.platform.accelerators.nodes import usable_node
    from aiconform.platform.images import Images
    from aiconform.spec import SpecError

    problems: list[str] = []
    found: dict[str, Any] = {"dra": None, "nodes": {"total": 0, "ready": 0}, "accelerators": [], "passed_over": []}
    try:
        settings = Settings(said=said, options=parse(options, note))
        async with connect(kubeconfig, context) as cluster:
            with metered() as meter:
                platform = Platform(cluster, Images(), said=said)
                found |= {"server": cluster.server, "kubernetes": await platform.version()}
                plan = make_plan(installed_standard(), found["kubernetes"], (), extensions=True)
                try:
                    found["dra"] = await platform.resource_api()
                    states = [usable_node(node, said.tolerated) for node in await platform.nodes()]
                    found["nodes"] = {"total": len(states), "ready": states.count(None)}
                    offered = await platform.accelerators()
                    for entry in offered.offered:
                        shown = {name: getattr(entry, name) for name in entry.__slots__}
                        shown["devices"] = [device.name for device in entry.devices]
                        found["accelerators"].append(shown)
                    # A node with accelerators is named among these already.
                    nodes = [state for state in states if state]
                    found["passed_over"] = list(dict.fromkeys((*offered.passed_over, *nodes)))
                except ClusterError as error:
                    problems.append(str(error))
                checks = [asdict(entry) for entry in await preview(platform, plan, settings)]
    except (ClusterError, SpecError, BadChoice) as error:
        fail(str(error))
    return {**found, "problems": problems, "checks": checks, "requests": meter.total}
