"""The devices that DRA drivers publish, and those that a claim was allocated.

The rules are from the API documentation of ResourceSlice, ResourceClaim and DeviceTaint (resource.k8s.io).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from aiconform.cluster import Object

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


class Version(str):
    """The value of a version attribute: text here, while CEL compares it as a semantic version."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Capacity:
    """A capacity that several claims share. `default` is what a claim takes that asks for none; None for all of it.

    choices: the only amounts that can be had. least, most, step: the range of those that can be had, if it has one; an
    amount in between is rounded up.
    """

    name: str
    value: float
    default: float | None
    choices: tuple[float, ...] = ()
    least: float | None = None
    most: float | None = None
    step: float | None = None


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
    memory: how many bytes it publishes as its own; 0 if it does not say. sizes: the names of all its capacities.
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
    memory: float = 0.0
    sizes: tuple[str, ...] = ()

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


def taint_text(taint: Object) -> str:
    """A taint of a device in words: KEY=VALUE:EFFECT."""
    return f"{taint['key']}={taint.get('value') or ''}:{taint['effect']}"


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
