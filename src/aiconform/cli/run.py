"""`aiconform run`: the suite on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiconform.cli.choosing import Asked, Chosen, asked, choosing_options
from aiconform.cli.common import fail, installed_standard, output_option, print_json, run_async, strict_option
from aiconform.cli.ending import end

if TYPE_CHECKING:
    from aiconform.cli.run_lab import ComingAddOns
    from aiconform.engine.evidence import Report
    from aiconform.engine.preview import Preview
    from aiconform.engine.run import RunOptions
    from aiconform.spec import Requirement

# What may be given beside --resume; all else is as the run was started.
_WITH_RESUME = ("kubeconfig", "context", "every_node", "image_registry", "image_digests")
_PACE = ("patience", "at_once")


@click.command("run")
@choosing_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Run directory; by default, a new one in the current folder.",
)
@click.option("--resume", type=click.Path(path_type=Path), metavar="DIR", help="Continue an interrupted run.")
@click.option("--lab", is_flag=True, help="Run on the embedded lab; starts it if needed (Linux, root).")
@click.option("--challenge", metavar="FILE", help="Carry a reviewer's challenge into the cluster and back.")
@strict_option
@click.option("--dry-run", is_flag=True, help="Only show which probes would run, on what, and for how long.")
@output_option
def command(
    out: Path | None,
    resume: Path | None,
    lab: bool,
    challenge: str | None,
    strict: bool,
    dry_run: bool,
    output: str,
    **what: Any,
) -> None:
    """Run the suite, or the checks of the requirements ID..., on a cluster.

    Requirements are those of the cluster's Kubernetes version (`aiconform spec list`). All observations go to the run
    directory, from which `aiconform judge` computes every verdict again.

    Extensions are requirements with a dot in their id (`acme.fabric`) that other packages bring. A run includes those
    that are named, or all of them with --extensions. They are reported and are never part of a version's verdict; of a
    run of named requirements all count.

    A run has two verdicts. The verdict counts what the programme's own words ask for; the strict verdict also counts
    what this project asks for beyond them. The exit code follows the verdict, or the strict verdict with --strict.
    """
    from aiconform.engine.run import RunOptions
    from aiconform.engine.verdicts import EXIT_CODES

    given = click.get_current_context().get_parameter_source
    paced = any(given(name) is click.core.ParameterSource.COMMANDLINE for name in _PACE)
    if resume and (out or paced or any(what[name] for name in what if name not in (*_WITH_RESUME, *_PACE))):
        raise click.UsageError(
            "--resume continues the run in DIR as it was started: leave out ID, --out, --kubernetes, --nodes, "
            "--extensions, --accelerator, --not-accelerator, --accelerator-profile, --toleration, --pod-template, "
            "--pull-secret, --namespace, --namespace-labels, --namespace-annotation, --patience, --at-once and --set."
        )
    if dry_run and (resume or out):
        raise click.UsageError("--dry-run creates nothing: leave out --out and --resume.")
    if resume and challenge:
        raise click.UsageError("--resume carries on with the challenge of the run: leave out --challenge.")
    if lab and (what["kubeconfig"] or what["context"]):
        raise click.UsageError("--lab brings its own cluster: leave out --kubeconfig and --context.")
    how = asked(**what)
    if challenge:
        how = how.challenged(_nonce(challenge))
    coming = None
    if lab:
        from aiconform.cli.run_lab import lab_of

        running, coming = lab_of(_requirements(how.chosen), at_once=dry_run)
        how = how.on(str(running.kubeconfig))
    if dry_run:
        _show(run_async(_preview(how)), output)
        return
    options = RunOptions(_folder(resume or out), how.settings, how.images, how.guest)
    report = run_async(_run(how, options, coming, resumed=bool(resume), as_json=output == "json"))
    end(EXIT_CODES[report.strict if strict else report.verdict])


def _nonce(given: str) -> str:
    from aiconform.certify.challenge import BadChallenge, read_challenge

    try:
        return read_challenge(given).nonce
    except BadChallenge as error:
        fail(f"--challenge: {error}")


def _folder(given: Path | None) -> Path:
    """The run directory: the given one, or a new one, named after this moment."""
    from aiconform.engine.journal import now

    return given or Path(f"aiconform-run-{now()[:19].replace(':', '').replace('-', '')}")


def _requirements(chosen: Chosen) -> Iterator[Requirement]:
    """The requirements whose checks the run may make, as far as that is known before a cluster is."""
    from aiconform.check.registry import extended_standard

    standard = extended_standard()
    for requirement in (*standard.requirements, *(standard.extensions if chosen.extensions or chosen.ids else ())):
        if not chosen.ids or requirement.id in chosen.ids or (chosen.extensions and requirement.is_extension):
            yield requirement


async def _preview(how: Asked) -> list[Preview]:
    from aiconform.check.registry import NoSuchCheck
    from aiconform.cluster import ClusterError, connect
    from aiconform.engine.plan import BadChoice
    from aiconform.engine.preview import preview
    from aiconform.platform import Platform
    from aiconform.spec import SpecError

    try:
        standard = installed_standard()
        async with connect(how.kubeconfig, how.context) as cluster:
            plan = await how.chosen.plan(cluster, standard)
            platform = Platform(cluster, how.images, how.settings.nodes, how.settings.said)
            return await preview(platform, plan, how.settings, how.guest.namespace)
    except (ClusterError, SpecError, BadChoice, NoSuchCheck) as error:
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
        if entry.disturbs:
            click.echo(plain(f"  disturbs: {entry.disturbs}"))


async def _run(how: Asked, options: RunOptions, coming: ComingAddOns | None, *, resumed: bool, as_json: bool) -> Report:
    """Start a run of what was chosen, or continue the one in the run directory."""
    from aiconform.check.registry import NoSuchCheck
    from aiconform.cluster import ClusterError, connect
    from aiconform.engine.journal import BrokenChain
    from aiconform.engine.plan import BadChoice
    from aiconform.engine.run import Run
    from aiconform.engine.rundir import BadRunDirectory, RunDirectory
    from aiconform.kit.following import background
    from aiconform.reports.console import Console
    from aiconform.reports.formats import write_reports
    from aiconform.spec import SpecError

    console = Console(as_json=as_json)
    try:
        standard = installed_standard()
        async with connect(how.kubeconfig, how.context) as cluster:
            what = how.chosen
            if resumed:
                info = RunDirectory(options.out).read_info()
                what, options = Chosen.of(info), options.continued(info)
            plan = await what.plan(cluster, standard)
            gates = coming.gates if coming else {}
            run = Run(cluster, plan, standard, options, [console.listen], gates, write_reports)
            async with background(coming.arrive()) if coming else nullcontext():
                report = await (run.resume() if resumed else run.execute())
    except (ClusterError, SpecError, BadChoice, NoSuchCheck, BadRunDirectory, BrokenChain) as error:
        fail(str(error))
    console.close(report, run.directory.path)
    return report
