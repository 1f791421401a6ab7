"""`aiconform options`: what can be set for each check."""

from __future__ import annotations

from typing import Any

import click

from aiconform.cli.common import fail, output_option, print_json


@click.command("options")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@output_option
def command(ids: tuple[str, ...], output: str) -> None:
    """List what `aiconform run --set ID.NAME=VALUE` can set for the checks of ID..., or for all of them."""
    from aiconform.check.registry import NoSuchCheck, has_check, load_check
    from aiconform.spec import SpecError, load_standard

    try:
        standard = load_standard()
        for wanted in ids:
            standard.requirement(wanted)
        checks = [load_check(wanted) for wanted in ids or [known for known in standard.ids if has_check(known)]]
    except (SpecError, NoSuchCheck) as error:
        fail(str(error))
    found: list[dict[str, Any]] = [
        {"check": check.id, "name": name, "default": field.default, "description": field.description}
        for check in checks
        if check.options
        for name, field in check.options.model_fields.items()
    ]
    if output == "json":
        print_json(found)
        return
    for entry in found:
        default = "" if entry["default"] in (None, "") else f" ({entry['default']})"
        click.echo(f"{entry['check']}.{entry['name']}{default}\n    {entry['description']}")
    if not found:
        click.echo("no options")
