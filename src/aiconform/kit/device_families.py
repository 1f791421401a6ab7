"""Which of a container's device nodes belong to one device, so that the devices in a container can be counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from aiconform.kit.container_view import DeviceNode
from aiconform.platform.accelerators.device_nodes import Role, known_nodes


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


def paths(nodes: Iterable[DeviceNode]) -> str:
    return ", ".join(node.path for node in nodes)
