"""`python -m aiconform.lab.accelerators --config FILE`: the accelerators of one node, until SIGTERM."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click


@click.command()
@click.option(
    "--config", "path", required=True, type=click.Path(dir_okay=False, path_type=Path), help="JSON file, see config.py."
)
def main(path: Path) -> None:
    """Serve simulated accelerators on one node. SIGHUP reloads the file; SIGTERM stops."""
    from aiconform.cluster import ClusterError
    from aiconform.lab.accelerators.identity import AcceleratorError
    from aiconform.lab.accelerators.process import run

    try:
        asyncio.run(run(path))
    except (AcceleratorError, ClusterError) as err:
        click.echo(f"accelerators: {err}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
