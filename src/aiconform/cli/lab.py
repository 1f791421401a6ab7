"""`aiconform lab`: a reference AI platform of real components on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from aiconform.cli.common import Failure, note, output_option, print_json
from aiconform.cli.ending import INTERRUPTED, end
from aiconform.cli.extras import ExtraGroup
from aiconform.cli.progress import Progress
from aiconform.lab.config import ALLOCATIONS, IP_FAMILIES

_MODULES = {
    "assets": "aiconform.cli.lab_assets",
    "fault": "aiconform.cli.lab_fault",
    "status": "aiconform.cli.lab_status",
    "trait": "aiconform.cli.lab_trait",
}


class _Group(ExtraGroup):
    """Imports those that have modules of their own only when they are called."""

    extra = "lab"

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *_MODULES]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in _MODULES:
            command: click.Command = import_module(_MODULES[name]).command
            return command
        return super().get_command(ctx, name)


@contextmanager
def clear_errors() -> Iterator[None]:
    """LabError ends the command with its message and exit code 2; with 3 if this machine cannot have what was asked."""
    from aiconform.lab import LabError

    try:
        yield
    except LabError as error:
        raise Failure(str(error), error.exit_code) from error
    except KeyboardInterrupt:
        # Builds and processes stay; the same command continues from there.
        note("aiconform: interrupted")
        end(INTERRUPTED)


name_option = click.option(
    "--name", default="lab", show_default=True, help="Name of the lab; a machine can run several."
)


@click.group(cls=_Group)
def command() -> None:
    """Run a reference AI platform of real components on this machine (needs root on Linux)."""


@command.command()
@name_option
@click.option("--kubernetes", metavar="X.Y", help="Kubernetes minor version; the newest by default.")
@click.option(
    "--ip-family",
    type=click.Choice(IP_FAMILIES),
    help="The family of all addresses of nodes, Pods and Services (a new lab has ipv4).",
)
@click.option("--nodes", type=int, metavar="N", help="Number of nodes (a new lab has 2).")
@click.option("--accelerators", type=int, metavar="N", help="Simulated accelerators of each node (a new lab has 4).")
@click.option(
    "--allocation",
    multiple=True,
    metavar="MODE|NODE=MODE",
    help=f"How Pods get accelerators, on all nodes or on one: {', '.join(ALLOCATIONS)}. Usually, nodes alternate.",
)
@click.option(
    "--devices",
    multiple=True,
    metavar="GLOB",
    help="Offer this machine's own devices, such as '/dev/nvidia[0-9]*', in place of simulated ones.",
)
@click.option(
    "--identity",
    multiple=True,
    metavar="NAME|FILE|NODE=…",
    help="Names and shape of the accelerators, on all nodes or on one: one of `lab identities`, or a YAML file.",
)
@click.option(
    "--assets",
    metavar="URL|FILE|DIR",
    help="A bundle of `lab assets export`, or a folder of binaries to use before cached or built ones; by default, the "
    "folder KUBEBUILDER_ASSETS.",
)
@click.option(
    "--feature-gate",
    "gates",
    multiple=True,
    metavar="NAME=true|false",
    help="Feature gate, for all components.",
)
@click.option(
    "--runtime-config",
    "served",
    multiple=True,
    metavar="API=true|false",
    help="API that the API server serves or not.",
)
@click.option("--with", "add_ons", multiple=True, metavar="ADD-ON", help="Add-on to install, or `all` of them.")
@click.option("--without", multiple=True, metavar="ADD-ON", help="Add-on to remove.")
@click.option(
    "--trait",
    "traits",
    multiple=True,
    metavar="TRAIT",
    help="Trait to turn on, with its add-ons; see `lab trait --list`.",
)
@output_option
def up(
    name: str,
    kubernetes: str | None,
    ip_family: str | None,
    nodes: int | None,
    accelerators: int | None,
    allocation: tuple[str, ...],
    devices: tuple[str, ...],
    identity: tuple[str, ...],
    assets: str | None,
    gates: tuple[str, ...],
    served: tuple[str, ...],
    add_ons: tuple[str, ...],
    without: tuple[str, ...],
    traits: tuple[str, ...],
    output: str,
) -> None:
    """Start a lab, or change a running one, and wait until it is ready. Prints the path of its kubeconfig."""
    from aiconform.lab import LabConfig, prepared, up
    from aiconform.lab.traits.catalog import find
    from aiconform.lab.traits.switch import turn

    with clear_errors(), Progress() as progress:
        wanted = [find(trait) for trait in names(traits)]
        folder = Path(assets) if assets and not prepared.is_bundle(assets) else None
        if assets and folder is None:
            prepared.take(assets, progress)
        config = LabConfig(
            name=name,
            kubernetes=kubernetes,
            ip_family=ip_family,
            nodes=nodes,
            accelerators=accelerators,
            allocation=_by_node("--allocation", allocation),
            devices=devices,
            identity=_by_node("--identity", identity),
            assets=folder,
            feature_gates=_switches("--feature-gate", gates),
            runtime_config=_switches("--runtime-config", served),
            add_ons=(*names(add_ons), *(name for trait in wanted for name in trait.needs)),
            without_add_ons=names(without),
        )
        lab = up(config, progress)
        if wanted:
            progress(f"turning on {', '.join(trait.name for trait in wanted)}")
            turn(lab, (trait.name for trait in wanted), on=True)
        progress.done(f"lab {name} is up: Kubernetes {lab.plan.kubernetes}, {len(lab.plan.own)} nodes")
    if output == "json":
        print_json({"name": name, "kubeconfig": str(lab.kubeconfig), "server": lab.network.server})
    else:
        click.echo(lab.kubeconfig)


@command.command("add-ons")
@output_option
def list_add_ons(output: str) -> None:
    """List the add-ons that a lab can have (`lab up --with`)."""
    from aiconform.lab.addons.registry import ADD_ONS

    if output == "json":
        print_json(
            [
                {"name": each.name, "summary": each.summary, "needs": list(each.needs), "since": each.since}
                for each in ADD_ONS.values()
            ]
        )
        return
    width = max(map(len, ADD_ONS))
    for each in ADD_ONS.values():
        click.echo(f"{each.name:{width}}  {each.summary}")


@command.command()
@output_option
def identities(output: str) -> None:
    """List the names and shapes that simulated accelerators can have (`lab up --identity`)."""
    from aiconform.lab.accelerators import identities
    from aiconform.lab.accelerators.devices import resources

    if output == "json":
        print_json([{"name": name, **each.model_dump(mode="json")} for name, each in identities().items()])
        return
    for name, each in identities().items():
        click.echo(f"{name:{max(map(len, identities()))}}  {each.product}: {each.driver}; {', '.join(resources(each))}")


@command.command()
@name_option
def down(name: str) -> None:
    """Delete a lab with everything that belongs to it."""
    from aiconform.lab import end_lab

    with clear_errors(), Progress() as progress:
        progress.done(f"lab {name} is deleted" if end_lab(name, progress) else f"there is no lab {name}")


@command.command()
@name_option
@click.option("--content", is_flag=True, help="Print the file instead of its path.")
def kubeconfig(name: str, content: bool) -> None:
    """Print the path of a lab's kubeconfig."""
    with clear_errors():
        path = existing(name).kubeconfig
    click.echo(path.read_text() if content else path, nl=not content)


