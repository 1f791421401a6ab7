"""Which virtual devices the check tries: of each kind those of one physical device, or what may be virtual."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiconform.check import NothingToLookAt, PlatformComponent, Settings
from aiconform.checks.virtualized_accelerator.options import VirtualizedAccelerator
from aiconform.cluster import Stuck
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.accelerators import virtual
from aiconform.platform.accelerators.sharing import partition_of
from aiconform.platform.accelerators.virtual_devices import VirtualDevices
from aiconform.platform.accelerators.virtual_offers import Offers, virtual_offers


@dataclass(frozen=True)
class VirtualPlace(PlatformComponent):
    """Devices of one node as a target, virtual by what is published, or to be looked into. looked: what was read.

    missed: what says that there are virtual devices that no Pod can be given, where none can.
    """

    devices: VirtualDevices
    looked: str = ""
    missed: str = ""

    @property
    def place(self) -> str:
        return f"{self.devices.entry.place}-virtual"

    @property
    def members(self) -> tuple[NodeAccelerators, ...]:
        found, other = self._counted, self.devices.other
        beside = (
            [other.counted] if other and (other.counted.node, other.counted.kind) != (found.node, found.kind) else []
        )
        return (found, *beside)

    def at_most(self, member: NodeAccelerators) -> int | None:
        return None if member is self._counted else member.unit

    @property
    def _counted(self) -> NodeAccelerators:
        return self.devices.counted or self.devices.entry

    def __str__(self) -> str:
        return str(self.devices)


async def offers(platform: Platform, settings: Settings, node: str = "") -> Offers:
    """The virtual devices of the platform, or of one node. Raises ClusterError."""
    return await virtual_offers(platform, named=settings.of(VirtualizedAccelerator).named, node=node)


async def places(platform: Platform, settings: Settings) -> Sequence[VirtualPlace]:
    """The best place of each kind of virtual devices, or each; where nothing says that any are, what may be.

    Raises NothingToLookAt, ClusterError.
    """
    known = await offers(platform, settings)
    found = known.found or [each for each in known.unmarked if not _is_part(each)] or known.unmarked
    if not found:
        passed_over = (await platform.accelerators()).passed_over
        looked = "; ".join(passed_over) or "no ResourceSlice and no extended resource of a known accelerator"
        raise NothingToLookAt(f"nothing to look at: no usable accelerator on this platform ({looked})")
    chosen = map(known.completed, _best(found, every_node=settings.every_node))
    missed = "" if known.found else "; ".join(await _missed(platform))
    return [VirtualPlace(str(each), each, known.looked, missed) for each in chosen]


async def _missed(platform: Platform) -> list[str]:
    return virtual.anywhere(await platform.nodes(), *await platform.devices(), platform.said.profiles)


async def again(platform: Platform, settings: Settings, devices: VirtualDevices) -> VirtualDevices:
    """The same devices as they are offered now. Raises Stuck if they are not any more, ClusterError."""
    known = await offers(platform.afresh(), settings, devices.node)
    alike = [
        each
        for each in (*known.found, *known.unmarked)
        if (each.kind, each.parent, bool(each.said)) == (devices.kind, devices.parent, bool(devices.said))
    ]
    if not alike:
        raise Stuck(f"{devices} are no longer offered: something changed during the run")
    return known.completed(alike[0])


def _best(found: Iterable[VirtualDevices], *, every_node: bool) -> list[VirtualDevices]:
    kinds: dict[tuple[str, ...], list[VirtualDevices]] = {}
    for each in found:
        kinds.setdefault((each.node, *each.kind) if every_node else each.kind, []).append(each)
    return [max(members, key=_merit) for members in kinds.values()]


def _merit(each: VirtualDevices) -> tuple[int, bool, int, int]:
    """Two that are free, of a physical device that is told, on a node that is well; the fewer the better."""
    return (min(2, each.free), bool(each.parent), -len(each.entry.worries), -each.total)


def _is_part(each: VirtualDevices) -> bool:
    """Whether these are partitions: the device that is cut is looked into instead, if it can be."""
    return bool(partition_of(each.entry.name, each.entry.product))
