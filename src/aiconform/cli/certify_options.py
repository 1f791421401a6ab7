"""What the commands of `aiconform certify` share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

INVALID = 1
FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)

checklists_option = click.option(
    "--checklists",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    envvar="AICONFORM_CHECKLISTS",
    show_envvar=True,
    help="Folder with the programme's checklists (AIConformance-1.NN.yaml), for example a clone of its repository.",
)

sigstore_option = click.option(
    "--sigstore-config",
    type=FILE,
    help="A sigstore deployment other than the public one: its ClientTrustConfig (JSON).",
)


def print_result(data: Any) -> None:
    """Print JSON to standard output. A file's name may contain bytes that are not text."""
    import json

    click.echo(json.dumps(data, indent=2, ensure_ascii=False).encode("utf-8", "replace").decode())
