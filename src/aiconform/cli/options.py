"""`aiconform options`: what can be set for each check."""

from __future__ import annotations

from typing import Any

import click

from aiconform.cli.common import fail, installed_standard, output_option, print_json


@click.command("options")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@output_option
def command(ids: tuple[str, ...], output: str) -> None:
    """List what `aiconform run --set ID.NAME=VALUE` can set for the checks of ID..., or for all of them."""
    from aiconform.check.registry import NoSuchCheck, extension_ids, has_check, load_check
    from aiconform.spec import SpecError

    try:
        standard = installed_standard()
        for wanted in ids:
            standard.requirement(wanted)
        known = (*filter(has_check, standard.ids), *extension_ids())
        checks = [load_check(wanted) for wanted in ids or known]
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
