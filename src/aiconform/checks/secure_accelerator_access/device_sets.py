"""Which device nodes of a container count, and which of them tell one device from another."""

from __future__ import annotations

from aiconform.checks.secure_accelerator_access.observations import Isolation
from aiconform.kit.container_view import DeviceNode, View, granted, off_node, special
from aiconform.kit.device_families import families, with_role
from aiconform.platform.accelerators.device_nodes import known_nodes


def counting(view: View, seen: Isolation) -> list[DeviceNode]:
    """The nodes that a container has because of accelerators: all but those that it would have without any.

    The latter are known, and those of a container on a machine without accelerators.
    """
    known = {node.path for node in _elsewhere(seen)}
    return [node for node in special(view) if node.path not in known and not known_nodes().is_ordinary(node.path)]


def _elsewhere(seen: Isolation) -> list[DeviceNode]:
    """What a container has on a machine without accelerators.

    If it sees a known device, or one of the family of which holders are given some, its machine has an accelerator:
    then it tells nothing.
    """
    if seen.baseline is None:
        return []
    found = special(seen.baseline)
    given = granted(seen.holder, seen.stranger) if seen.holder and seen.stranger else []
    if with_role(found, "device", "partition") or families(found, None).keys() & families(given, None).keys():
        return []
    return found


def own_kernel(view: View | None, seen: Isolation) -> bool:
    """Whether a container runs on a kernel of its own, as under gVisor and Kata, and not on that of its node."""
    return view is not None and off_node(view, seen.release, seen.boot)
