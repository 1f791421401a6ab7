"""PCIe roots: devices below the same one reach each other without the way over the processor.

The standard attribute and the form of its values are those of
https://pkg.go.dev/k8s.io/dynamic-resource-allocation/deviceattribute
"""

from __future__ import annotations

import re

from aiconform.platform.accelerators.devices import Device, Version
from aiconform.platform.networks.known import short

STANDARD = "resource.kubernetes.io/pcieRoot"
_SHORT = short(STANDARD)
_ROOT = r"pci[0-9a-f]{4,8}:[0-9a-f]{2}"


def roots(device: Device) -> dict[str, str]:
    """Attribute, with its domain -> root, of each attribute in which a device publishes one.

    A name without a domain is of the driver's own.
    """
    return {
        name if "/" in name else f"{device.driver}/{name}": value
        for name, value in device.attributes.items()
        if short(name) == _SHORT and isinstance(value, str) and not isinstance(value, Version) and value
    }


def common_root(one: Device, other: Device) -> str:
    """The attribute in which both publish the same root, the standard one first; empty if there is none."""
    alike = roots(one).items() & roots(other).items()
    return min((name for name, _ in alike), key=lambda name: (name != STANDARD, name), default="")


def root_of_path(path: str) -> str:
    """The root in the kernel's path of a device, /sys/devices/pci0000:16/0000:16:02.0; empty if it is below none."""
    found = re.match(rf"/sys/devices/(?:[^/]+/)*?({_ROOT})/", path)
    return found[1] if found else ""


def is_kernels(root: str) -> bool:
    """Whether a root is written as the kernel writes it, so that both can be compared."""
    return re.fullmatch(_ROOT, root) is not None
