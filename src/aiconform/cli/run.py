"""`aiconform run`: the suite on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aiconform.cli.common import (
    accelerator_options,
    accelerators_said,
    cluster_options,
    extensions_option,
    fail,
    installed_standard,
    note,
    output_option,
    print_json,
    run_async,
    set_option,
    strict_option,
)
from aiconform.cli.completion import complete_checks
from aiconform.cli.ending import end
from aiconform.cli.guest import guest_of, guest_options

if TYPE_CHECKING:
    from aiconform.check import Settings
    from aiconform.cli.run_lab import ComingAddOns
    from aiconform.cluster import Cluster
    from aiconform.engine.evidence import Report, RunInfo
    from aiconform.engine.plan import Plan
    from aiconform.engine.preview import Preview
    from aiconform.engine.run import RunOptions
    from aiconform.spec import Requirement, Standard


@click.command("run")
@click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=complete_checks)
@cluster_options
@click.option("--kubernetes", metavar="vX.Y", help="Version of the standard; by default, the version of the cluster.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Run directory; by default, a new one in the current folder.",
)
@click.option("--resume", type=click.Path(path_type=Path), metavar="DIR", help="Continue an interrupted run.")
@click.option("--lab", is_flag=True, help="Run on the embedded lab; starts it if needed (Linux, root).")
@click.option("--every-node", is_flag=True, help="Test every accelerator node, not one of each kind.")
@click.option(
    "--at-once",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    metavar="N",
    help="The most probes that work on nodes at the same time. Each has up to five Pods and six connections.",
)
@click.option(
    "--nodes",
    default="",
    metavar="SELECTOR",
    help="Use only accelerators of Nodes that this label selector matches, such as pool=spare or 'pool in (a,b)'.",
)
@accelerator_options
@click.option(
    "--patience",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="The longest time until a Pod runs, and for which a request that fails for a moment is repeated.",
)
@click.option(
    "--image-registry", default="", metavar="REGISTRY", help="Mirror of the test images (see `aiconform images`)."
)
@click.option("--image-digests", is_flag=True, help="Name the test images by digest, where a policy demands it.")
@guest_options
@click.option("--challenge", metavar="FILE", help="Carry a reviewer's challenge into the cluster and back.")
@set_option
@extensions_option
@strict_option
@click.option("--dry-run", is_flag=True, help="Only show which probes would run, on what, and for how long.")
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
    at_once: int,
    nodes: str,
    accelerators: tuple[str, ...],
    not_accelerators: tuple[str, ...],
    profiles: tuple[Path, ...],
    tolerations: tuple[str, ...],
    patience: float,
    image_registry: str,
    image_digests: bool,
    pod_template: Path | None,
    pull_secrets: tuple[str, ...],
    namespace: str,
    namespace_labels: str,
    namespace_annotations: tuple[str, ...],
    challenge: str | None,
    options: tuple[str, ...],
    extensions: bool,
    strict: bool,
    dry_run: bool,
    output: str,
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
    from aiconform.check import Settings
    from aiconform.engine.options import parse
    from aiconform.engine.plan import BadChoice
    from aiconform.engine.run import RunOptions
    from aiconform.engine.verdicts import EXIT_CODES
    from aiconform.platform.images import Images

    about_accelerators = accelerators or not_accelerators or profiles or tolerations
    as_guest = pod_template or pull_secrets or namespace or namespace_labels or namespace_annotations
    given = click.get_current_context().get_parameter_source
    paced = any(given(name) is click.core.ParameterSource.COMMANDLINE for name in ("patience", "at_once"))
    if resume and (
        out or ids or kubernetes or extensions or nodes or about_accelerators or as_guest or options or paced
    ):
        raise click.UsageError(
            "--resume continues the run in DIR as it was started: leave out ID, --out, --kubernetes, --nodes, "
            "--extensions, --accelerator, --not-accelerator, --accelerator-profile, --toleration, --pod-template, "
            "--pull-secret, --namespace, --namespace-labels, --namespace-annotation, --patience, --at-once and --set."
        )
    if dry_run and (resume or out):
        raise click.UsageError("--dry-run creates nothing: leave out --out and --resume.")
    if resume and challenge:
        raise click.UsageError("--resume carries on with the challenge of the run: leave out --challenge.")
    if lab and (kubeconfig or context):
        raise click.UsageError("--lab brings its own cluster: leave out --kubeconfig and --context.")
    chosen = Chosen(ids, kubernetes, extensions)
    guest = guest_of(pod_template, namespace_labels, namespace_annotations, pull_secrets, namespace)
    said = accelerators_said(accelerators, not_accelerators, profiles, tolerations)
    if challenge:
        guest = guest.challenged(_nonce(challenge))
    try:
        settings = Settings(every_node, nodes, said, patience, parse(options, note), at_once)
    except BadChoice as error:
        fail(str(error))
    coming = None
    if lab:
        from aiconform.cli.run_lab import lab_of

        running, coming = lab_of(_asked(chosen), at_once=dry_run)
        kubeconfig, context = str(running.kubeconfig), None
    if dry_run:
        _show(run_async(_preview(chosen, kubeconfig, context, settings, namespace)), output)
        return
    how = RunOptions(_folder(resume or out), settings, Images(image_registry, image_digests), guest)
    report = run_async(_run(None if resume else chosen, kubeconfig, context, how, coming, as_json=output == "json"))
    end(EXIT_CODES[report.strict if strict else report.verdict])


def _nonce(given: str) -> str:
    from aiconform.certify.challenge import BadChallenge, read_challenge

    try:
        return read_challenge(given).nonce
    except BadChallenge as error:
        fail(f"--challenge: {error}")


@dataclass(frozen=True)
class Chosen:
    """What a run is to be about: these requirements or all, at this version or the cluster's, and all extensions."""

    ids: tuple[str, ...]
    kubernetes: str | None
    extensions: bool

    @classmethod
    def of(cls, info: RunInfo) -> Chosen:
        """As it was chosen for the run of this `run.json`."""
        return cls(info.chosen or (), info.standard, bool(info.extensions) and info.chosen is None)

    async def plan(self, cluster: Cluster, standard: Standard) -> Plan:
        """Raises BadChoice, SpecError, NoSuchCheck, ClusterError."""
        from aiconform.engine.plan import make_plan

        return make_plan(standard, self.kubernetes or await cluster.version(), self.ids, extensions=self.extensions)


