"""`aiconform replay`: a recorded platform's API server."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

import click

from aiconform.cli.common import fail, note, run_async


@click.command("replay")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1; by default, a free one.")
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where the kubeconfig is written; by default, a temporary file that is removed at the end.",
)
def command(folder: Path, port: int, kubeconfig: Path | None) -> None:
    """Serve the recorded platform in DIR on this machine until interrupted, and print the path of its kubeconfig.

    `aiconform inspect --record DIR` writes such a folder; docs/recorded-platforms.md explains its files. The server
    answers reads as an API server does: discovery, lists with selectors and pages, watches, metrics through the proxy.
    Nothing can be changed, so `aiconform run` works with --dry-run only.
    """
    run_async(_serve(folder, port, kubeconfig))


async def _serve(folder: Path, port: int, kubeconfig: Path | None) -> None:
    from aiconform.recorded import BadFolder, RecordedPlatform, replaying

    try:
        platform = RecordedPlatform.read(folder)
        with tempfile.TemporaryDirectory(prefix="aiconform-replay-") as temporary:
            path = kubeconfig or Path(temporary, "kubeconfig")
            async with replaying(platform, port) as server:
                path.write_text(kubeconfig_text(server), encoding="utf-8")
                click.echo(str(path))
                note(f"{folder} ({len(platform.objects)} objects) is served at {server}; interrupt to end")
                await asyncio.Event().wait()
    except (BadFolder, OSError) as error:
        fail(str(error))


def kubeconfig_text(server: str) -> str:
    """A kubeconfig for this server, without credentials (JSON is YAML)."""
    name = "recorded"
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": server}}],
            "users": [{"name": name, "user": {}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        },
        indent=2,
    )
