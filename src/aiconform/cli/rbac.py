"""`aiconform rbac`: the minimal permissions of a run."""

from __future__ import annotations

import click

from aiconform.cli.common import extensions_option, fail, installed_standard, output_option, print_json
from aiconform.cli.completion import complete_checks
from aiconform.cli.guest import namespace_name, require_secret_names


@click.command("rbac")
@click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=complete_checks)
@click.option("--name", default="aiconform", show_default=True, help="Name of the ClusterRole, and of the Role.")
@click.option(
    "--namespace",
    default="",
    callback=namespace_name,
    metavar="NAME",
    help="For `run --namespace NAME`: a Role, and what it reads.",
)
@click.option(
    "--pull-secret", "pull_secrets", multiple=True, metavar="NAMESPACE/NAME", help="As given to `run`; can be repeated."
)
@extensions_option
@output_option
def command(
    ids: tuple[str, ...], name: str, namespace: str, pull_secrets: tuple[str, ...], extensions: bool, output: str
) -> None:
    """Print the minimal ClusterRole for the checks of the requirements ID..., or for all checks of the suite.

    Bind it with: kubectl create clusterrolebinding aiconform --clusterrole aiconform --serviceaccount NAMESPACE:NAME

    With --namespace: a Role for what a run makes in that Namespace, and the ClusterRole of what it reads elsewhere.
    Comments say which checks make or change something beyond it. Bind the Role with: kubectl create rolebinding.
    """
    import yaml

    from aiconform.check.registry import NoSuchCheck, extension_ids, has_check, load_check
    from aiconform.engine.access import beyond, cluster_role, pulling, roles_within
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
    if namespace:
        roles = roles_within(name, namespace, checks, pulling(pull_secrets))
        limits = {check.id: found for check in checks if (found := beyond(check))}
        if output == "json":
            print_json({"role": roles[0], "clusterRole": roles[1], "beyond": limits})
            return
        for check, found in limits.items():
            for what, instead in found.items():
                click.echo(f"# {check} cannot {what}" + (f": {instead}" if instead else ""))
        click.echo(yaml.safe_dump_all(roles, sort_keys=False), nl=False)
        return
    role = cluster_role(name, checks, pulling(pull_secrets))
    if output == "json":
        print_json(role)
    else:
        click.echo(yaml.safe_dump(role, sort_keys=False), nl=False)
