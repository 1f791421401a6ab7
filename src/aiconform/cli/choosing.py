"""What a run is to check, and how: options of `run`, and of `doctor`, which looks at the same before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiconform.cli.common import (
    accelerator_options,
    accelerators_said,
    cluster_options,
    extensions_option,
    fail,
    note,
    set_option,
)
from aiconform.cli.completion import complete_checks
from aiconform.cli.guest import guest_of, guest_options

if TYPE_CHECKING:
    from aiconform.check import Settings
    from aiconform.cluster import Cluster
    from aiconform.cluster.guest import Guest
    from aiconform.engine.evidence import RunInfo
    from aiconform.engine.plan import Plan
    from aiconform.platform.images import Images
    from aiconform.spec import Standard


def choosing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the requirements, the cluster, and all that says how their checks work; `asked` reads what is said."""
    options = (
        click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=complete_checks),
        cluster_options,
        click.option(
            "--kubernetes", metavar="vX.Y", help="Version of the standard; by default, the version of the cluster."
        ),
        click.option("--every-node", is_flag=True, help="Test every accelerator node, not one of each kind."),
        click.option(
            "--at-once",
            type=click.IntRange(min=1),
            default=16,
            show_default=True,
            metavar="N",
            help="The most probes that work on nodes at the same time. Each has up to five Pods and six connections.",
        ),
        click.option(
            "--nodes",
            default="",
            metavar="SELECTOR",
            help="Use only accelerators of Nodes that this label selector matches, such as pool=spare or "
            "'pool in (a,b)'.",
        ),
        accelerator_options,
        click.option(
            "--patience",
            type=click.FloatRange(min=1),
            default=120.0,
            show_default=True,
            metavar="SECONDS",
            help="The longest time until a Pod runs, and for which a request that fails for a moment is repeated.",
        ),
        click.option(
            "--image-registry",
            default="",
            metavar="REGISTRY",
            help="Mirror of the test images (see `aiconform images`).",
        ),
        click.option(
            "--image-digests", is_flag=True, help="Name the test images by digest, where a policy demands it."
        ),
        guest_options,
        set_option,
        extensions_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


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


@dataclass(frozen=True)
class Asked:
    """What `choosing_options` were given, and the cluster."""

    chosen: Chosen
    kubeconfig: str | None
    context: str | None
    settings: Settings
    images: Images
    guest: Guest

    def challenged(self, challenge: str) -> Asked:
        """The same, with a reviewer's challenge."""
        return replace(self, guest=self.guest.challenged(challenge))

    def on(self, kubeconfig: str) -> Asked:
        """The same, on the cluster of this kubeconfig's current context."""
        return replace(self, kubeconfig=kubeconfig, context=None)


def asked(
    ids: tuple[str, ...],
    kubeconfig: str | None,
    context: str | None,
    kubernetes: str | None,
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
    options: tuple[str, ...],
    extensions: bool,
) -> Asked:
    """What `choosing_options` say. Ends the command with a sentence if it cannot be used."""
    from aiconform.check import Settings
    from aiconform.engine.options import parse
    from aiconform.engine.plan import BadChoice
    from aiconform.platform.images import Images

    guest = guest_of(pod_template, namespace_labels, namespace_annotations, pull_secrets, namespace)
    said = accelerators_said(accelerators, not_accelerators, profiles, tolerations)
    try:
        settings = Settings(every_node, nodes, said, patience, parse(options, note), at_once)
    except BadChoice as error:
        fail(str(error))
    chosen = Chosen(ids, kubernetes, extensions)
    return Asked(chosen, kubeconfig, context, settings, Images(image_registry, image_digests), guest)
