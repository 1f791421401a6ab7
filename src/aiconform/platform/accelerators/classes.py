"""Which devices a DeviceClass selects."""

from __future__ import annotations

import re

from aiconform.cluster import Object


def drivers_named(device_class: Object) -> list[str]:
    """The drivers that the expressions of a DeviceClass name."""
    return [driver for text in expressions(device_class) for driver in _DRIVER.findall(text)]


def expressions(device_class: Object) -> list[str]:
    """The CEL expressions of a DeviceClass; a device must satisfy all of them."""
    selectors = (device_class.get("spec") or {}).get("selectors") or []
    return [text for entry in selectors if (text := (entry.get("cel") or {}).get("expression"))]


_DRIVER = re.compile(r"""device\.driver\s*==\s*["']([^"']+)["']""")
