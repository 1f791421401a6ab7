"""The DRA driver's interface to the kubelet: registration, and preparing and unpreparing claims."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiconform.cluster import ClusterError, Object
from aiconform.lab.accelerators import sockets
from aiconform.lab.accelerators.config import AcceleratorConfig, DriverFault, devices_of, split
from aiconform.lab.accelerators.devices import Device
from aiconform.lab.accelerators.identity import AcceleratorError
from aiconform.lab.accelerators.kubelet import (
    dra_v1_pb2,
    dra_v1_pb2_grpc,
    dra_v1beta1_pb2,
    dra_v1beta1_pb2_grpc,
    pluginregistration_v1_pb2,
    pluginregistration_v1_pb2_grpc,
)
from aiconform.lab.accelerators.prepared import Granted, Prepared
from aiconform.lab.accelerators.sharing import opened_by_claim, refusal_of_claim
from aiconform.lab.accelerators.virtual import keeping, opened_with, refusal_of_function

SERVICES = {
    "v1.DRAPlugin": (dra_v1_pb2, dra_v1_pb2_grpc),
    "v1beta1.DRAPlugin": (dra_v1beta1_pb2, dra_v1beta1_pb2_grpc),
}
"""What a plugin lists as supported versions -> the messages and the service that the kubelet then uses."""

FindClaim = Callable[[str, str], Awaitable[Object]]
"""(namespace, name) -> the ResourceClaim. Raises ClusterError."""


class DraDriver:
    """Serves the kubelet on two sockets: one for registration, one for the DRA service in both versions."""

    def __init__(
        self,
        config: AcceleratorConfig,
        prepared: Prepared,
        find_claim: FindClaim,
        on_prepared: Callable[[], Awaitable[None]],
        on_change: Callable[[], None],
    ) -> None:
        """`on_prepared` is awaited after a claim is prepared, before the response to the kubelet.

        `on_change` is called when `registered` or the prepared claims have changed.
        """
        self.config = config
        self.registered = False
        self._prepared = prepared
        self._find_claim = find_claim
        self._on_prepared = on_prepared
        self._on_change = on_change
        driver = config.identity.driver
        self._socket = config.plugins_dir / driver / "dra.sock"
        self._registration_socket = config.registry_dir / f"{driver}-reg.sock"
        self._servers: list[tuple[Any, Any]] = []
        # UIDs of the claims that the kubelet wants to give back and that a fault keeps.
        self._kept: frozenset[str] = frozenset()
        # Calls for the same claim must not overtake each other.
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Start serving; does nothing if already started. Raises AcceleratorError."""
        if self._servers:
            return
        work = [
            partial(service.add_DRAPluginServicer_to_server, _Service(self, messages))
            for messages, service in SERVICES.values()
        ]
        self._servers.append((await sockets.listen(self._socket, *work), self._socket))
        # Last: the kubelet calls back as soon as it sees this socket.
        registration = partial(
            pluginregistration_v1_pb2_grpc.add_RegistrationServicer_to_server, _Registration(self, str(self._socket))
        )
        server = await sockets.listen(self._registration_socket, registration)
        self._servers.append((server, self._registration_socket))

    async def stop(self) -> None:
        """Disconnect from the kubelet; prepared claims stay prepared."""
        for server, path in reversed(self._servers):
            await sockets.close(server, path)
        self._servers = []
        self.registered = False

    def note_registration(self, registered: bool, error: str) -> None:
        """Take note of what the kubelet says about the registration."""
        self.registered = registered
        self._on_change()
        if not registered:
            print(f"the kubelet refused the DRA driver: {error}", file=sys.stderr)

    async def prepare(self, request: Any, messages: Any) -> Any:
        """The response to a NodePrepareResourcesRequest, both of the version whose `messages` these are."""
        answer = messages.NodePrepareResourcesResponse()
        async with self._lock:
            for claim in request.claims:
                try:
                    granted = await self._prepare_one(claim)
                except (AcceleratorError, ClusterError, OSError) as err:
                    answer.claims[claim.uid].error = f"{claim.namespace}/{claim.name}: {err}"
                    continue
                answer.claims[claim.uid].devices.extend(
                    messages.Device(
                        # With alternatives, results say request/alternative; containers name the request.
                        request_names=[one.request.split("/", 1)[0]],
                        pool_name=one.pool,
                        device_name=one.device,
                        cdi_device_ids=one.cdi,
                    )
                    for one in granted
                )
        self._on_change()
        return answer

    async def _prepare_one(self, claim: Any) -> tuple[Granted, ...]:
        faults = self.config.faults
        if DriverFault.NEVER_PREPARES in faults:
            raise AcceleratorError(
                f"{self.config.identity.driver} prepares no claims: the fault {DriverFault.NEVER_PREPARES} is on"
            )
        if (known := self._prepared.get(claim.uid)) is not None:
            return known
        found = await self._find_claim(claim.namespace, claim.name)
        results = results_here(found, claim.uid, self.config)
        others = self._prepared.held(besides=claim.uid)
        opened = [self._opened(name, others) for _request, _pool, name in results]
        granted = self._prepared.put(claim.uid, results, opened)
        await self._on_prepared()
        return granted

    def _opened(self, name: str, others: list[str]) -> tuple[Device, ...]:
        """The devices that a result opens to its container. others: the names of those that other claims hold."""
        if DriverFault.PREPARES_NOTHING in self.config.faults:
            return ()
        if DriverFault.PREPARES_ALL in self.config.faults:
            return devices_of(self.config)
        ours = {device.name: device for device in split(self.config)[0]}
        if name not in ours:
            raise AcceleratorError(f"this node has no device {name}; it has {', '.join(ours) or 'none'}")
        refusal = refusal_of_claim(self.config, ours[name], others)
        if refusal := refusal or refusal_of_function(self.config, ours[name]):
            raise AcceleratorError(f"{name}: {refusal}")
        return opened_with(self.config, [opened_by_claim(self.config, ours[name], others)])

    async def unprepare(self, request: Any, messages: Any) -> Any:
        """The response to a NodeUnprepareResourcesRequest."""
        answer = messages.NodeUnprepareResourcesResponse()
        async with self._lock:
            for claim in request.claims:
                try:
                    self._release(claim.uid)
                except (AcceleratorError, OSError) as err:
                    answer.claims[claim.uid].error = f"{claim.namespace}/{claim.name}: {err}"
                else:
                    answer.claims[claim.uid].error = ""
        self._on_change()
        return answer

    def _release(self, uid: str) -> None:
        """Unprepare a claim. Raises AcceleratorError while a fault keeps its devices, OSError."""
        if DriverFault.VIRTUAL_KEPT in self.config.faults:
            self._kept = keeping(self.config, self._prepared.devices(), {*self._kept, uid})
            if uid in self._kept:
                raise AcceleratorError(f"it keeps its devices: the fault {DriverFault.VIRTUAL_KEPT} is on")
        self._prepared.remove(uid)


