"""How the accelerators of a node are shared, and the faults of that.

A device plugin offers shares as IDs of a resource. DRA offers partitions as devices of their own, or one device to
several claims.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from enum import StrEnum

from aiconform.lab.accelerators.config import AcceleratorConfig, DriverFault, Offer, split
from aiconform.lab.accelerators.devices import Device, by_resource
from aiconform.lab.accelerators.identity import Identity


class Way(StrEnum):
    """A way in which Pods have shares of one physical device, as far as faults differ."""

    CAPACITY = "consumable capacity"
    DRA_PARTITIONS = "partitions by DRA"
    PARTITIONS = "partitions as extended resources"
    DESCRIBED_PARTITIONS = "partitions that node labels describe"
    REPLICAS = "replicas of a device plugin"
    COUNTED_REPLICAS = "replicas that node labels count"


_PLUGGED = frozenset({Way.PARTITIONS, Way.REPLICAS})
_ANY = _PLUGGED | {Way.CAPACITY, Way.DRA_PARTITIONS}
WAYS = {
    DriverFault.SHARES_APART: _ANY,
    # Only the number in labels limits a device plugin: more than it offers is never scheduled.
    DriverFault.MORE_SHARES: frozenset({Way.CAPACITY, Way.DRA_PARTITIONS, Way.COUNTED_REPLICAS}),
    DriverFault.SECOND_SHARE_REFUSED: _ANY,
    DriverFault.LAST_SHARE_REFUSED: _ANY,
    DriverFault.SHARES_NOT_OFFERED: frozenset({Way.DESCRIBED_PARTITIONS, Way.COUNTED_REPLICAS}),
    DriverFault.MEMORY_OF_WHOLE: frozenset({Way.DRA_PARTITIONS, Way.PARTITIONS}),
}
"""Fault of sharing -> the ways in which it can act: each of them alone is enough."""


def ways(identity: Identity, offer: Offer | None = None) -> frozenset[Way]:
    """The ways in which accelerators of this identity are shared that Pods request so; by default, as its nodes do."""
    offer = offer or Offer(identity.allocation or Offer.BOTH)
    divided = [
        model for model in identity.models if sum(len(part.starts) for part in model.partitions if not part.virtual) > 1
    ]
    found = set()
    if offer is not Offer.DEVICE_PLUGIN:
        found |= {Way.CAPACITY} if identity.share_of_memory else set()
        found |= {Way.DRA_PARTITIONS} if divided else set()
    if offer is not Offer.DRA:
        found |= {Way.REPLICAS} if identity.shares > 1 else set()
        counted = any(name.endswith(".replicas") for name in identity.node_labels)
        found |= {Way.COUNTED_REPLICAS} if identity.shares > 1 and counted else set()
        found |= {Way.PARTITIONS} if any(not model.counters for model in divided) else set()
        found |= {Way.DESCRIBED_PARTITIONS} if _described(identity) else set()
    return frozenset(found)


def _described(identity: Identity) -> frozenset[str]:
    """The resources of partitions alone that labels of the Node describe."""
    parts = [part for model in identity.models if not model.counters for part in model.partitions]
    names = {part.extended_resource for part in parts if part.extended_resource}
    return frozenset(name for name in names if any(label.startswith(f"{name}.") for label in identity.node_labels))


def acts(config: AcceleratorConfig, fault: DriverFault, *among: Way) -> bool:
    """Whether a fault of sharing is on, and the node's accelerators are shared in one of its ways.

    among: only these of its ways; by default, all of them.
    """
    able = WAYS[fault] & (frozenset(among) or WAYS[fault])
    return fault in config.faults and bool(able & ways(config.identity, config.offer))


# By a device plugin


def plugged(config: AcceleratorConfig) -> Mapping[str, Mapping[str, Device]]:
    """Extended resource -> the IDs by which the node's device plugin offers it -> what each gives."""
    identity = config.identity
    found = by_resource(identity, split(config)[1])
    if acts(config, DriverFault.SHARES_APART, *_PLUGGED) or acts(
        config, DriverFault.SHARES_NOT_OFFERED, Way.COUNTED_REPLICAS
    ):
        found = _first_shares(found)
    if acts(config, DriverFault.SHARES_NOT_OFFERED, Way.DESCRIBED_PARTITIONS):
        found = {resource: {} if resource in _described(identity) else ids for resource, ids in found.items()}
    if acts(config, DriverFault.MORE_SHARES, Way.COUNTED_REPLICAS):
        found = {resource: {**ids, **_one_more(identity, ids)} for resource, ids in found.items()}
    return found


