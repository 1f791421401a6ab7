"""The accelerators among the extended resources of device plugins."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from aiconform.cluster import Object, quantity
from aiconform.platform.accelerators.nodes import closed_node, worries
from aiconform.platform.accelerators.offered import Accelerators, NodeAccelerators, ask
from aiconform.platform.accelerators.options import NOTHING_SAID, AcceleratorOptions
from aiconform.platform.accelerators.profiles import Profile
from aiconform.platform.accelerators.sharing import shares_of_one


def by_device_plugin(
    nodes: Iterable[Object], used: Mapping[tuple[str, str], int], options: AcceleratorOptions = NOTHING_SAID
) -> Accelerators:
    """The accelerators among extended resources. `used` counts the allocated ones by (node, resource)."""
    offered: list[NodeAccelerators] = []
    passed_over: list[str] = []
    unknown: dict[str, list[str]] = defaultdict(list)
    alone: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for node in nodes:
        name = node["metadata"]["name"]
        known: dict[Profile, dict[str, int]] = defaultdict(dict)
        for resource, count in extended(node).items():
            if profile := options.profiles.by_resource(resource):
                known[profile][resource] = count
            elif not options.profiles.is_other(resource):
                unknown[resource].append(name)
        if not known and (parts := tuple(filter(options.profiles.is_part, extended(node)))):
            alone[parts].append(name)
        if (known or _lost(node, options)) and (problem := closed_node(node, options.profiles, options.tolerated)):
            passed_over.append(problem)
            continue
        passed_over += _lost(node, options)
        for profile, counts in known.items():
            for resource, *aliases in profile.sets(counts):
                held = {each: used.get((name, each), 0) for each in (resource, *aliases)}
                offered.append(_entry(node, profile, resource, counts, held))
                passed_over += [f"{each} on node {name} is another name for its {resource}" for each in aliases]
    asked = [
        ask(f"extended resource {resource} is on {len(names)} node(s), such as {names[0]}", resource)
        for resource, names in sorted(unknown.items())
    ]
    asked += [_only_parts(parts, names) for parts, names in sorted(alone.items())]
    return Accelerators(tuple(offered), (*asked, *dict.fromkeys(passed_over)))


def _only_parts(parts: Sequence[str], nodes: Sequence[str]) -> str:
    return (
        f"{len(nodes)} node(s), such as {nodes[0]}, offer {', '.join(parts)}: these are parts of accelerators, and "
        "nothing that is known to stand for a whole one is offered beside them. They are not tried. If a Pod that asks "
        f"for one of them alone gets a device, say --accelerator {parts[-1]} (and --pod-template FILE, if it needs a "
        "scheduler of its own)"
    )


def extended(node: Object) -> dict[str, int]:
    """The extended resources that are allocatable on a node."""
    allocatable = (node["status"].get("allocatable") or {}).items()
    found = {name: quantity.number(amount) for name, amount in sorted(allocatable) if "/" in name}
    return {
        name: int(count)
        for name, count in found.items()
        if count >= 1 and not name.partition("/")[0].endswith("kubernetes.io")
    }


def _lost(node: Object, options: AcceleratorOptions) -> list[str]:
    """Which known accelerators a node has by its capacity, of which none can be allocated."""
    status = node["status"]
    allocatable, capacity = (status.get(key) or {} for key in ("allocatable", "capacity"))
    return [
        f"none of the {quantity.number(amount):.0f} {name} of node {node['metadata']['name']} can be allocated: its "
        "device plugin says that they are not healthy, or is gone"
        for name, amount in sorted(capacity.items())
        if options.profiles.by_resource(name)
        and quantity.number(amount) >= 1
        and quantity.number(allocatable.get(name, 0)) < 1
    ]


def _entry(
    node: Object, profile: Profile, resource: str, counts: Mapping[str, int], held: Mapping[str, int]
) -> NodeAccelerators:
    """`held`: how many are in use of the resource and of other names for the same hardware."""
    labels, total = node["metadata"].get("labels") or {}, counts[resource]
    shares = shares_of_one(resource, labels)
    # It stands for no more devices or partitions than these, however many of other kinds the node has.
    most = math.ceil(total / (shares or 1))
    devices = profile.devices(labels, node["metadata"].get("annotations") or {}) or (most if shares > 1 else 0)
    # Whoever holds a part of a device, such as a core, holds the device.
    taken = sum(math.ceil(number * total / counts[name]) for name, number in held.items())
    capacity = quantity.number((node["status"].get("capacity") or {}).get(resource, total))
    # A host that has lost one of its devices gives none of the others.
    unit = max(total, int(capacity)) if profile.whole_host else 1
    unwell = (f"{capacity - total:.0f} of {capacity:.0f} {resource} cannot be allocated",) if capacity > total else ()
    return NodeAccelerators(
        way="device-plugin",
        node=node["metadata"]["name"],
        name=resource,
        product=profile.product(labels),
        total=total,
        free=max(0, total - taken),
        profile=profile.name,
        # The lab says so of a vendor's names, too.
        simulated=profile.simulated or labels.get(f"{resource}.simulated") == "true",
        unit=unit,
        physical=min(most, devices) or (total if unit > 1 else 0),
        partitions=min(most, profile.partitions_of(resource, labels)),
        worries=(*worries(node), *unwell),
        aliases=tuple(name for name in held if name != resource),
    )
