"""Commands whose packages come with an extra: they say what to install, before they begin to work."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec

import click

from aiconform.cli.common import Failure, fail

# extra of pyproject.toml -> its packages -> the module that each one has to bring
EXTRAS: Mapping[str, Mapping[str, str]] = {
    "certify": {
        "cryptography": "cryptography",
        "defusedxml": "defusedxml",
        "rfc3161-client": "rfc3161_client",
        "ruamel.yaml": "ruamel.yaml",
        "securesystemslib": "securesystemslib",
        "sigstore": "sigstore",
    },
    "lab": {"cryptography": "cryptography", "grpcio": "grpc", "protobuf": "google.protobuf"},
}


def need(extra: str, what: str) -> None:
    """End with exit code 2 if packages of this extra are missing; with that of LabError where none help the lab.

    what: the command that needs them.
    """
    if extra == "lab":
        _need_linux()
    if missing := [package for package, module in EXTRAS[extra].items() if not _is_there(module)]:
        fail(f"`{what}` needs {', '.join(missing)}: pip install 'aiconform[{extra}]'")


def _need_linux() -> None:
    from aiconform.lab import LabError, require_linux

    try:
        require_linux()
    except LabError as error:
        raise Failure(str(error), error.exit_code) from error


def _is_there(module: str) -> bool:
    # A module that was imported already need not be looked for; one whose parent is missing cannot be.
    if module in sys.modules:
        return sys.modules[module] is not None
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


class ExtraGroup(click.Group):
    """A group whose commands need an extra. Their --help and their completion do not."""

    extra: str

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        found = super().resolve_command(ctx, args)
        if not ctx.resilient_parsing and not set(args) & set(ctx.help_option_names):
            need(self.extra, f"aiconform {ctx.info_name}")
        return found
