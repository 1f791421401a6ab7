"""`aiconform lab status`: what a lab consists of, and whether it runs."""

from __future__ import annotations

from typing import Any

import click

from aiconform.cli.common import output_option, print_json
from aiconform.cli.ending import end
from aiconform.cli.lab import clear_errors, existing, name_option


@click.command("status")
@name_option
@output_option
def command(name: str, output: str) -> None:
    """Show the machines, processes and nodes of a lab. Exit code 3 if one is not running or not Ready."""
    with clear_errors():
        found = existing(name).status()
    if output == "json":
        print_json(found)
    else:
        _print_status(found)
    # An autoscaled node comes and goes; it is not Ready while it does.
    own = [node for node in found["nodes"].values() if not node["autoscaled"]]
    if not found["running"] or not all(node["ready"] for node in own):
        end(3)


def _print_status(found: dict[str, Any]) -> None:
    click.echo(f"lab {found['name']}: Kubernetes {found['kubernetes']}, {'up' if found['running'] else 'not running'}")
    click.echo(f"  kubeconfig {found['kubeconfig']}, server {found['server']}")
    click.echo(f"  slowness {found['slowness']}: limits are now this many times those of a quiet machine")
    click.echo(f"  add-ons: {', '.join(found['add_ons']) or 'none'}")
    if found["traits"]:
        click.echo(f"  traits: {', '.join(found['traits'])}; its registry, where one needs it, is {found['registry']}")
    for name, machine in found["machines"].items():
        node = found["nodes"].get(name)
        words = f"{machine['address']}, pid {machine['pid']}, restarts {machine['restarts']}"
        if node:
            ready = {True: "Ready", False: "NotReady", None: "unknown"}[node["ready"]]
            words = f"{ready}, {words}, {node['accelerators']} accelerators by {node['allocation']}"
            words += ", autoscaled" if node["autoscaled"] else ""
        click.echo(f"  {name}: {words}")
        for process, state in machine["processes"].items():
            click.echo(
                f"    {process:24} {state['state']:11} pid {state['pid'] or '-'!s:>7}  restarts {state['restarts']}"
            )