def _first_shares(found: Mapping[str, Mapping[str, Device]]) -> Mapping[str, Mapping[str, Device]]:
    """One share of each physical device: the first one, of whichever resource."""
    first: dict[int, str] = {}
    for id_, device in ((id_, device) for ids in found.values() for id_, device in ids.items()):
        first.setdefault(device.parent, id_)
    return {
        resource: {id_: device for id_, device in ids.items() if first[device.parent] == id_}
        for resource, ids in found.items()
    }


def _one_more(identity: Identity, ids: Mapping[str, Device]) -> dict[str, Device]:
    """A further share of the last device."""
    return {f"{device.uuid}::{identity.shares}": device for device in list(ids.values())[-1:]}


def devices_counted(config: AcceleratorConfig) -> int:
    """How many physical devices the Node's labels count: all, but for shares that are of separate devices."""
    if not acts(config, DriverFault.SHARES_APART, *_PLUGGED):
        return config.count
    sound = by_resource(config.identity, split(config)[1])
    of_one = _shares_of_devices([device for ids in sound.values() for device in ids.values()])
    return -(-config.count // max(of_one.values(), default=1))


def counted(config: AcceleratorConfig, resource: str, devices: int) -> int:
    """How many devices or partitions the Node's labels count of a resource that stands for so many."""
    if not acts(config, DriverFault.SHARES_APART, *_PLUGGED):
        return devices
    return devices_counted(config) if config.identity.shares > 1 else len(plugged(config).get(resource, {}))


def _shares_of_devices(shares: Iterable[Device]) -> Counter[int]:
    """Physical device -> how many of these are shares of it."""
    return Counter(device.parent for device in shares)


def refusal_of_ids(config: AcceleratorConfig, resource: str, asked: Set[str]) -> str:
    """Why the device plugin gives none of these IDs of a resource; empty if it does."""
    found = plugged(config)
    ids = found.get(resource, {})
    if acts(config, DriverFault.SECOND_SHARE_REFUSED, *_PLUGGED) and not asked <= _first_shares(found)[resource].keys():
        return f"the fault {DriverFault.SECOND_SHARE_REFUSED} is on"
    several = any(number > 1 for number in _shares_of_devices(ids.values()).values())
    if several and acts(config, DriverFault.LAST_SHARE_REFUSED, *_PLUGGED) and [*ids][-1] in asked:
        return f"the fault {DriverFault.LAST_SHARE_REFUSED} is on"
    return ""


# By DRA


def opened_by_claim(config: AcceleratorConfig, device: Device, others: Sequence[str]) -> Device:
    """The device that a claim opens which was allocated this one.

    others: the names of the devices that other claims hold on the node. With shares-of-separate-devices, no two claims
    that share a device open the same one, as long as there are enough of a kind.
    """
    if not acts(config, DriverFault.SHARES_APART, Way.CAPACITY, Way.DRA_PARTITIONS):
        return device
    part = device.words["part"]
    alike = [each for each in split(config)[0] if (each.partition, each.words["part"]) == (device.partition, part)]
    step = int(part) if device.partition else others.count(device.name)
    names = [each.name for each in alike]
    return alike[(names.index(device.name) + step) % len(alike)]


def refusal_of_claim(config: AcceleratorConfig, device: Device, others: Sequence[str]) -> str:
    """Why the DRA driver does not prepare this device for a claim; empty if it does.

    others: the names of the devices that other claims hold on the node.
    """
    by_name = {each.name: each for each in split(config)[0]}
    beside = [by_name[name] for name in others if name in by_name and by_name[name].parent == device.parent]
    if beside and acts(config, DriverFault.SECOND_SHARE_REFUSED, Way.CAPACITY, Way.DRA_PARTITIONS):
        return f"the fault {DriverFault.SECOND_SHARE_REFUSED} is on"
    alike = [each for each in beside if each.words["profile"] == device.words["profile"]]
    shares = _shares_by_dra(config, device)
    if (
        shares > 1
        and len(alike) >= shares - 1
        and acts(config, DriverFault.LAST_SHARE_REFUSED, Way.CAPACITY, Way.DRA_PARTITIONS)
    ):
        return f"the fault {DriverFault.LAST_SHARE_REFUSED} is on"
    return ""


def _shares_by_dra(config: AcceleratorConfig, device: Device) -> int:
    """How many shares of this kind DRA offers of its physical device."""
    from aiconform.cluster import quantity

    if share := config.identity.share_of_memory:
        return quantity.whole(device.memory) // quantity.whole(share)
    kind = (device.parent, device.partition, device.words["profile"])
    return sum((each.parent, each.partition, each.words["profile"]) == kind for each in split(config)[0])
