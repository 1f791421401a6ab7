"""`aiconform inspect`: what the platform offers. Only reads."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from aiconform.cli.common import cluster_options, fail, output_option, print_json, run_async, set_option


@click.command("inspect")
@cluster_options
@set_option
@output_option
def command(kubeconfig: str | None, context: str | None, options: tuple[str, ...], output: str) -> None:
    """Show what the platform offers to the checks, and what would keep one from running. Nothing is created."""
    found = run_async(_inspect(kubeconfig, context, options))
    if output == "json":
        print_json(found)
        return
    from aiconform.reports.plain import plain

    click.echo(f"Kubernetes {found['kubernetes']} at {found['server']}")
    click.echo(f"Nodes: {found['nodes']['ready']} of {found['nodes']['total']} ready")
    click.echo(f"Dynamic Resource Allocation: {found['dra'] or 'not served'}")
    click.echo("Accelerators:" if found["accelerators"] else "Accelerators: none that a check could use")
    for entry in found["accelerators"]:
        way = "DRA" if entry["way"] == "dra" else "device plugin"
        known = "simulated" if entry["simulated"] else entry["profile"] or "a driver that no profile lists"
        line = (
            f"{entry['node']}: {entry['free']} of {entry['total']} free, {entry['product'] or entry['name']} by {way}"
        )
        click.echo("  " + plain(f"{line} ({entry['name']}; {known})"))
    for title, key in (("Passed over", "passed_over"), ("Would keep a check from running", "problems")):
        if found[key]:
            click.echo(f"{title}:")
            for text in found[key]:
                click.echo("  " + plain(text))
    for entry in found["checks"]:
        click.echo(plain(f"{entry['id']}: {entry['state']}"))
        for word in ("found", "missing"):
            for text in entry[word]:
                click.echo(plain(f"  {word}: {text}"))


async def _inspect(kubeconfig: str | None, context: str | None, options: tuple[str, ...]) -> dict[str, Any]:
    from aiconform.checks.contract import Inspection, NotApplicable, NothingToLookAt, Settings
    from aiconform.cluster import ClusterError, connect
    from aiconform.engine.access import missing
    from aiconform.engine.options import parse
    from aiconform.engine.plan import BadChoice, make_plan
    from aiconform.platform import Platform
    from aiconform.platform.accelerators import usable_node
    from aiconform.platform.images import Images
    from aiconform.spec import SpecError, load_standard

    problems: list[str] = []
    found: dict[str, Any] = {"dra": None, "nodes": {"total": 0, "ready": 0}, "accelerators": [], "passed_over": []}
    try:
        settings = Settings(options=parse(options))
        async with connect(kubeconfig, context) as cluster:
            platform = Platform(cluster, Images())
            found |= {"server": cluster.server, "kubernetes": await platform.version()}
            plan = make_plan(load_standard(), found["kubernetes"], ())
            try:
                found["dra"] = await platform.resource_api()
                states = [usable_node(node) for node in await platform.nodes()]
                found["nodes"] = {"total": len(states), "ready": states.count(None)}
                problems += [state for state in states if state]
                offered = await platform.accelerators()
                for entry in offered.offered:
                    shown = asdict(entry)
                    shown["devices"] = [device.name for device in entry.devices]
                    found["accelerators"].append(shown)
                found["passed_over"] = list(offered.passed_over)
            except ClusterError as error:
                problems.append(str(error))
            checks = []
            for item in plan.items:
                state = "can run"
                if item.check is None:
                    state = "the suite has no check for it yet"
                elif refused := await missing(cluster, [item.check]):
                    state = f"these credentials may not {', '.join(refused)}; see `aiconform rbac {item.check.id}`"
                for probe in item.check.probes if item.check else ():
                    try:
                        if probe.targets:
                            await probe.targets(platform, settings)
                    except (NothingToLookAt, NotApplicable, ClusterError) as reason:
                        state = str(reason)
                seen = Inspection()
                if item.check and item.check.inspect:
                    try:
                        seen = await item.check.inspect(platform, settings)
                    except (NothingToLookAt, NotApplicable, ClusterError) as reason:
                        seen = Inspection(missing=(str(reason),))
                told = {"found": list(seen.found), "missing": list(seen.missing)}
                checks.append({"id": item.requirement.id, "level": item.level, "state": state, **told})
    except (ClusterError, SpecError, BadChoice) as error:
        fail(str(error))
    return {**found, "problems": problems, "checks": checks}
