"""`aiconform run`: the suite on a cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiconform.cli.common import cluster_options, fail, output_option, print_json, run_async, set_option, strict_option
from aiconform.cli.progress import Progress

if TYPE_CHECKING:
    from aiconform.check import Settings
    from aiconform.engine.evidence import Report
    from aiconform.engine.preview import Preview
    from aiconform.platform.images import Images


@click.command("run")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@cluster_options
@click.option("--kubernetes", metavar="vX.Y", help="Version of the standard; the cluster's own by default.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Run directory; a new one here by default.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="DIR", help="Go on with an interrupted run.")
@click.option("--lab", is_flag=True, help="Run on the embedded lab, brought up first if it is not (Linux, root).")
@click.option("--every-node", is_flag=True, help="Look at every accelerator node, not at one of each kind.")
@click.option(
    "--patience",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the platform may take to start a Pod.",
)
@click.option(
    "--image-registry", default="", metavar="REGISTRY", help="Mirror that has the test images (see `images`)."
)
@set_option
@strict_option
@click.option("--dry-run", is_flag=True, help="Only show which probes would run, where, and for how long at most.")
@output_option
def command(
    ids: tuple[str, ...],
    kubeconfig: str | None,
    context: str | None,
    kubernetes: str | None,
    out: Path | None,
    resume: Path | None,
    lab: bool,
    every_node: bool,
    patience: float,
    image_registry: str,
    options: tuple[str, ...],
    strict: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Run the suite, or the checks of the requirements ID..., on a cluster.

    Requirements are those of the cluster's Kubernetes version (`aiconform spec list`). All observations go to the run
    directory, from which `aiconform judge` computes every verdict again.

    A run has two verdicts. The verdict counts what the programme's own words ask for; the strict verdict also counts
    what this project asks for beyond them. The exit code follows the verdict, or the strict verdict with --strict.
    """
    from aiconform.check import Settings
    from aiconform.engine.options import parse
    from aiconform.engine.plan import BadChoice
    from aiconform.platform.images import Images

    if resume and (out or ids or kubernetes):
        raise click.UsageError(
            "--resume goes on with the run in DIR as it was begun: give no ID, --out or --kubernetes."
        )
    if lab:
        if kubeconfig or context:
            raise click.UsageError("--lab brings its own cluster: leave out --kubeconfig and --context.")
        kubeconfig = _lab_kubeconfig(ids)
    try:
        settings = Settings(every_node=every_node, patience=patience, options=parse(options))
    except BadChoice as error:
        fail(str(error))
    if dry_run:
        if resume or out:
            raise click.UsageError("--dry-run makes nothing: leave out --out and --resume.")
        _show(run_async(_preview(ids, kubeconfig, context, kubernetes, settings)), output)
        return
    report = run_async(
        _run(ids, kubeconfig, context, kubernetes, out, resume, settings, Images(image_registry), output == "json")
    )
    from aiconform.engine.verdicts import EXIT_CODES

    sys.exit(EXIT_CODES[report.strict if strict else report.verdict])


def _lab_kubeconfig(ids: tuple[str, ...]) -> str:
    """The kubeconfig of the lab, with what the checks of these requirements (or all of them) need in it."""
    from aiconform.lab import LabConfig, LabError
    from aiconform.lab.addons import FOR_CHECKS

    wanted = tuple(name for check, names in FOR_CHECKS.items() if not ids or check in ids for name in names)
    try:
        from aiconform.lab import load, up

        running = load(LabConfig().name)
        if running is None or not running.has(wanted) or not running.healthy():
            running = up(LabConfig(add_ons=wanted), progress=Progress())
    except LabError as error:
        fail(str(error))
    return str(running.kubeconfig)


async def _preview(
    ids: tuple[str, ...],
    kubeconfig: str | None,
    context: str | None,
    kubernetes: str | None,
    settings: Settings,
) -> list[Preview]:
    from aiconform.cluster import ClusterError, connect
    from aiconform.engine.plan import BadChoice, make_plan
    from aiconform.engine.preview import preview
    from aiconform.platform import Platform
    from aiconform.platform.images import Images
    from aiconform.spec import SpecError, load_standard

    try:
        async with connect(kubeconfig, context) as cluster:
            plan = make_plan(load_standard(), kubernetes or await cluster.version(), ids)
            return await preview(Platform(cluster, Images()), plan, settings)
    except (ClusterError, SpecError, BadChoice) as error:
        fail(str(error))


def _show(entries: list[Preview], output: str) -> None:
    from dataclasses import asdict

    from aiconform.reports.plain import plain

    if output == "json":
        print_json([asdict(entry) for entry in entries])
        return
    for entry in entries:
        click.echo(plain(f"{entry.id} ({entry.level}): {entry.state}"))
        for attempt in entry.attempts:
            devices = f", {attempt.devices} devices" if attempt.devices else ""
            click.echo(plain(f"  {attempt.probe} on {attempt.target}{devices}, at most {attempt.limit:.0f} s"))


async def _run(
    ids: tuple[str, ...],
    kubeconfig: str | None,
    context: str | None,
    kubernetes: str | None,
    out: Path | None,
    resume: Path | None,
    settings: Settings,
    images: Images,
    as_json: bool,
) -> Report:
    from aiconform.cluster import ClusterError, connect
    from aiconform.engine.journal import BrokenChain, now
    from aiconform.engine.plan import BadChoice, make_plan
    from aiconform.engine.run import Options, Run
    from aiconform.engine.rundir import BadRunDirectory, RunDirectory
    from aiconform.reports.console import Console
    from aiconform.reports.formats import write_reports
    from aiconform.spec import SpecError, load_standard

    console = Console(as_json=as_json)
    try:
        standard = load_standard()
        async with connect(kubeconfig, context) as cluster:
            if resume:
                info = RunDirectory(resume).read_info()
                ids, kubernetes = info.chosen or (), info.standard
            plan = make_plan(standard, kubernetes or await cluster.version(), ids)
            stamp = now()[:19].replace(":", "").replace("-", "")
            options = Options(out=resume or out or Path(f"aiconform-run-{stamp}"), settings=settings, images=images)
            run = Run(cluster, plan, standard, options, [console.listen])
            report = await (run.resume() if resume else run.execute())
    except (ClusterError, SpecError, BadChoice, BadRunDirectory, BrokenChain) as error:
        fail(str(error))
    write_reports(run.directory)
    console.close(report, run.directory.path)
    return report