class _Service:
    """The DRA service in one version."""

    def __init__(self, driver: DraDriver, messages: Any) -> None:
        self._driver = driver
        self._messages = messages

    async def NodePrepareResources(self, request: Any, _context: Any) -> Any:
        return await self._driver.prepare(request, self._messages)

    async def NodeUnprepareResources(self, request: Any, _context: Any) -> Any:
        return await self._driver.unprepare(request, self._messages)


class _Registration:
    """How the kubelet gets to know the driver."""

    def __init__(self, driver: DraDriver, endpoint: str) -> None:
        self._driver = driver
        self._endpoint = endpoint

    async def GetInfo(self, _request: Any, _context: Any) -> Any:
        return pluginregistration_v1_pb2.PluginInfo(
            type="DRAPlugin",
            name=self._driver.config.identity.driver,
            endpoint=self._endpoint,
            supported_versions=list(SERVICES),
        )

    async def NotifyRegistrationStatus(self, status: Any, _context: Any) -> Any:
        self._driver.note_registration(status.plugin_registered, status.error)
        return pluginregistration_v1_pb2.RegistrationStatusResponse()


def results_here(claim: Object, uid: str, config: AcceleratorConfig) -> list[tuple[str, str, str]]:
    """(request, pool, device) for each of this driver's devices on this node in a claim's allocation.

    Raises AcceleratorError if the claim has another UID, or no allocation.
    """
    actual = claim["metadata"]["uid"]
    if actual != uid:
        raise AcceleratorError(f"the claim of this name has the UID {actual}, not {uid}")
    allocation = claim.get("status", {}).get("allocation")
    if not allocation:
        raise AcceleratorError("the claim is not allocated")
    return [
        (result["request"], result["pool"], result["device"])
        for result in allocation.get("devices", {}).get("results", [])
        if result["driver"] == config.identity.driver and result["pool"] == config.node_name
    ]
