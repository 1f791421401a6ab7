"""Which of a container's device nodes belong to one device, so that the devices in a container can be counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from aiconform.kit.container_view import DeviceNode
from aiconform.platform.accelerators.device_nodes import Role, known_nodes

NODES_OF_A_PARTITION = 2
"""A partition has the capability of its GPU instance and that of its compute instance."""
# Known nodes of which there is one for each device.
_COUNTED: tuple[Role, ...] = ("device", "control")


def role(node: DeviceNode) -> Role | None:
    return known_nodes().role(node.path)


def with_role(nodes: Iterable[DeviceNode], *roles: Role | None) -> list[DeviceNode]:
    return [node for node in nodes if role(node) in roles]


def families(nodes: Iterable[DeviceNode], *roles: Role | None) -> dict[str, list[DeviceNode]]:
    """One node of each device by what the nodes of several have in common: `/dev/nvidia` for `/dev/nvidia0`.

    Nodes without an index are left out: all holders share them.
    """
    found: dict[str, dict[str, DeviceNode]] = defaultdict(dict)
    for node in with_role(nodes, *roles):
        if family := known_nodes().family(node.path):
            name, device = family
            found[name].setdefault(device, node)
    return {name: list(members.values()) for name, members in found.items()}


def more_than(count: int, nodes: Iterable[DeviceNode], *roles: Role | None) -> list[list[DeviceNode]]:
    """The families of these roles with more than `count` members."""
    return [members for members in families(nodes, *roles).values() if len(members) > count]


def too_many(asked: int, total: int, own: Iterable[DeviceNode]) -> list[list[DeviceNode]]:
    """The families with more than `asked` of a container's own nodes. total: the devices of its node, 0 if unknown."""
    if 1 < asked == total:
        # With all devices of the node there is none that it should not see.
        return []
    own = list(own)
    # Of a node's only device, a driver that is not listed can have several nodes.
    roles: tuple[Role | None, ...] = _COUNTED if asked == total else (*_COUNTED, None)
    many = more_than(asked, own, *roles)
    partitions = with_role(own, "partition")
    return [*many, partitions] if len(partitions) > NODES_OF_A_PARTITION * asked else many


def too_few(asked: int, own: Iterable[DeviceNode]) -> bool:
    """Whether each family has less than `asked` of a container's own nodes. Partitions share their device's."""
    own = list(own)
    most = max(map(len, families(own, "device", None).values()), default=asked)
    return most < asked and not with_role(own, "partition")


def without_device(nodes: Iterable[DeviceNode]) -> bool:
    """Whether all of them are control nodes, which stand beside a device."""
    return all(role(node) in ("companion", "control") for node in nodes)


def paths(nodes: Iterable[DeviceNode]) -> str:
    return ", ".join(node.path for node in nodes)
