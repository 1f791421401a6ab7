"""The devices that DRA drivers publish, read as the scheduler reads them.

The rules are from the API documentation of ResourceSlice, ResourceClaim and DeviceTaint (resource.k8s.io): a pool
counts only with the slices of its newest generation, and only if all `resourceSliceCount` of them exist.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from aiconform.cluster import Object, quantity

Attribute = str | int | bool
Id = tuple[str, str, str]
"""driver, pool, device"""
# Attributes that name the product, and those that say which form of it a device is, such as a partition.
# The last three are those of TPUs, Neuron devices and Furiosa NPUs:
# https://github.com/kubernetes-sigs/dra-driver-google-tpu, https://github.com/furiosa-ai/furiosa-dra-driver-guide,
# https://docs.aws.amazon.com/eks/latest/userguide/device-management-neuron.html
_PRODUCT = ("productName", "product", "model", "tpuGen", "instanceType", "arch")
_FORM = ("type", "profile", "partitionProfile", "computePartition", "memoryPartition")
# Forms that only say that a device is a whole one.
_WHOLE = ("gpu", "amdgpu", "tpu", "npu", "accelerator", "device", "spx", "nps1")
KEEPING_AWAY = ("NoSchedule", "NoExecute")
"""The effects of a device's taint that keep claims from it."""
# False where the driver publishes a device that is not well without a taint:
# https://github.com/intel/intel-resource-drivers-for-kubernetes/blob/main/doc/gaudi/USAGE.md
_HEALTHY = "healthy"
# A field and a label that tell a node; the label's value can be another than the node's name.
_NODE_NAME, _HOST_NAME = "metadata.name", "kubernetes.io/hostname"


class Version(str):
    """The value of a version attribute: text here, while CEL compares it as a semantic version."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Capacity:
    """A capacity that several claims share. `default` is what a claim takes that asks for none; None for all of it."""

    name: str
    value: float
    default: float | None


@dataclass(frozen=True, slots=True)
class Consumed:
    """What a device takes of a counter that it shares with others of its pool; `available` is the whole counter."""

    counters: str
    name: str
    amount: float
    available: float = 0.0


@dataclass(frozen=True, slots=True)
class Device:
    """One published device. `node` is the one node that can use it, or None if several can.

    attributes: those with one value, because selectors cannot compare lists. shareable: several claims can hold it,
    each a part of its `capacity`. consumes: what it takes of counters that partitions of a physical device share.
    """

    driver: str
    pool: str
    name: str
    node: str | None
    attributes: dict[str, Attribute] = field(hash=False)
    tainted: str = ""
    shareable: bool = False
    capacity: tuple[Capacity, ...] = ()
    consumes: tuple[Consumed, ...] = ()

    @property
    def id(self) -> Id:
        return (self.driver, self.pool, self.name)

    def attribute(self, *names: str) -> Attribute | None:
        """The first of these attributes that the device has, in any domain or by its full name."""
        for name in names:
            for key, value in self.attributes.items():
                if key == name or key.rpartition("/")[2] == name:
                    return value
        return None

    @property
    def kind(self) -> dict[str, Attribute]:
        """The attributes that devices of its kind have in common: the product, and the form in which it is given."""
        names = _kind_names(tuple(self.attributes))
        found = {name: self.attributes[name] for name in names}
        return {name: value for name, value in found.items() if isinstance(value, str) or _is_health(name)}

    @property
    def product(self) -> str:
        """The product as the driver names it, and the form if it is not the whole product."""
        product, form = "", []
        for name, value in self.kind.items():
            if name.rpartition("/")[2] in _PRODUCT:
                product = str(value)
            elif _is_health(name):
                form += [] if value else ["not healthy"]
            elif value not in _WHOLE:
                form.append(str(value))
        if not product:
            return " ".join(form) or str(self.attribute("type") or self.driver)
        return f"{product} ({' '.join(form)})" if form else product

    @property
    def physical(self) -> str:
        """What tells the physical device apart on its node; partitions of one device have it in common.

        Its own UUID does not: all chips of a TPU host have the same.
        """
        return str(self.attribute("pciBusID", "pciAddress", "pciAddr", "parentUUID") or self.name)

    @property
    def trouble(self) -> str:
        """Why no claim should have this device; empty if it is well."""
        if self.tainted:
            return f"tainted {self.tainted}"
        return "its driver says that it is not healthy" if self.attribute(_HEALTHY) is False else ""


@cache
def _kind_names(attributes: tuple[str, ...]) -> tuple[str, ...]:
    """Those of these names of attributes by which kinds differ."""
    found = []
    for names in (_PRODUCT, *((name,) for name in (*_FORM, _HEALTHY))):
        found += [next((key for name in names for key in attributes if key.rpartition("/")[2] == name), "")]
    return tuple(filter(None, found))


def _is_health(attribute: str) -> bool:
    return attribute.rpartition("/")[2] == _HEALTHY


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
    shareable = body.get("allowMultipleAllocations") is True
    return Device(
        driver,
        pool,
        sys.intern(entry["name"]),
        node if node is None else sys.intern(node),
        attributes,
        tainted=", ".join(taints),
        shareable=shareable,
        capacity=_capacity(body.get("capacity") or {}) if shareable else (),
        consumes=tuple(
            Consumed(each["counterSet"], name, quantity.number(counter["value"]))
            for each in body.get("consumesCounters") or []
            for name, counter in each["counters"].items()
        ),
    )


def taint_text(taint: Object) -> str:
    """A taint of a device in words: KEY=VALUE:EFFECT."""
    return f"{taint['key']}={taint.get('value') or ''}:{taint['effect']}"


def _capacity(published: Object) -> tuple[Capacity, ...]:
    found = []
    for name, each in published.items():
        default = (each.get("requestPolicy") or {}).get("default")
        found.append(
            Capacity(name, quantity.number(each["value"]), None if default is None else quantity.number(default))
        )
    return tuple(found)


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


def results(claim: Object) -> list[Object]:
    """The allocated devices of a claim: dicts with `request`, `driver`, `pool`, `device`; empty if not allocated."""
    allocation = (claim.get("status") or {}).get("allocation") or {}
    found: list[Object] = (allocation.get("devices") or {}).get("results") or []
    return found


def allocated_names(claim: Object) -> list[str]:
    """`driver/pool/device` of each allocated device of a claim, with the share of a device that several can hold."""
    return [
        "/".join(filter(None, (each["driver"], each["pool"], each["device"], each.get("shareID"))))
        for each in results(claim)
    ]
