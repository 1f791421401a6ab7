"""One set of hardware that can be asked for in two ways: by DRA and by a device plugin."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from aiconform.cluster import Object
from aiconform.platform.accelerators.offered import Accelerators, NodeAccelerators, told_apart
from aiconform.platform.accelerators.profiles import NAMED, Profiles
from aiconform.platform.accelerators.selecting import DeviceClass


def together(
    dra: Accelerators, plugins: Accelerators, nodes: Iterable[Object], classes: Iterable[Object], profiles: Profiles
) -> Accelerators:
    """Both, with hardware that both offer counted once: by DRA, because it says more of each device."""
    about = {node["metadata"]["name"]: node["metadata"] for node in nodes}
    resources = [(each.resource, each.drivers) for each in map(DeviceClass, classes) if each.resource]
    by_node: dict[str, list[NodeAccelerators]] = defaultdict(list)
    for entry in dra.offered:
        by_node[entry.node].append(entry)
    alone: list[NodeAccelerators] = []
    others: list[NodeAccelerators] = []
    in_use: dict[tuple[str, str], int] = defaultdict(int)
    told: list[str] = []
    for entry in plugins.offered:
        drivers = {driver for resource, named in resources if resource == entry.name for driver in named}
        same = [each for each in by_node[entry.node] if each.name in drivers or of_one_family(each, entry)]
        if not same or _are_apart(same, entry, about[entry.node], profiles):
            alone.append(entry)
            continue
        held = sum(each.total - each.free for each in same)
        in_use[entry.node, same[0].name] += entry.total - entry.free
        others.append(replace(entry, free=max(0, entry.free - held), same_as=same[0].kind))
        told.append(f"{entry.name} on node {entry.node} is the same hardware as {same[0].name} by DRA: counted once")
    offered = [replace(each, free=max(0, each.free - in_use.get((each.node, each.name), 0))) for each in dra.offered]
    passed_over = dict.fromkeys((*dra.passed_over, *plugins.passed_over, *told))
    every = told_apart((*offered, *alone, *others))
    counted = len(every) - len(others)
    return Accelerators(every[:counted], tuple(passed_over), every[counted:])


def of_one_family(one: NodeAccelerators, other: NodeAccelerators) -> bool:
    """Whether both are of one family. Of what the user only named by a pattern, nothing more is known."""
    return one.profile == other.profile and one.profile not in ("", NAMED)


def _are_apart(
    same: list[NodeAccelerators], entry: NodeAccelerators, node: Mapping[str, Any], profiles: Profiles
) -> bool:
    """Whether the node gives some of its devices by DRA and others by the device plugin. `node` is its metadata.

    That is rare, and seen where the node's labels count as many devices, or as many partitions of the resource's kind.
    The lab's simulated devices are always given by one of the two.
    """
    profile, labels = profiles.by_resource(entry.name), node.get("labels") or {}
    partition = _partition(entry.name)
    alike = [each for each in same if each.product.replace("+", ".").endswith(f"({partition})")]
    # A resource that names a kind of partitions stands for none of devices that stay whole, or are divided otherwise.
    other = " " in partition and not any(each.divisible for each in same)
    if profile and (alike or other) and (parts := profile.partitions_of(entry.name, labels)):
        return sum(each.total for each in alike) + entry.partitions <= parts
    counted = profile.devices(labels, node.get("annotations") or {}) if profile else 0
    if not counted:
        return all(each.simulated for each in same)
    # Partitions of several kinds may be of one device.
    by_dra = {device for each in same for device in each.hardware}
    return len(by_dra) + (entry.physical or entry.total) <= counted


def _partition(resource: str) -> str:
    """How the product of a DRA device names the kind of partition that a resource stands for: `mig 1g.10gb`."""
    return resource.rpartition("/")[2].replace("-", " ", 1)
