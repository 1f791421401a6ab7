"""Which hardware of the platform the check tries: what is offered in shares, of each kind the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiconform.check import NotApplicable, NothingToLookAt, PlatformComponent, Settings
from aiconform.checks.gpu_sharing.options import GpuSharing
from aiconform.cluster import Stuck
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.accelerators.shares import WAYS, SharedHardware
from aiconform.platform.accelerators.sharing import never_shared
from aiconform.platform.accelerators.ways import Ways, ways


@dataclass(frozen=True)
class SharedPlace(PlatformComponent):
    """Hardware of one node that is offered in shares, as a target. lost: which other nodes only say so, and how."""

    hardware: SharedHardware
    lost: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.hardware.offered.place}-{self.hardware.way.lower()}"

    @property
    def members(self) -> tuple[NodeAccelerators, ...]:
        # Others may hold all of the first kind.
        kinds = (self.hardware.offered, *(each.entry for each in self.hardware.shares))
        return (next((each for each in kinds if each.room), kinds[0]),)

    def __str__(self) -> str:
        return str(self.hardware)


async def advertised(platform: Platform, settings: Settings, node: str = "") -> Ways:
    """How the platform, or one node of it, offers shares. Raises ClusterError."""
    options = settings.of(GpuSharing)
    return await ways(platform, options.holders, options.strategy, node=node)


async def places(platform: Platform, settings: Settings) -> Sequence[SharedPlace]:
    """Of each kind of shares one place, or every place. Raises NothingToLookAt, NotApplicable, ClusterError."""
    known = await advertised(platform, settings)
    if not known.found:
        raise _none(known, (await platform.accelerators()).passed_over, settings.of(GpuSharing).strategy)
    chosen = known.best(settings.of(GpuSharing).holders, every_node=settings.every_node)
    return [
        SharedPlace(str(each), each, tuple(f"{lost.node}: {lost.problem}" for lost in known.beside(each)))
        for each in chosen
    ]


async def again(platform: Platform, settings: Settings, hardware: SharedHardware) -> tuple[SharedHardware, Ways]:
    """The same hardware as it is offered now, and who holds what. Raises Stuck if it is not any more, ClusterError."""
    known = await advertised(platform.afresh(), settings, hardware.node)
    for each in known.found:
        if (each.node, each.kind) == (hardware.node, hardware.kind):
            return each, known
    raise Stuck(f"{hardware} is no longer offered in shares: something changed during the run")


def _none(known: Ways, passed_over: Sequence[str], strategy: str) -> NothingToLookAt | NotApplicable:
    if not known.entries:
        looked = "; ".join(passed_over) or "no ResourceSlice and no extended resource of a known accelerator"
        return NothingToLookAt(f"nothing to look at: no usable accelerator on this platform ({looked})")
    models = {each.product or each.name: each.profile for each in known.entries}
    named = ", ".join(sorted(models))
    sources = {profile: never_shared(profile) for profile in models.values()}
    if all(sources.values()) and not strategy:
        told = "; ".join(f"{profile}: {source}" for profile, source in sorted(sources.items()))
        return NotApplicable(
            f"devices of {named} are given to one Pod each, by their vendors' documents ({told}), and the platform "
            "advertises neither partitions nor shares of them"
        )
    looked = strategy or ", ".join(WAYS)
    return NothingToLookAt(
        f"nothing to look at: no device of {named} is offered in shares (looked for {looked}). Where they can be "
        "shared or partitioned, let the DRA driver or the device plugin of one node offer shares, and run it again"
    )
