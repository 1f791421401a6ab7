"""Devices that DRA drivers publish, read as the scheduler reads them.

Source of the rules: the API documentation of resource.k8s.io ResourceSlice, ResourceClaim and DeviceTaint. Of a pool
only the slices of its newest generation count, and only when all `resourceSliceCount` of them are there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiconform.cluster import Object

Attribute = str | int | bool


@dataclass(frozen=True)
class Device:
    """One published device. `node` is the node that it is tied to, or None if several nodes can reach it."""

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
        """The first of these attributes that the device has, in the driver's own domain or with its full name."""
        for name in names:
            for key, value in self.attributes.items():
                if key == name or key.rpartition("/")[2] == name:
                    return value
        return None

    @property
    def product(self) -> str:
        """What kind of device this is, as its driver says."""
        return str(self.attribute("productName", "product", "model", "type") or self.driver)


@dataclass(frozen=True)
class Pool:
    """A pool that cannot be used, and why."""

    driver: str
    name: str
    problem: str


def published(slices: Iterable[Object]) -> tuple[list[Device], list[Pool]]:
    """The devices of all complete pools, and the pools that are not complete.

    `slices` are ResourceSlices of any served version; those before v1 nest a device's fields in `basic`.
    """
    pools: dict[tuple[str, str], list[Object]] = defaultdict(list)
    for item in slices:
        spec = item["spec"]
        pools[spec["driver"], spec["pool"]["name"]].append(spec)
    devices: list[Device] = []
    incomplete: list[Pool] = []
    for (driver, pool), specs in sorted(pools.items()):
        newest = max(spec["pool"].get("generation", 0) for spec in specs)
        current = [spec for spec in specs if spec["pool"].get("generation", 0) == newest]
        expected = current[0]["pool"]["resourceSliceCount"]
        if len(current) != expected:
            problem = f"{len(current)} of {expected} ResourceSlices of generation {newest}"
            incomplete.append(Pool(driver, pool, problem))
            continue
        devices += [_device(driver, pool, spec, entry) for spec in current for entry in spec.get("devices") or []]
    return devices, incomplete


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
    attributes = {name: _value(value) for name, value in (body.get("attributes") or {}).items()}
    return Device(driver, pool, entry["name"], node, attributes, tainted=", ".join(taints))


def _single_node(selector: Object | None) -> str | None:
    """The node that a selector names by its metadata.name, if it names exactly one."""
    terms = (selector or {}).get("nodeSelectorTerms") or []
    fields = [entry for term in terms for entry in term.get("matchFields") or []]
    if len(terms) == 1 and len(fields) == 1 and fields[0]["operator"] == "In" and len(fields[0]["values"]) == 1:
        return str(fields[0]["values"][0])
    return None


def _value(value: dict[str, Any]) -> Attribute:
    for kind in ("string", "int", "bool", "version"):
        if kind in value:
            found: Attribute = value[kind]
            return found
    return str(value)


def allocated(claims: Iterable[Object]) -> dict[tuple[str, str, str], str]:
    """Devices that claims hold: (driver, pool, device) -> `namespace/name` of the claim."""
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
