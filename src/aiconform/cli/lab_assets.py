"""`aiconform lab assets`: the lab's binaries without a lab: built ahead, or in a bundle for other machines."""

from __future__ import annotations

from pathlib import Path

import click

from aiconform.cli.common import output_option, print_json
from aiconform.cli.lab import clear_errors, names
from aiconform.cli.progress import Progress

_kubernetes = click.option("--kubernetes", metavar="X.Y", help="Kubernetes minor version; the newest by default.")
_with = click.option("--with", "add_ons", multiple=True, metavar="ADD-ON", help="Add-on to include, or `all` of them.")


@click.group("assets")
def command() -> None:
    """Build the lab's binaries ahead, or export them for other machines."""


@command.command()
@click.argument("more", nargs=-1, metavar="[ADD-ON]...")
@_kubernetes
@_with
def build(more: tuple[str, ...], kubernetes: str | None, add_ons: tuple[str, ...]) -> None:
    """Build what a lab with these add-ons needs, into the cache, without starting a lab."""
    from aiconform.lab import prepared

    with clear_errors(), Progress() as progress:
        prepared.build(kubernetes, names((*more, *add_ons)), progress)
        progress.done("everything is built")


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@_kubernetes
@_with
@output_option
def export(file: Path, kubernetes: str | None, add_ons: tuple[str, ...], output: str) -> None:
    """Write a bundle (FILE.tar.xz) for `lab up --assets` on other machines; builds what is missing.

    Its manifest has the SHA-256 of every file, which is checked when the bundle is used. That finds damage, not malice:
    use bundles of people you trust.
    """
    from aiconform.lab import prepared

    with clear_errors(), Progress() as progress:
        size = prepared.export(file, kubernetes, names(add_ons), progress)
        progress.done(f"{file} has {size / (1 << 20):.1f} MiB")
    if output == "json":
        print_json({"file": str(file), "bytes": size})
    else:
        click.echo(file)
