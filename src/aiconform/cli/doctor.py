"""`aiconform doctor`: what stands in the way of a run, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiconform.cli.choosing import Asked, asked, choosing_options
from aiconform.cli.common import fail, installed_standard, note, output_option, print_json, run_async
from aiconform.cli.ending import end

if TYPE_CHECKING:
    from aiconform.engine.doctor.examination import Examination


@click.command("doctor")
@choosing_options
@click.option(
    "--try-images",
    is_flag=True,
    help="Make a Namespace as a run does, with one short Pod that has every image, and delete it again.",
)
@click.option(
    "--earlier",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    metavar="DIR",
    help="A run directory, or a folder with some, whose recorded times count; by default, the current folder.",
)
@output_option
def command(try_images: bool, earlier: Path, output: str, **what: Any) -> None:
    """Show what stands in the way of a run, or of the checks of the requirements ID..., with the way out.

    It takes the options of `aiconform run`, and says of each point whether it is fine, cannot be decided, or stands in
    the way: access, version, nodes, permissions, what the cluster asks of Namespaces and Pods, quotas, images, and each
    check. Then it says what the run would hold, and for how long. It runs no check. Without --try-images it makes
    nothing: Namespaces and Pods are dry runs.

    Exit code: 0 if every point is fine that the run's verdict depends on, 3 if one of them is not, 2 if a run would not
    begin.
    """
    from aiconform.engine.doctor.points import exit_code

    found, requests = run_async(_examine(asked(**what), earlier, try_images=try_images))
    if output == "json":
        from aiconform.reports.doctor import as_data

        print_json({**as_data(found), "requests": requests})
    else:
        from aiconform.reports.doctor import lines

        for line in lines(found):
            click.echo(line)
    for leak in found.leaks:
        note(f"aiconform: left behind: {leak}")
    end(exit_code(found.points))


async def _examine(how: Asked, earlier: Path, *, try_images: bool) -> tuple[Examination, int]:
    """What is found, and with how many requests."""
    from aiconform.check.registry import NoSuchCheck
    from aiconform.cluster import ClusterError, connect
    from aiconform.cluster.requests import metered
    from aiconform.engine.doctor.examination import Wanted, examine, unreached
    from aiconform.engine.plan import BadChoice
    from aiconform.platform import BadSelector
    from aiconform.spec import SpecError

    about = how.chosen
    parts = (about.ids, about.kubernetes, about.extensions, how.settings, how.images, how.guest)
    wanted = Wanted(*parts, earlier, try_images)
    with metered() as meter:
        try:
            standard = installed_standard()
            async with connect(how.kubeconfig, how.context) as cluster:
                return await examine(cluster, standard, wanted), meter.total
        except (SpecError, BadChoice, NoSuchCheck, BadSelector) as error:
            fail(str(error))
        except ClusterError as error:
            return unreached(error), meter.total