@command.group()
def node() -> None:
    """Add nodes to a running lab, or remove them."""


@node.command("add")
@click.argument("node_name", metavar="NODE")
@name_option
@click.option("--allocation", type=click.Choice(ALLOCATIONS), help="How Pods get its accelerators.")
@click.option("--accelerators", type=int, metavar="N", help="Number of its simulated accelerators.")
def add(node_name: str, name: str, allocation: str | None, accelerators: int | None) -> None:
    """Add a node and wait until it is Ready."""
    with clear_errors(), Progress() as progress:
        existing(name).add_node(node_name, allocation=allocation, accelerators=accelerators, progress=progress)
        progress.done(f"{node_name} is Ready")


@node.command("remove")
@click.argument("node_name", metavar="NODE")
@name_option
def remove(node_name: str, name: str) -> None:
    """Switch off a node and remove its Node object."""
    with clear_errors(), Progress() as progress:
        existing(name).remove_node(node_name, progress)
        progress.done(f"{node_name} is removed")


def existing(name: str) -> Any:
    """The lab of this name, running or not. Raises LabError."""
    from aiconform.lab import LabError, load

    lab = load(name)
    if lab is None:
        raise LabError(f"there is no lab {name}; start it with `aiconform lab up --name {name}`")
    return lab


def running(name: str) -> Any:
    """The lab of this name, which is up. Raises LabError."""
    from aiconform.lab import LabError, load

    lab = load(name)
    if lab is None or not lab.running:
        raise LabError(f"lab {name} is not up; bring it up with `aiconform lab up --name {name}`")
    return lab


def _by_node(option: str, words: tuple[str, ...]) -> str | dict[str, str] | None:
    """One value for all nodes, or node -> value."""
    if len(words) < 2 and "=" not in "".join(words):
        return "".join(words) or None
    pairs = [word.partition("=") for word in words]
    if not all(node and equals for node, equals, _ in pairs):
        raise click.UsageError(f"{option}: give one value for all nodes, or NODE=VALUE once for each node")
    return {node: value for node, _, value in pairs}


def names(words: tuple[str, ...]) -> tuple[str, ...]:
    """Names that were given one at a time, or separated by commas."""
    return tuple(name for word in words for name in word.replace(",", " ").split())


def _switches(option: str, words: tuple[str, ...]) -> dict[str, bool] | None:
    if not words:
        return None
    pairs = [word.partition("=") for word in words]
    if not all(name and value in ("true", "false") for name, _, value in pairs):
        raise click.UsageError(f"{option}: give NAME=true or NAME=false")
    return {name: value == "true" for name, _, value in pairs}
