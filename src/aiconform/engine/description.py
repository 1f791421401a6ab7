"""What `run.json` says of a run before it starts: the cluster, its accelerators, the options and the code."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from aiconform import __version__
from aiconform.check import Settings
from aiconform.cluster import Cluster, ClusterError
from aiconform.cluster.guest import Guest
from aiconform.engine.evidence import FORMAT, Accelerator, ExtensionInfo, RunInfo, Tool
from aiconform.engine.journal import now
from aiconform.engine.options import in_force
from aiconform.engine.plan import Plan, suite_digest
from aiconform.platform import Accelerators, BadSelector, NodeAccelerators, Platform
from aiconform.platform.images import Images

TOOL = Tool(name="aiconform", version=__version__)


async def describe(
    platform: Platform,
    plan: Plan,
    standard_digest: str,
    settings: Settings,
    images: Images,
    guest: Guest,
    note: Callable[[str], None],
) -> RunInfo:
    """`note` is given what could not be read.

    Raises BadSelector, and ClusterError if the cluster does not answer.
    """
    found = Accelerators((), ())
    try:
        found = await platform.accelerators()
    except BadSelector:
        raise
    except ClusterError as error:
        # The probes that need this will fail with the same message; the others go on.
        note(f"inspecting the platform: {error}")
    return RunInfo(
        run=secrets.token_hex(4),
        tool=TOOL,
        suite=suite_digest(),
        standard=plan.version,
        standard_digest=standard_digest,
        kubernetes=await platform.version(),
        cluster=await identity(platform.cluster, note),
        accelerators=_recorded(found.offered),
        others=_recorded(found.others),
        passed_over=found.passed_over,
        chosen=plan.chosen,
        options=_options(plan, settings, images, guest),
        started=now(),
        extensions=extensions_of(plan),
        format=FORMAT,
    )


def _recorded(entries: Iterable[NodeAccelerators]) -> tuple[Accelerator, ...]:
    return tuple(Accelerator(**{name: getattr(entry, name) for name in Accelerator.model_fields}) for entry in entries)


def extensions_of(plan: Plan) -> tuple[ExtensionInfo, ...]:
    """Where the checks come from that are not this project's own."""
    return tuple(ExtensionInfo(id=item.requirement.id, **asdict(item.origin)) for item in plan.items if item.origin)


async def identity(cluster: Cluster, note: Callable[[str], None]) -> dict[str, str]:
    """The address, and the UID of the kube-system Namespace, which by custom identifies a cluster."""
    known = {"server": cluster.server, "context": cluster.context}
    try:
        system = await cluster.get("v1", "Namespace", "kube-system")
        known["uid"] = system["metadata"]["uid"]
    except ClusterError as error:
        note(f"the cluster's identity is not known: {error}")
    return known


def _options(plan: Plan, settings: Settings, images: Images, guest: Guest) -> dict[str, Any]:
    checks = [item.check for item in plan.items if item.check]
    return {
        "every_node": settings.every_node,
        "nodes": settings.nodes,
        **settings.said.recorded(),
        "patience": settings.patience,
        "at_once": settings.at_once,
        "image_registry": images.registry,
        **({"image_digests": True} if images.digests else {}),
        **guest.recorded(),
        **{check.id: in_force(check, settings) for check in checks if check.options},
    }
