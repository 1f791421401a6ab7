"""Devices from ResourceSlices, read as the scheduler reads them.

The rules are from the API documentation of ResourceSlice (resource.k8s.io): a pool counts only with the slices of its
newest generation, and only if all `resourceSliceCount` of them exist.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from aiconform.cluster import Object, quantity
from aiconform.platform.accelerators.devices import (
    KEEPING_AWAY,
    Attribute,
    Capacity,
    Consumed,
    Device,
    Version,
    taint_text,
)

# A field and a label that tell a node; the label's value can be another than the node's name.
_NODE_NAME, _HOST_NAME = "metadata.name", "kubernetes.io/hostname"
# The capacity that drivers of accelerators publish as the memory of a device.
_MEMORY = "memory"


@dataclass(frozen=True)
class IncompletePool:
    """A pool that the scheduler does not use, and why."""

    driver: str
    name: str
    problem: str


@dataclass(slots=True)
class _Generation:
    """The slices of a pool's newest generation that were read so far."""

    number: int
    expected: int
    slices: int = 0
    devices: list[Device] = field(default_factory=list)
    counters: dict[tuple[str, str], float] = field(default_factory=dict)


class DevicePools:
    """The pools of devices. Reads ResourceSlices one by one and keeps only what counts: there may be thousands.

    nodes: those whose labels tell host names; any other host name is taken for that of its node."""

    def __init__(self, nodes: Iterable[Object] = ()) -> None:
        labels = ((node["metadata"]["name"], node["metadata"].get("labels") or {}) for node in nodes)
        self._hosts = {each[_HOST_NAME]: name for name, each in labels if _HOST_NAME in each}
        self._newest: dict[tuple[str, str], _Generation] = {}

    def add(self, item: Object) -> None:
        """Add one ResourceSlice of any served version, in any order; v1beta1 nests a device's fields in `basic`."""
        spec = item["spec"]
        driver, pool = sys.intern(spec["driver"]), sys.intern(spec["pool"]["name"])
        number = spec["pool"].get("generation", 0)
        newest = self._newest.get((driver, pool))
        if newest is None or number > newest.number:
            newest = self._newest[driver, pool] = _Generation(number, spec["pool"]["resourceSliceCount"])
        if number == newest.number:
            newest.slices += 1
            newest.devices += [_device(driver, pool, spec, entry, self._hosts) for entry in spec.get("devices") or []]
            for shared in spec.get("sharedCounters") or []:
                for name, counter in shared["counters"].items():
                    newest.counters[shared["name"], name] = quantity.number(counter["value"])

    def result(self) -> tuple[list[Device], list[IncompletePool]]:
        """The devices of all complete pools, and the pools that are not complete."""
        devices, incomplete = list[Device](), list[IncompletePool]()
        for (driver, pool), seen in sorted(self._newest.items()):
            if seen.slices == seen.expected:
                devices += [_with_counters(device, seen.counters) for device in seen.devices]
            else:
                problem = f"{seen.slices} of {seen.expected} ResourceSlices of generation {seen.number}"
                incomplete.append(IncompletePool(driver, pool, problem))
        return devices, incomplete


def published(slices: Iterable[Object], nodes: Iterable[Object] = ()) -> tuple[list[Device], list[IncompletePool]]:
    """The devices of all complete pools, and the pools that are not complete, of these ResourceSlices."""
    pools = DevicePools(nodes)
    for item in slices:
        pools.add(item)
    return pools.result()


def _device(driver: str, pool: str, spec: Object, entry: Object, hosts: Mapping[str, str]) -> Device:
    body = entry.get("basic") or entry
    node = body.get("nodeName") if spec.get("perDeviceNodeSelection") else spec.get("nodeName")
    if node is None:
        node = _single_node(body.get("nodeSelector") or spec.get("nodeSelector"), hosts)
    taints = [taint_text(taint) for taint in body.get("taints") or [] if taint["effect"] in KEEPING_AWAY]
    read = {sys.intern(name): _value(value) for name, value in (body.get("attributes") or {}).items()}
    attributes = {name: value for name, value in read.items() if value is not None}
    shareable, capacity = body.get("allowMultipleAllocations") is True, body.get("capacity") or {}
    return Device(
        driver,
        pool,
        sys.intern(entry["name"]),
        node if node is None else sys.intern(node),
        attributes,
        tainted=", ".join(taints),
        shareable=shareable,
        capacity=_capacity(capacity) if shareable else (),
        consumes=tuple(
            Consumed(each["counterSet"], name, quantity.number(counter["value"]))
            for each in body.get("consumesCounters") or []
            for name, counter in each["counters"].items()
        ),
        memory=next((quantity.number(each["value"]) for name, each in capacity.items() if _short(name) == _MEMORY), 0),
        sizes=_named(tuple(capacity)),
    )


@cache
def _named(names: tuple[str, ...]) -> tuple[str, ...]:
    """The same, once for all devices of a kind."""
    return names


def _short(name: str) -> str:
    """A name without its domain."""
    return name.rpartition("/")[2]


def _capacity(published: Object) -> tuple[Capacity, ...]:
    found = []
    for name, each in published.items():
        policy = each.get("requestPolicy") or {}
        allowed = policy.get("validRange") or {}
        found.append(
            Capacity(
                name,
                quantity.number(each["value"]),
                _number(policy.get("default")),
                tuple(sorted(map(quantity.number, policy.get("validValues") or ()))),
                *(_number(allowed.get(key)) for key in ("min", "max", "step")),
            )
        )
    return tuple(found)


def _number(text: object) -> float | None:
    return None if text is None else quantity.number(text)


def _with_counters(device: Device, counters: dict[tuple[str, str], float]) -> Device:
    """The counters can be in another slice of the pool than the device."""
    if not device.consumes:
        return device
    consumes = (replace(each, available=counters.get((each.counters, each.name), 0.0)) for each in device.consumes)
    return replace(device, consumes=tuple(consumes))


def _single_node(selector: Object | None, hosts: Mapping[str, str]) -> str | None:
    """The node that a selector selects by its name or its host name (hosts: host name -> node), if it is one."""
    terms = (selector or {}).get("nodeSelectorTerms") or []
    if len(terms) != 1:
        return None
    wanted = [*(terms[0].get("matchFields") or []), *(terms[0].get("matchExpressions") or [])]
    named = [each for each in wanted if each["key"] in (_NODE_NAME, _HOST_NAME) and each["operator"] == "In"]
    names = {
        hosts.get(value, value) if each["key"] == _HOST_NAME else value for each in named for value in each["values"]
    }
    return str(names.pop()) if len(names) == 1 else None


def _value(value: dict[str, Any]) -> Attribute | None:
    """The attribute's value; None for lists and for types that are not known here."""
    if "version" in value:
        return _version(value["version"])
    for kind in ("string", "int", "bool"):
        if kind in value:
            found: Attribute = value[kind]
            # Devices of one kind share most values.
            return sys.intern(found) if isinstance(found, str) else found
    return None


@cache
def _version(text: str) -> Version:
    return Version(text)
