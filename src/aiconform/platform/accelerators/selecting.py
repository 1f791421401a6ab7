"""Which devices a DeviceClass selects, and CEL expressions that select devices.

The rules are from the API documentation of CELDeviceSelector (resource.k8s.io): reading an attribute that a device does
not have is an error, which ends the allocation, so each attribute is looked for first. An attribute keeps its type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from aiconform.cluster import Object
from aiconform.platform.accelerators.devices import Attribute, Device, Version

_DRIVER = re.compile(r"""device\.driver\s*==\s*["']([^"']+)["']""")
_DOMAIN = re.compile(r"""device\.attributes\s*\[\s*["']([^"']+)["']\s*\]""")
_CAPACITY = "device.capacity"
# What the interpreter raises where the scheduler would see an error, and for functions that only Kubernetes has.
_FAILED = (LookupError, ArithmeticError, RuntimeError, ValueError, TypeError)


def expression(driver: str, wanted: Mapping[str, Attribute], lacked: Iterable[str] = ()) -> str:
    """A CEL expression that devices of the driver satisfy which have these values of attributes, and lack others."""
    terms = [f'device.driver == "{driver}"']
    for name, value in wanted.items():
        domain, _, short = name.rpartition("/")
        attributes = f'device.attributes["{domain or driver}"]'
        # JSON literals are CEL literals, except for escapes of characters beyond 16 bits.
        literal = json.dumps(value, ensure_ascii=False)
        # Some names of attributes are reserved words of CEL, which `.name` cannot read.
        terms.append(f'"{short}" in {attributes} && {attributes}["{short}"] == {literal}')
    for name in lacked:
        domain, _, short = name.rpartition("/")
        terms.append(f'!("{short}" in device.attributes["{domain or driver}"])')
    return " && ".join(terms)


def selector_for(devices: Sequence[Device], among: Iterable[Device]) -> tuple[str, dict[str, Attribute]]:
    """A CEL expression that these devices and as few others as possible satisfy, and the values in it.

    devices: one or more, of one driver. Versions are left out, because CEL compares them only by functions.
    """
    first, among = devices[0], list(among)
    counts = {
        name: sum(1 for other in among if other.attributes.get(name) == value)
        for name, value in first.attributes.items()
        if not isinstance(value, Version) and all(each.attributes.get(name) == value for each in devices)
    }
    telling = sorted(counts, key=lambda name: (counts[name], "uuid" not in name.lower(), name))[:2]
    wanted = {name: first.attributes[name] for name in telling}
    return expression(first.driver, wanted), wanted


class DeviceClass:
    """A DeviceClass of the platform, and what it selects; one with an expression that fails selects nothing here."""

    def __init__(self, item: Object) -> None:
        spec = item.get("spec") or {}
        self.name = str(item["metadata"]["name"])
        self.resource = str(spec.get("extendedResourceName") or "")
        """The extended resource by which Pods can ask for its devices; empty if it has none."""
        selectors = spec.get("selectors") or []
        self.expressions = [text for entry in selectors if (text := (entry.get("cel") or {}).get("expression"))]
        self._known: dict[tuple[Any, ...], bool] = {}

    @cached_property
    def drivers(self) -> frozenset[str]:
        """The drivers that its expressions name."""
        return frozenset(driver for text in self.expressions for driver in _DRIVER.findall(text))

    def selects(self, device: Device) -> bool:
        """Whether the device satisfies every expression."""
        read = [(name, value) for name, value in device.attributes.items() if self._mentions(name)]
        key = (device.driver, device.shareable, *read)
        if key not in self._known:
            self._known[key] = all(_satisfied(text, device) for text in self.expressions)
        return self._known[key]

    def unclear(self, device: Device) -> bool:
        """Whether an expression has what cannot be read here, such as capacities and functions of Kubernetes alone."""
        return any(_CAPACITY in text or _unread(text, device) for text in self.expressions)

    def _mentions(self, attribute: str) -> bool:
        short = attribute.rpartition("/")[2]
        return any(short in text for text in self.expressions)


def _satisfied(text: str, device: Device) -> bool:
    try:
        return _evaluated(text, device) is True
    except _FAILED:
        return False


def _unread(text: str, device: Device) -> bool:
    try:
        _evaluated(text, device)
    except LookupError:
        # The device has no such attribute: for the scheduler that is an error, too.
        return False
    except _FAILED:
        return True
    return False


def _evaluated(text: str, device: Device) -> object:
    attributes: dict[str, dict[str, Attribute]] = {domain: {} for domain in _DOMAIN.findall(text)}
    for name, value in device.attributes.items():
        domain, _, short = name.rpartition("/")
        attributes.setdefault(domain or device.driver, {})[short] = value
    about = {
        "driver": device.driver,
        "attributes": attributes,
        "allowMultipleAllocations": device.shareable,
    }
    # Here, because the package imports a command line of its own, too, and few platforms need it.
    import cel

    return cel.evaluate(text, {"device": about})


def choose(classes: Iterable[DeviceClass], wanted: Iterable[Device], others: Iterable[Device]) -> str:
    """The name of a class that selects all of these devices of one driver; empty if there is none.

    One that selects none of the others is preferred, then the one that has the driver's name.
    """
    wanted, others = list(wanted), list(others)
    driver = wanted[0].driver
    fitting = [each for each in classes if driver in each.drivers and all(map(each.selects, wanted))]
    fitting.sort(key=lambda each: (any(map(each.selects, others)), each.name != driver, each.name))
    return fitting[0].name if fitting else ""
