"""`aiconform cleanup`: what interrupted runs left on a cluster."""

from __future__ import annotations

import click

from aiconform.cli.common import cluster_options, fail, note, output_option, print_json, run_async
from aiconform.cli.ending import WRONG, end
from aiconform.cli.guest import namespace_name


@click.command("cleanup")
@cluster_options
@click.option("--run", metavar="ID", help="Only delete what this run left; by default, what any run left.")
@click.option(
    "--namespace",
    default="",
    callback=namespace_name,
    metavar="NAME",
    help="Delete what runs left in this Namespace of others.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@output_option
def command(
    kubeconfig: str | None, context: str | None, run: str | None, namespace: str, dry_run: bool, output: str
) -> None:
    """Delete what runs left on a cluster, and wait until it is deleted.

    Everything that a run creates is in a Namespace of the run or owned by it; after `run --namespace NAME` a Lease in
    that Namespace owns it, of which only the Pods are waited for, and the Namespace stays. A run that is still in
    progress loses its objects, too. The exit code is 2 if something could not be deleted.
    """
    removed, problem = run_async(_cleanup(kubeconfig, context, run, namespace, dry_run))
    if output == "json":
        print_json(
            {
                "leases" if namespace else "namespaces": removed,
                "deleted": not dry_run and not problem,
                "problem": problem,
            }
        )
    elif not removed:
        click.echo("Nothing is left of any run." if run is None else f"Nothing is left of run {run}.")
    else:
        done = "would delete" if dry_run else "asked to delete" if problem else "deleted"
        for name in removed:
            click.echo(f"{done} {'Lease' if namespace else 'Namespace'} {name} and what it owns")
    if problem:
        note(f"aiconform: {problem}")
        end(WRONG)


async def _cleanup(
    kubeconfig: str | None, context: str | None, run: str | None, namespace: str, dry_run: bool
) -> tuple[list[str], str]:
    from aiconform.cluster import ClusterError, TimedOut, connect
    from aiconform.cluster.removal import clear_each, left_behind, left_in, remove

    try:
        async with connect(kubeconfig, context) as cluster:
            found = await (left_in(cluster, namespace, run) if namespace else left_behind(cluster, run))
            names = [each["metadata"]["name"] for each in found]
            if not dry_run:
                try:
                    if namespace:
                        await clear_each(cluster, found)
                    else:
                        await remove(cluster, found)
                except TimedOut as error:
                    return names, str(error)
            return names, ""
    except ClusterError as error:
        fail(str(error))
