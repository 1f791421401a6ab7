"""`aiconform options`: the options of each check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aiconform.cli.common import fail, installed_standard, output_option, print_json
from aiconform.cli.completion import complete_checks

if TYPE_CHECKING:
    from aiconform.check import Options
    from aiconform.spec import Requirement


@click.command("options")
@click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=complete_checks)
@output_option
def command(ids: tuple[str, ...], output: str) -> None:
    """List what `aiconform run --set ID.NAME=VALUE` can set, for the checks of the requirements ID... or for all."""
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
    found = [
        _entry(check.id, check.options, name, standard.requirement(check.id))
        for check in checks
        if check.options
        for name in check.options.model_fields
    ]
    if output == "json":
        print_json(found)
        return
    for entry in found:
        default = "" if entry["default"] in (None, "") else f" ({entry['default']})"
        click.echo(f"{entry['check']}.{entry['name']}{default}")
        click.echo(f"    {entry['description']}")
        if entry["choices"]:
            click.echo(f"    One of: {', '.join(map(str, entry['choices']))}")
        for limit in entry["limits"]:
            click.echo(f"    Sets the limit {limit['id']} ({limit['seconds']} s): {limit['of']}")
        if entry["formerly"]:
            click.echo(f"    Earlier names: {', '.join(entry['formerly'])}")
    if not found:
        click.echo("no options")


def _entry(check: str, options: type[Options], name: str, requirement: Requirement) -> dict[str, Any]:
    """An option, with the limits of the requirement's procedure that it sets."""
    field, about = options.model_fields[name], options.info(name)
    return {
        "check": check,
        "name": name,
        "default": field.default,
        "description": field.description,
        "choices": list(about.choices()) if about.choices else [],
        "limits": [
            {"id": limit.id, "of": limit.of, "seconds": limit.seconds}
            for limit in requirement.procedure.limits
            if limit.id in about.serves
        ],
        "formerly": list(about.formerly),
    }
