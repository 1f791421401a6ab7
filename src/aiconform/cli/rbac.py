"""`aiconform rbac`: the least access that a run needs."""

from __future__ import annotations

import click

from aiconform.cli.common import fail, output_option, print_json


@click.command("rbac")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--name", default="aiconform", show_default=True, help="Name of the ClusterRole.")
@output_option
def command(ids: tuple[str, ...], name: str, output: str) -> None:
    """Print the least ClusterRole for the checks of the requirements ID..., or of all that the suite can check.

    Bind it with: kubectl create clusterrolebinding aiconform --clusterrole aiconform --serviceaccount NAMESPACE:NAME
    """
    import yaml

    from aiconform.check.registry import NoSuchCheck, has_check, load_check
    from aiconform.engine.access import cluster_role
    from aiconform.spec import SpecError, load_standard

    try:
        standard = load_standard()
        for wanted in ids:
            standard.requirement(wanted)
        checks = [load_check(wanted) for wanted in ids or [known for known in standard.ids if has_check(known)]]
    except (SpecError, NoSuchCheck) as error:
        fail(str(error))
    role = cluster_role(name, checks)
    if output == "json":
        print_json(role)
    else:
        click.echo(yaml.safe_dump(role, sort_keys=False), nl=False)
