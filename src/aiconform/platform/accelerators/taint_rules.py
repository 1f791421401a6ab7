"""Taints that administrators and drivers give to devices by DeviceTaintRules, beside those that a driver publishes.

The rules are from the API documentation of DeviceTaintRule (resource.k8s.io), which counts as if the taint were in the
ResourceSlice: https://kubernetes.io/docs/concepts/resource-management/dynamic-resource-allocation/device-taints/
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from aiconform.cluster import Object
from aiconform.platform.accelerators.devices import KEEPING_AWAY, Device, taint_text
from aiconform.platform.accelerators.selecting import DeviceClass

KIND = "DeviceTaintRule"
VERSIONS = ("v1", "v1beta2", "v1alpha3")
"""The versions of resource.k8s.io that can have the kind, the newest first."""
UNTOLD = (
    f"devices that a {KIND} taints are taken for free, since these credentials may not list devicetaintrules of "
    "resource.k8s.io: let the run list them (`aiconform rbac` prints the rule)"
)
"""What to tell where the kind is served and its objects cannot be read."""


class _Rule:
    def __init__(self, item: Object, classes: dict[str, DeviceClass]) -> None:
        spec = item["spec"]
        self.says = f"{taint_text(spec['taint'])} by {KIND} {item['metadata']['name']}"
        self.keeps_away = spec["taint"]["effect"] in KEEPING_AWAY
        selector: Object | None = spec.get("deviceSelector")
        # Without a selector a rule taints nothing; an empty one stands for every device.
        self.nothing = selector is None
        self._wanted = {key: value for key, value in (selector or {}).items() if key in ("driver", "pool", "device")}
        # Until v1.35, a rule can also select by a class and by expressions.
        self._class = classes.get((selector or {}).get("deviceClassName") or "")
        self._own = DeviceClass({"metadata": {"name": ""}, "spec": {"selectors": (selector or {}).get("selectors")}})
        if self._class is None and (selector or {}).get("deviceClassName"):
            self.nothing = True

    def covers(self, device: Device) -> bool:
        fields = {"driver": device.driver, "pool": device.pool, "device": device.name}
        return (
            not self.nothing
            and all(fields[key] == value for key, value in self._wanted.items())
            and (self._class is None or self._class.selects(device))
            and self._own.selects(device)
        )


def tainted(devices: Iterable[Device], rules: Iterable[Object], classes: Iterable[Object]) -> list[Device]:
    """The devices, with the taints of these DeviceTaintRules. classes: the DeviceClasses, which rules can name."""
    known = {each.name: each for each in map(DeviceClass, classes)}
    effective = [rule for rule in (_Rule(item, known) for item in rules) if rule.keeps_away]

    def with_taints(device: Device) -> Device:
        told = [rule.says for rule in effective if rule.covers(device)]
        return replace(device, tainted=", ".join(filter(None, (device.tainted, *told)))) if told else device

    return [with_taints(device) for device in devices]
