"""The virtual devices of a node's accelerators, and the faults of those.

Virtual functions are devices of their own beside physical ones; what a hypervisor gives to a node is all that it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from enum import StrEnum
from typing import Any

from aiconform.lab.accelerators.config import AcceleratorConfig, DriverFault, Offer, devices_of, split
from aiconform.lab.accelerators.devices import Device
from aiconform.lab.accelerators.identity import Identity


class VirtualWay(StrEnum):
    """A way in which Pods have virtual devices, as far as faults differ."""

    BY_DRA = "virtual devices by DRA"
    BESIDE = "virtual devices by DRA beside physical ones"
    FUNCTIONS = "several virtual functions of a device by DRA"
    OWN_RESOURCE = "virtual devices by DRA that have an extended resource, too"
    PLUGGED = "virtual devices of a device plugin"


_ANY = frozenset({VirtualWay.BY_DRA, VirtualWay.PLUGGED})
VIRTUAL_WAYS = {
    DriverFault.VIRTUAL_ELSEWHERE: frozenset({VirtualWay.OWN_RESOURCE}),
    DriverFault.VIRTUAL_NAMES: frozenset({VirtualWay.BESIDE}),
    DriverFault.VIRTUAL_CLOSED: _ANY,
    DriverFault.VIRTUAL_TWICE: frozenset({VirtualWay.BY_DRA}),
    DriverFault.VIRTUAL_KEPT: frozenset({VirtualWay.BY_DRA}),
    DriverFault.VIRTUAL_WHOLE_MEMORY: _ANY,
    DriverFault.VIRTUAL_SECOND_REFUSED: frozenset({VirtualWay.FUNCTIONS}),
    DriverFault.VIRTUAL_LEAK: _ANY,
}
"""Fault of virtual devices -> the ways in which it can act: each of them alone is enough."""


def virtual_ways(identity: Identity, offer: Offer | None = None) -> frozenset[VirtualWay]:
    """The ways in which Pods have virtual devices of this identity that request so; by default, as its nodes do."""
    offer = offer or Offer(identity.allocation or Offer.BOTH)
    models = (*identity.models, *identity.further)
    functions = [part for model in models for part in model.partitions if part.virtual]
    found = set()
    if offer is not Offer.DEVICE_PLUGIN and (functions or identity.vgpu):
        found |= {VirtualWay.BY_DRA}
        found |= {VirtualWay.BESIDE} if functions and not all(model.partitions for model in models) else set()
        found |= {VirtualWay.FUNCTIONS} if any(len(part.starts) > 1 for part in functions) else set()
        found |= {VirtualWay.OWN_RESOURCE} if any(part.extended_resource for part in functions) else set()
    if offer is not Offer.DRA and identity.vgpu:
        found |= {VirtualWay.PLUGGED}
    return frozenset(found)


# What is published


def with_names(
    config: AcceleratorConfig, device: Device, attributes: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The attributes of a device under the names by which it publishes them.

    With virtual-names-differ, what virtual devices have in common with physical ones has other names: driver_version.
    """
    if not device.virtual or DriverFault.VIRTUAL_NAMES not in config.faults:
        return dict(attributes)
    alone = device.attributes.keys() - config.identity.attributes.keys()
    return {name if name in alone or "/" in name else _snake(name): value for name, value in attributes.items()}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z]+)", lambda capitals: f"_{capitals[1].lower()}", name)


# What a holder gets


def opened_with(config: AcceleratorConfig, opened: Iterable[Device]) -> tuple[Device, ...]:
    """These devices, and what is opened with them: all virtual ones of the node if they leak."""
    found = tuple(opened)
    if DriverFault.VIRTUAL_LEAK not in config.faults or not any(device.virtual for device in found):
        return found
    names = {device.name for device in found}
    return (*found, *(each for each in devices_of(config) if each.virtual and each.name not in names))


def refusal_of_function(config: AcceleratorConfig, device: Device) -> str:
    """Why the DRA driver does not prepare this device; empty if it does."""
    further = device.virtual and device.partition and device.words["part"] != 0
    if further and DriverFault.VIRTUAL_SECOND_REFUSED in config.faults:
        return f"the fault {DriverFault.VIRTUAL_SECOND_REFUSED} is on"
    return ""


def keeping(config: AcceleratorConfig, claims: Mapping[str, Set[str]], ended: Set[str]) -> frozenset[str]:
    """The claims, of those whose Pods have ended, that keep their virtual devices: all while other claims have some.

    claims: UID -> the names of its devices.
    """
    virtual = {device.name for device in devices_of(config) if device.virtual}
    holding = {uid for uid, names in claims.items() if names & virtual}
    return frozenset(holding & ended) if holding - ended else frozenset()


def given_again(config: AcceleratorConfig, asked: str, held: Iterable[str]) -> Sequence[str]:
    """The virtual device to allocate to a claim that waits for one that another claim holds; none for other claims.

    asked: the selectors of the claim. held: the names of the devices that claims hold.
    """
    if DriverFault.VIRTUAL_TWICE not in config.faults:
        return ()
    names = {*held}
    virtual = [each for each in split(config)[0] if each.virtual and each.name in names]
    telling = [{each.uuid, *map(str, _own_values(config, each))} for each in virtual]
    by_own = [each.name for each, own in zip(virtual, telling, strict=True) if any(value in asked for value in own)]
    kinds = {"virtual", *(str(each.words["profile"]) for each in virtual)} - {""}
    among = [each.name for each in virtual if kinds & {*asked.split('"')}]
    return (by_own or among)[:1]


def _own_values(config: AcceleratorConfig, device: Device) -> Iterable[object]:
    """The text by which the attributes of a virtual device differ from those of all other devices."""
    others = [each for each in split(config)[0] if each.name != device.name]
    for name, value in device.attributes.items():
        if isinstance(value, str) and all(each.attributes.get(name) != value for each in others):
            yield value
