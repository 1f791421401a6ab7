"""Which devices two holders both see, by their device nodes."""

from __future__ import annotations

from dataclasses import dataclass

from aiconform.kit.container_view import DeviceNode
from aiconform.kit.device_families import NODES_OF_A_PARTITION, families, more_than, role, with_role


@dataclass(frozen=True)
class InCommon:
    """What two holders both see of the nodes that tell devices apart.

    empty: there are no such nodes. both: those that both have. nothing_own: whether one of them has no others. devices:
    those of `both` that are devices, and control nodes of more devices than were asked for. unknown: those that can be
    a device or a control node.
    """

    empty: bool
    both: list[DeviceNode]
    nothing_own: bool
    devices: list[DeviceNode]
    unknown: list[DeviceNode]


def in_common(one: list[DeviceNode], two: list[DeviceNode], asked: int = 1) -> InCommon:
    """What these nodes of two holders, who asked for so many devices each, have in common."""
    first, second = telling_apart(one, two)
    numbers_one, numbers_two = {node.number for node in first}, {node.number for node in second}
    common = numbers_one & numbers_two
    both = [node for node in first if node.number in common]
    seen = both
    # Two compute instances can share their GPU instance, whose capability both holders then have.
    if len(with_role(seen, "partition")) < NODES_OF_A_PARTITION:
        seen = [node for node in seen if role(node) != "partition"]
    own = families((node for node in first if node.number not in common), "device", None)
    unlisted = families(seen, None)
    devices = [node for node in seen if role(node) or any(node in unlisted.get(name, ()) for name in own)]
    # All holders can have the same control node, but not those of each other's devices.
    others = {node.number for node in two}
    controls = [node for node in one if node.number in others]
    devices += [node for members in more_than(asked, controls, "control") for node in members]
    unknown = [node for members in unlisted.values() for node in members]
    return InCommon(not first and not second, both, common in (numbers_one, numbers_two), devices, unknown)


def telling_apart(one: list[DeviceNode], two: list[DeviceNode]) -> tuple[list[DeviceNode], list[DeviceNode]]:
    """The nodes that tell what one holder has from what another has: all but known control nodes.

    If both have partitions, those alone: holders of partitions of one device all see the device's own node.
    """
    if with_role(one, "partition") and with_role(two, "partition"):
        return with_role(one, "partition"), with_role(two, "partition")
    return with_role(one, "device", "partition", None), with_role(two, "device", "partition", None)
