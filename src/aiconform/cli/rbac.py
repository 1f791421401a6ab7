"""`aiconform rbac`: the minimal permissions of a run."""

from __future__ import annotations

import click

from aiconform.cli.common import extensions_option, fail, installed_standard, output_option, print_json
from aiconform.cli.guest import require_secret_names


@click.command("rbac")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--name", default="aiconform", show_default=True, help="Name of the ClusterRole.")
@click.option(
    "--pull-secret", "pull_secrets", multiple=True, metavar="NAMESPACE/NAME", help="As given to `run`; can be repeated."
)
@extensions_option
@output_option
def command(ids: tuple[str, ...], name: str, pull_secrets: tuple[str, ...], extensions: bool, output: str) -> None:
    """Print the minimal ClusterRole for the checks of the requirements ID..., or for all checks of the suite.

    Bind it with: kubectl create clusterrolebinding aiconform --clusterrole aiconform --serviceaccount NAMESPACE:NAME
    """
    import yaml

    from aiconform.check.registry import NoSuchCheck, extension_ids, has_check, load_check
    from aiconform.engine.access import cluster_role, pulling
    from aiconform.spec import SpecError

    require_secret_names(pull_secrets)
    try:
        standard = installed_standard()
        for wanted in ids:
            standard.requirement(wanted)
        known = ids or tuple(filter(has_check, standard.ids))
        checks = [load_check(wanted) for wanted in dict.fromkeys((*known, *(extension_ids() if extensions else ())))]
    except (SpecError, NoSuchCheck) as error:
        fail(str(error))
    role = cluster_role(name, checks, pulling(pull_secrets))
    if output == "json":
        print_json(role)
    else:
        click.echo(yaml.safe_dump(role, sort_keys=False), nl=False)
