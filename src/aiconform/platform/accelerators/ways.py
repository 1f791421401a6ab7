"""All ways of sharing that a platform advertises, and what it offers without one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiconform.platform.accelerators.counting import Holdings, holdings
from aiconform.platform.accelerators.nodes import closed_node
from aiconform.platform.accelerators.offered import NodeAccelerators, requested
from aiconform.platform.accelerators.selecting import DeviceClass
from aiconform.platform.accelerators.shares import WAYS, SharedHardware, Shares, Used, Way, by_dra
from aiconform.platform.accelerators.shares_of_plugins import by_device_plugin, only_said
from aiconform.platform.inventory import Platform


@dataclass(frozen=True)
class Ways:
    """found: what is offered in shares. entries: all accelerators. held, used: who has some of them now."""

    found: tuple[SharedHardware, ...]
    entries: tuple[NodeAccelerators, ...]
    held: Holdings
    used: Used

    def free(self, hardware: SharedHardware) -> int:
        """How many of its shares can be had now."""
        return sum(each.free(self.held, self.used) for each in hardware.shares)

    def beside(self, hardware: SharedHardware) -> list[SharedHardware]:
        """Where labels alone speak of such shares, while other nodes offer them: what is wrong is a node's, or over."""
        offered = {(each.way, each.offered.profile, each.node) for each in self.found if not each.problem}
        alike = (hardware.way, hardware.offered.profile)
        return [
            each
            for each in self.found
            if each.problem
            and (each.way, each.offered.profile) == alike
            and any(known[:2] == alike and known[2] != each.node for known in offered)
        ]

    def best(self, most: int, *, every_node: bool = False) -> list[SharedHardware]:
        """Of each kind one, or one on every node: with two free shares, all of which few Pods can hold, on a node that
        is well.

        Where the same hardware can be divided in several ways, that which gives the most shares counts. Shares of which
        only labels speak count where no other node offers such (`beside`).
        """
        kinds: dict[tuple[str, ...], list[SharedHardware]] = {}
        for each in self.found:
            if each in self.beside(each):
                continue
            kinds.setdefault((each.node, *each.kind) if every_node else each.kind, []).append(each)

        def merit(each: SharedHardware) -> tuple[bool, bool, int, int]:
            free = self.free(each)
            return (free < 2, free > most, len(each.offered.worries), free)

        chosen = sorted((min(members, key=merit) for members in kinds.values()), key=lambda each: -each.bound)
        taken: set[tuple[str, str]] = set()
        found = []
        for each in sorted(chosen, key=lambda each: WAYS.index(each.way)):
            if taken.isdisjoint(each.hardware):
                found.append(each)
                taken |= each.hardware
        return found


async def ways(platform: Platform, most: int, wanted: Way | str = "", *, node: str = "") -> Ways:
    """How the chosen nodes offer shares; `wanted`: in this way alone; `node`: of this one alone. `most`: see
    `shares.by_dra`. Raises ClusterError.

    One claim of several Pods is a way of every DRA driver, and counts where nothing else is advertised.
    """
    offered = await platform.accelerators()
    entries = tuple(each for each in (*offered.offered, *offered.others) if node in ("", each.node))
    nodes = {each["metadata"]["name"]: each for each in await platform.nodes()}
    devices, _ = await platform.devices()
    held, used = holdings(await platform.claims()), requested(await platform.pods())
    profiles, said = platform.said.profiles, platform.said
    classes = [DeviceClass(item) for item in await platform.device_classes()]
    found = by_dra((each for each in entries if each.way == "dra"), devices, classes, profiles, held, most)
    plugins = [each for each in entries if each.way == "device-plugin"]
    found += by_device_plugin(plugins, nodes, profiles, perhaps=wanted == "device-plugin-replicas")
    chosen = await platform.chosen_nodes()
    open_nodes = [
        each
        for name, each in nodes.items()
        if node in ("", name)
        and (chosen is None or name in chosen)
        and closed_node(each, profiles, said.tolerated) is None
    ]
    found += only_said(open_nodes, entries, profiles)
    if wanted:
        found = [each for each in found if each.way == wanted]
    if wanted in ("", "shared-claim"):
        counted = [each for each in offered.offered if node in ("", each.node)]
        found += _by_claim(counted, found)
    found.sort(key=lambda each: WAYS.index(each.way))
    return Ways(tuple(found), entries, held, used)


def _by_claim(entries: Iterable[NodeAccelerators], found: Sequence[SharedHardware]) -> list[SharedHardware]:
    better = {each.offered.profile or each.offered.name for each in found}
    said = "no shares are advertised; two Pods can use one ResourceClaim"
    return [
        SharedHardware(
            "shared-claim",
            each.node,
            said,
            each,
            (Shares(each, 0, devices=each.devices, among=each.devices),),
            physical=1,
        )
        for each in entries
        if each.way == "dra" and (each.profile or each.name) not in better
    ]