def _folder(given: Path | None) -> Path:
    """The run directory: the given one, or a new one, named after this moment."""
    from aiconform.engine.journal import now

    return given or Path(f"aiconform-run-{now()[:19].replace(':', '').replace('-', '')}")


def _asked(chosen: Chosen) -> Iterator[Requirement]:
    """The requirements whose checks the run may make, as far as that is known before a cluster is."""
    from aiconform.check.registry import extended_standard

    standard = extended_standard()
    for requirement in (*standard.requirements, *(standard.extensions if chosen.extensions or chosen.ids else ())):
        if not chosen.ids or requirement.id in chosen.ids or (chosen.extensions and requirement.is_extension):
            yield requirement


async def _preview(
    chosen: Chosen, kubeconfig: str | None, context: str | None, settings: Settings, namespace: str
) -> list[Preview]:
    from aiconform.check.registry import NoSuchCheck
    from aiconform.cluster import ClusterError, connect
    from aiconform.engine.plan import BadChoice
    from aiconform.engine.preview import preview
    from aiconform.platform import Platform
    from aiconform.platform.images import Images
    from aiconform.spec import SpecError

    try:
        standard = installed_standard()
        async with connect(kubeconfig, context) as cluster:
            plan = await chosen.plan(cluster, standard)
            platform = Platform(cluster, Images(), settings.nodes, settings.said)
            return await preview(platform, plan, settings, namespace)
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


async def _run(
    chosen: Chosen | None,
    kubeconfig: str | None,
    context: str | None,
    options: RunOptions,
    coming: ComingAddOns | None,
    *,
    as_json: bool,
) -> Report:
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
        async with connect(kubeconfig, context) as cluster:
            what = chosen
            if what is None:
                info = RunDirectory(options.out).read_info()
                what, options = Chosen.of(info), options.continued(info)
            plan = await what.plan(cluster, standard)
            gates = coming.gates if coming else {}
            run = Run(cluster, plan, standard, options, [console.listen], gates, write_reports)
            async with background(coming.arrive()) if coming else nullcontext():
                report = await (run.execute() if chosen else run.resume())
    except (ClusterError, SpecError, BadChoice, NoSuchCheck, BadRunDirectory, BrokenChain) as error:
        fail(str(error))
    console.close(report, run.directory.path)
    return report
