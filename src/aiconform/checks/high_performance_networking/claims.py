"""The ResourceClaims of high_performance_networking."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from aiconform.checks.high_performance_networking.options import HighPerformanceNetworking
from aiconform.checks.high_performance_networking.parameters import parameters_of, without_names
from aiconform.checks.high_performance_networking.places import OPTION
from aiconform.cluster import Object, Stuck
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import accelerator_request, claim_request, own_class
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.accelerators.selecting import DeviceClass, choose
from aiconform.platform.networks.interfaces import NetworkDevice

RESOURCE_API = "resource.k8s.io/v1"
_ACCELERATOR = "accelerator"


@dataclass(frozen=True)
class Beside:
    """An accelerator of these that a claim asks for, too: of the interface's value of this attribute."""

    accelerators: NodeAccelerators
    attribute: str


@dataclass(frozen=True)
class NetworkClaims:
    """Makes the claims of one run. known: all published network devices."""

    platform: Platform
    scratch: Scratch
    options: HighPerformanceNetworking
    known: Sequence[NetworkDevice]

    async def of(self, name: str, wanted: Sequence[NetworkDevice], beside: Beside | None = None) -> Object:
        """A claim of this name for these devices of one driver. Raises Stuck, ClusterError."""
        api = await self.platform.resource_api() or RESOURCE_API
        device_class = await self._device_class(api, wanted)
        requests = []
        for number, each in enumerate(wanted):
            selectors = [each.selector(), *filter(None, [self.options.selector])]
            request = claim_request(api, device_class, selectors=selectors)
            requests.append({**request, "name": f"interface-{number}"})
        devices: Object = {"requests": requests}
        if beside:
            accelerator = await accelerator_request(api, self.scratch, beside.accelerators)
            requests.append({**accelerator, "name": _ACCELERATOR})
            alike = {"requests": [each["name"] for each in requests], "matchAttribute": beside.attribute}
            devices["constraints"] = [alike]
        if self.options.parameters:
            # A driver may apply a configuration only to the requests that it names.
            given = json.loads(self.options.parameters)
            asked = without_names(given) if len(wanted) > 1 else given
            opaque = {"driver": wanted[0].device.driver, "parameters": asked}
            devices["config"] = [{"requests": [each["name"]], "opaque": opaque} for each in requests[: len(wanted)]]
        about = {"apiVersion": api, "kind": "ResourceClaim", "metadata": {"name": name}}
        return await self.scratch.create({**about, "spec": {"devices": devices}})

    async def _device_class(self, api: str, wanted: Sequence[NetworkDevice]) -> str:
        """The name of the DeviceClass to ask by. Raises Stuck where a claim needs what nobody told, ClusterError."""
        first = wanted[0]
        items = await self.platform.device_classes()
        name = self.options.device_class or choose(
            map(DeviceClass, items), [each.device for each in wanted], [each.device for each in self.known]
        )
        found = next((each for each in items if each["metadata"]["name"] == name), None)
        if self.options.device_class and found is None:
            raise Stuck(f"there is no DeviceClass {name} (--set {OPTION}.device_class)")
        spec = (found.get("spec") or {}) if found else {}
        if len(wanted) > 1 and any(without_names(each) != each for each in parameters_of(spec)):
            raise Stuck(f"DeviceClass {name} gives each interface the same name, which two of a Pod cannot have")
        configured = bool(spec.get("config")) or bool(self.options.parameters)
        if first.known and first.known.asks and not configured:
            raise Stuck(
                f"a claim of {first} needs parameters for its driver ({first.known.asks}): name them, "
                f"--set {OPTION}.parameters=JSON, or a DeviceClass that has them, --set {OPTION}.device_class=NAME"
            )
        return name or await own_class(api, self.scratch, first.device.driver)
