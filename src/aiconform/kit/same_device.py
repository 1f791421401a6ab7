"""Whether what two Pods hold is of one physical device, by what their containers show of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from aiconform.kit.container_view import View, granted, off_node
from aiconform.kit.device_families import families, paths, with_role
from aiconform.kit.inside import DeviceHolder
from aiconform.platform.accelerators.device_nodes import known_nodes

WAY_OUT = "name a file under /proc or /sys, or a program that is injected with it, that shows its device (--set {})"
# Variables that name the devices of a container; others name what its runtime may do.
_OF_DEVICES = "_VISIBLE_DEVICES"
# What names one device wherever it is seen from: a UUID, a number of the hardware, or an address on the PCI bus.
# Indices can be the container's own, and a path can be the same in every container.
_IDENTITY = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b(GPU-|0x)[0-9a-f]{12,}|[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sign:
    """Something in a container that tells its physical device.

    kind: signs of one kind can be compared. only_alike: two that differ can be of one device all the same, such as the
    nodes of two partitions.
    """

    kind: str
    values: frozenset[str]
    words: str
    only_alike: bool = False


@dataclass(frozen=True)
class Beside:
    """What the Pods are compared against: a container without a device, and the node's kernel (release, boot).

    parts: whether they hold parts of devices that can have device nodes of their own.
    """

    control: View | None
    release: str
    boot: str
    parts: bool


def signs(holder: DeviceHolder, beside: Beside) -> list[Sign]:
    """What tells the physical device of what a running Pod holds, the most telling first: the driver's or the kernel's
    word, where the hardware is, its device nodes, its environment.
    """
    return list(_signs(holder, beside))


def _signs(holder: DeviceHolder, beside: Beside) -> Iterator[Sign]:
    if holder.view is None or beside.control is None:
        return
    if holder.parents:
        told = frozenset(each.value for each in holder.parents)
        words = f"{', '.join(sorted(told))} in {holder.parents[0].source}"
        yield Sign("parent", told, words, only_alike=any(each.of_part for each in holder.parents))
    # Under a kernel of its own, numbers and files of the kernel are not those of the node.
    if not off_node(holder.view, beside.release, beside.boot):
        if holder.buses:
            told = frozenset(place for _, place in holder.buses)
            yield Sign("bus", told, f"device nodes of {', '.join(sorted(told))}")
        yield from _nodes(holder.view, beside.control, parts=beside.parts)
    yield from _environment(holder.view, beside.control)


def _nodes(view: View, control: View, *, parts: bool) -> Iterator[Sign]:
    own = granted(view, control)
    nodes = with_role(own, "device") or [node for members in families(own, None).values() for node in members]
    if nodes:
        # With a capability of its own, the holder of a partition has the node of its physical device.
        parts = parts and not with_role(own, "partition")
        yield Sign("nodes", frozenset(node.number for node in nodes), paths(nodes), only_alike=parts)


def _environment(view: View, control: View) -> Iterator[Sign]:
    for name in known_nodes().environment:
        value = view.environment.get(name, "")
        told = frozenset(each for each in value.split(",") if _IDENTITY.search(each))
        if name.endswith(_OF_DEVICES) and told and value != control.environment.get(name):
            yield Sign(name, told, f"{name}={value}", only_alike=True)


@dataclass(frozen=True)
class Compared:
    """alike: whether both are of one device, None if that cannot be told; words: by what."""

    alike: bool | None
    words: str


def compare(one: DeviceHolder, other: DeviceHolder, known: Mapping[str, Sequence[Sign]], *, option: str) -> Compared:
    """Two running Pods, by the most telling sign that both have. known: the signs of each Pod.

    option: the one by which a user names what shows the device.
    """
    others = {each.kind: each for each in known[other.pod]}
    for sign in known[one.pod]:
        if (same := others.get(sign.kind)) is None:
            continue
        if sign.values & same.values:
            return Compared(True, f"{one.pod} and {other.pod} both have {sign.words}")
        if not sign.only_alike:
            return Compared(False, f"{one.pod} has {sign.words}, {other.pod} has {same.words}")
    return Compared(
        None,
        f"nothing in {one.pod} and {other.pod} tells whether their physical device is the same: "
        f"{WAY_OUT.format(f'{option}=...')}",
    )
