"""Shares and partitions of accelerators that are extended resources, and those that only labels of nodes speak of."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from aiconform.cluster import Object, quantity
from aiconform.platform.accelerators.nodes import worries
from aiconform.platform.accelerators.offered import NodeAccelerators
from aiconform.platform.accelerators.profiles import NAMED, Profile, Profiles
from aiconform.platform.accelerators.shares import SharedHardware, Shares, Way
from aiconform.platform.accelerators.sharing import (
    beside_share,
    is_complete,
    partition_of,
    perhaps_shared,
    shared,
    shares_of_one,
    whole_memory,
)

_MEBI = 2.0**20
_GIGA = 1e9
# The memory in the name of a partition's profile: 1g.10gb, 3g.40gb+me.
_NAMED = re.compile(r"(?:^|[.-])(\d+)gb(?:$|[^a-z0-9])", re.IGNORECASE)


def by_device_plugin(
    entries: Iterable[NodeAccelerators], nodes: Mapping[str, Object], profiles: Profiles, *, perhaps: bool = False
) -> list[SharedHardware]:
    """What device plugins offer in shares among these entries. nodes: by name.

    perhaps: also resources that can be shares without a word in the API, and those that only the user knows.
    """
    found: list[SharedHardware] = []
    partitions: dict[tuple[str, str], list[NodeAccelerators]] = defaultdict(list)
    for entry in entries:
        node, profile = nodes[entry.node], profiles.by_resource(entry.name)
        labels = node["metadata"].get("labels") or {}
        part = partition_of(entry.name, entry.product, labels)
        if profile and part and not shared(entry.name, labels):
            if not is_complete(part):
                partitions[entry.node, profile.name].append(entry)
            continue
        if not part and _devices(profile, node) >= _offered(node, entry.name):
            # As many devices as there are, whatever labels say of shares.
            continue
        for each in (entry, *_by_other_names(entry, node)):
            if said := _replicated(
                each, labels, perhaps=perhaps and (each.profile == NAMED or perhaps_shared(each.name))
            ):
                found.append(_replicas(entry, each, said, node, profile))
                break
    return [*found, *(_partitions(members, nodes[node]) for (node, _), members in partitions.items() if _many(members))]


def only_said(nodes: Iterable[Object], entries: Iterable[NodeAccelerators], profiles: Profiles) -> list[SharedHardware]:
    """Shares and partitions that labels of nodes speak of, and that no Pod can ask for.

    entries: all that the nodes offer. What DRA offers has no such resources, and work on a node may not be done yet.
    """
    offered: dict[str, list[NodeAccelerators]] = defaultdict(list)
    for entry in entries:
        offered[entry.node].append(entry)
    found = []
    for node in nodes:
        here = offered[node["metadata"]["name"]]
        if worries(node) or any(entry.way == "dra" or entry.worries for entry in here):
            continue
        labels = node["metadata"].get("labels") or {}
        for resource, said in (*_lost_partitions(node, labels, profiles), *_lost_replicas(node, here, profiles)):
            profile = profiles.by_resource(resource)
            entry = NodeAccelerators(
                "device-plugin",
                node["metadata"]["name"],
                resource,
                profile.product(labels) if profile else "",
                total=0,
                free=0,
                profile=profile.name if profile else "",
                simulated=bool(profile and profile.simulated) or any(each.simulated for each in here),
            )
            way: Way = "hardware-partitions" if partition_of(resource) else "device-plugin-replicas"
            problem = f"{said}, and the node has no {resource} that a Pod can request as a share"
            found.append(SharedHardware(way, entry.node, said, entry, problem=problem))
    return found


def _lost_partitions(node: Object, labels: Mapping[str, str], profiles: Profiles) -> Iterable[tuple[str, str]]:
    for label, value in sorted(labels.items()):
        resource = label.removesuffix(".count")
        profile = profiles.by_resource(resource) if resource != label and partition_of(resource) else None
        counted = profile.partitions_of(resource, labels) if profile else 0
        if counted and not _offered(node, resource):
            yield resource, f"label {label}={value}"


def _lost_replicas(node: Object, entries: Iterable[NodeAccelerators], profiles: Profiles) -> Iterable[tuple[str, str]]:
    labels = node["metadata"].get("labels") or {}
    for entry in entries:
        counted, what = _counted(entry, profiles.by_resource(entry.name), node)
        each = shares_of_one(entry.name, labels)
        if each > 1 and 0 < _offered(node, entry.name) <= counted:
            yield entry.name, f"by labels, each of {counted} {what} has {each} shares ({shared(entry.name, labels)})"


def _counted(entry: NodeAccelerators, profile: Profile | None, node: Object) -> tuple[int, str]:
    """(how many devices or partitions of an entry's kind the node has by its labels, which of both)."""
    labels = node["metadata"].get("labels") or {}
    if partition_of(entry.name, entry.product, labels):
        return profile.partitions_of(entry.name, labels) if profile else 0, "partition(s)"
    return _devices(profile, node), "device(s)"


def _devices(profile: Profile | None, node: Object) -> int:
    """How many physical devices the node has by its labels and annotations; 0 if they do not say."""
    about = node["metadata"]
    return profile.devices(about.get("labels") or {}, about.get("annotations") or {}) if profile else 0


def _offered(node: Object, resource: str) -> int:
    """How many of a resource the node has, well or not, as shares or under its own name."""
    plain = resource.removesuffix(".shared")
    return _capacity(node, plain) + _capacity(node, f"{plain}.shared")


def _capacity(node: Object, resource: str) -> int:
    return int(quantity.number((node["status"].get("capacity") or node["status"]["allocatable"]).get(resource, 0)))


def _by_other_names(entry: NodeAccelerators, node: Object) -> Iterable[NodeAccelerators]:
    """The same hardware by its other names, of which a device has more than one: cores of a chip."""
    for name in entry.aliases:
        total = int(quantity.number((node["status"].get("allocatable") or {}).get(name, 0)))
        if total > entry.total:
            names = (entry.name, *(each for each in entry.aliases if each != name))
            yield replace(entry, name=name, total=total, physical=entry.total, aliases=names)


def _replicated(entry: NodeAccelerators, labels: Mapping[str, str], *, perhaps: bool) -> str:
    """What says that a resource stands for shares; empty if nothing does."""
    if 0 < entry.physical < entry.total and entry.unit == 1:
        return f"{entry.total} {entry.name} are on {entry.physical} device(s)"
    return shared(entry.name, labels) or ("so the user says" if perhaps else "")


def _replicas(
    offered: NodeAccelerators, entry: NodeAccelerators, said: str, node: Object, profile: Profile | None
) -> SharedHardware:
    """offered: what counts for the hardware; entry: what shares of it are called."""
    labels = node["metadata"].get("labels") or {}
    counted, what = _counted(entry, profile, node)
    # Of shares of partitions it is not known on how many devices they are.
    devices = 0 if partition_of(entry.name, entry.product, labels) else counted or entry.physical
    labelled = shares_of_one(entry.name, labels) * counted
    bound = min(entry.total, labelled) if labelled else entry.total
    if labelled:
        said = f"{said}; by labels {labelled} shares of {counted} {what}"
    return SharedHardware(
        "device-plugin-replicas",
        entry.node,
        said,
        offered,
        (Shares(entry, bound, besides=_besides(entry, bound, devices, profile, node)),),
        physical=devices,
        aliases=entry.aliases,
    )


def _besides(
    entry: NodeAccelerators, bound: int, devices: int, profile: Profile | None, node: Object
) -> tuple[tuple[str, str], ...]:
    """What a Pod asks for with a share, so that as many shares of each device are left as are advertised."""
    registered = profile.registered(node["metadata"].get("annotations") or {}) if profile else 0
    name = beside_share(entry.name)
    return ((name, str(max(1, 100 * devices // bound))),) if registered and name else ()


def _many(members: Iterable[NodeAccelerators]) -> bool:
    return sum(each.total for each in members) > 1


def _partitions(members: Iterable[NodeAccelerators], node: Object) -> SharedHardware:
    labels = node["metadata"].get("labels") or {}
    entries = sorted(members, key=lambda each: (-each.total, each.name))
    said = ", ".join(f"{each.total} {partition_of(each.name, each.product, labels)}" for each in entries)
    return SharedHardware(
        "hardware-partitions",
        entries[0].node,
        f"partitions: {said}",
        entries[0],
        tuple(Shares(each, each.total, memory=_memory(each, labels)) for each in entries),
        whole=whole_memory(entries[0].name, labels),
    )


def _memory(entry: NodeAccelerators, labels: Mapping[str, str]) -> float:
    """The memory of one partition in bytes: by a label in MiB, else by the name of its profile; 0 if none says."""
    told = labels.get(f"{entry.name}.memory", "")
    if told.isdecimal():
        return int(told) * _MEBI
    named = _NAMED.search(partition_of(entry.name, entry.product, labels))
    return int(named[1]) * _GIGA if named else 0.0
