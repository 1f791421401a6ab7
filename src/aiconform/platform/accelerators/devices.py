"""The devices that DRA drivers publish, read as the scheduler reads them.

The rules are from the API documentation of ResourceSlice, ResourceClaim and DeviceTaint (resource.k8s.io): a pool
counts only with the slices of its newest generation, and only if all `resourceSliceCount` of them exist.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiconform.cluster import Object

Attribute = str | int | bool


@dataclass(frozen=True, slots=True)
class Device:
    """One published device. `node` is the one node that can use it, or None if several can."""

    driver: str
    pool: str
    name: str
    node: str | None
    attributes: dict[str, Attribute] = field(hash=False)
    tainted: str = ""

    @property
    def id(self) -> tuple[str, str, str]:
        return (self.driver, self.pool, self.name)

    def attribute(self, *names: str) -> Attribute | None:
        """The first of these attributes that the device has, in any domain or by its full name."""
        for name in names:
            for key, value in self.attributes.items():
                if key == name or key.rpartition("/")[2] == name:
                    return value
        return None

    @property
    def product(self) -> str:
        """The product, as the driver names it."""
        return str(self.attribute("productName", "product", "model", "type") or self.driver)


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


class DevicePools:
    """The pools of devices. Reads ResourceSlices one by one and keeps only what counts: there may be thousands."""

    def __init__(self) -> None:
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
            newest.devices += [_device(driver, pool, spec, entry) for entry in spec.get("devices") or []]

    def result(self) -> tuple[list[Device], list[IncompletePool]]:
        """The devices of all complete pools, and the pools that are not complete."""
        devices: list[Device] = []
        incomplete: list[IncompletePool] = []
        for (driver, pool), seen in sorted(self._newest.items()):
            if seen.slices == seen.expected:
                devices += seen.devices
            else:
                problem = f"{seen.slices} of {seen.expected} ResourceSlices of generation {seen.number}"
                incomplete.append(IncompletePool(driver, pool, problem))
        return devices, incomplete


def published(slices: Iterable[Object]) -> tuple[list[Device], list[IncompletePool]]:
    """The devices of all complete pools, and the pools that are not complete, of these ResourceSlices."""
    pools = DevicePools()
    for item in slices:
        pools.add(item)
    return pools.result()


def _device(driver: str, pool: str, spec: Object, entry: Object) -> Device:
    body = entry.get("basic") or entry
    node = body.get("nodeName") if spec.get("perDeviceNodeSelection") else spec.get("nodeName")
    if node is None:
        node = _single_node(body.get("nodeSelector") or spec.get("nodeSelector"))
    taints = [
        f"{taint['key']}={taint.get('value', '')}:{taint['effect']}"
        for taint in body.get("taints") or []
        if taint["effect"] in ("NoSchedule", "NoExecute")
    ]
    attributes = {sys.intern(name): _value(value) for name, value in (body.get("attributes") or {}).items()}
    node = node if node is None else sys.intern(node)
    return Device(driver, pool, sys.intern(entry["name"]), node, attributes, tainted=", ".join(taints))


def _single_node(selector: Object | None) -> str | None:
    """The node that a selector selects by metadata.name, if it is exactly one."""
    terms = (selector or {}).get("nodeSelectorTerms") or []
    fields = [entry for term in terms for entry in term.get("matchFields") or []]
    if len(terms) == 1 and len(fields) == 1 and fields[0]["operator"] == "In" and len(fields[0]["values"]) == 1:
        return str(fields[0]["values"][0])
    return None


def _value(value: dict[str, Any]) -> Attribute:
    for kind in ("string", "int", "bool", "version"):
        if kind in value:
            found: Attribute = value[kind]
            # Devices of one kind share most values.
            return sys.intern(found) if isinstance(found, str) else found
    return str(value)


def allocated(claims: Iterable[Object]) -> dict[tuple[str, str, str], str]:
    """The allocated devices: (driver, pool, device) -> `namespace/name` of the claim."""
    held = {}
    for claim in claims:
        name = f"{claim['metadata'].get('namespace')}/{claim['metadata']['name']}"
        for result in results(claim):
            if not result.get("adminAccess"):
                held[result["driver"], result["pool"], result["device"]] = name
    return held


def results(claim: Object) -> list[Object]:
    """The allocated devices of a claim: dicts with `request`, `driver`, `pool`, `device`; empty if not allocated."""
    allocation = (claim.get("status") or {}).get("allocation") or {}
    found: list[Object] = (allocation.get("devices") or {}).get("results") or []
    return found


def allocated_names(claim: Object) -> list[str]:
    """`driver/pool/device` of each allocated device of a claim."""
    return [f"{result['driver']}/{result['pool']}/{result['device']}" for result in results(claim)]
