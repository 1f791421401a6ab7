"""The device plugins, each of which offers devices as one extended resource."""

from __future__ import annotations

import asyncio
import re
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from aiconform.lab.accelerators import sockets
from aiconform.lab.accelerators.config import AcceleratorConfig, DriverFault, devices_of
from aiconform.lab.accelerators.devices import Device, DeviceNode, nodes_of
from aiconform.lab.accelerators.driver import device_folder, driver_files
from aiconform.lab.accelerators.kubelet import deviceplugin_v1beta1_pb2 as messages
from aiconform.lab.accelerators.kubelet import deviceplugin_v1beta1_pb2_grpc as services
from aiconform.lab.accelerators.prepared import environment, plugin_kind
from aiconform.lab.accelerators.sharing import plugged, refusal_of_ids
from aiconform.lab.accelerators.virtual import opened_with

API_VERSION = "v1beta1"

LOOK_EVERY_SECONDS = 0.5
REGISTER_SECONDS = 5


class DevicePlugin:
    """Serves the kubelet, and registers again whenever the kubelet has restarted or no longer listens.

    A kubelet that starts empties its folder of sockets. One that runs can drop a plugin without a sign but the end of
    ListAndWatch: it tells plugins apart by resource and socket path, and the end of an earlier connection closes a
    later one of the same path. Therefore, every registration has a socket of its own name.
    """

    def __init__(self, config: AcceleratorConfig, resource: str, on_change: Callable[[], None]) -> None:
        """`on_change` is called when `registered` has changed."""
        self.config = config
        self.resource = resource
        self._on_change = on_change
        self.registered = False
        self._resource = re.sub(r"[^A-Za-z0-9.-]", "_", resource)
        self._socket = self._new_socket()
        self._listeners = 0
        self._kubelet = config.device_plugin_dir / "kubelet.sock"
        self._server: Any = None
        self._watch: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    @property
    def devices(self) -> Mapping[str, Device]:
        """The IDs that it offers -> what each gives."""
        return plugged(self.config).get(self.resource, {})

    @property
    def changed(self) -> asyncio.Event:
        """Set when the configuration that is in force now has been replaced."""
        return self._changed

    async def start(self) -> None:
        """Serve, and stay registered in the background; does nothing if already started."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._stay_registered())

    async def stop(self) -> None:
        """Disconnect from the kubelet, which then counts no devices."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        await self._close()

    def update(self, config: AcceleratorConfig) -> None:
        """Use a new configuration; the kubelet is told of changed devices at once."""
        self.config = config
        self._changed.set()
        self._changed = asyncio.Event()

    def listens(self, more: int) -> None:
        """Count a kubelet that begins (1) or ends (-1) to listen to ListAndWatch."""
        self._listeners += more

    def _new_socket(self) -> Path:
        return self.config.device_plugin_dir / f"{self._resource}-{uuid.uuid4().hex[:8]}.sock"

    async def _close(self) -> None:
        self.registered = False
        if self._server is not None:
            server, self._server = self._server, None
            await sockets.close(server, self._socket)

    async def _stay_registered(self) -> None:
        known: tuple[int, int] | None = None
        loop = asyncio.get_running_loop()
        for left_by_another in self.config.device_plugin_dir.glob(f"{self._resource}-*.sock"):
            left_by_another.unlink(missing_ok=True)
        listened = 0.0
        while True:
            now = _identity(self._kubelet)
            if self._listeners:
                listened = loop.time()
            silent = loop.time() - listened > REGISTER_SECONDS
            if now is not None and (now != known or not self._socket.exists() or silent):
                known = now if await self._register() else None
                listened = loop.time()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def _register(self) -> bool:
        await self._close()
        self._socket = self._new_socket()
        self._server = await sockets.listen(
            self._socket, partial(services.add_DevicePluginServicer_to_server, _Service(self))
        )
        request = messages.RegisterRequest(
            version=API_VERSION,
            endpoint=self._socket.name,
            resource_name=self.resource,
            options=_options(),
        )
        async with sockets.channel(self._kubelet) as channel:
            try:
                await services.RegistrationStub(channel).Register(request, timeout=REGISTER_SECONDS)
            except grpc.aio.AioRpcError as err:
                # The kubelet is just starting or stopping: try again later.
                print(f"the kubelet did not register the device plugin: {err.details()}", file=sys.stderr)
                return False
        self.registered = True
        self._on_change()
        return True


class _Service:
    """The device plugin's service."""

    def __init__(self, plugin: DevicePlugin) -> None:
        self._plugin = plugin

    async def GetDevicePluginOptions(self, _request: Any, _context: Any) -> Any:
        return _options()

    async def ListAndWatch(self, _request: Any, _context: Any) -> AsyncIterator[Any]:
        self._plugin.listens(1)
        try:
            while True:
                changed = self._plugin.changed
                yield messages.ListAndWatchResponse(
                    devices=[messages.Device(ID=id_, health="Healthy") for id_ in self._plugin.devices],
                )
                await changed.wait()
        finally:
            self._plugin.listens(-1)

    async def GetPreferredAllocation(self, request: Any, _context: Any) -> Any:
        order = list(self._plugin.devices)
        return messages.PreferredAllocationResponse(
            container_responses=[
                messages.ContainerPreferredAllocationResponse(
                    deviceIDs=preferred(order, one.available_deviceIDs, one.must_include_deviceIDs, one.allocation_size)
                )
                for one in request.container_requests
            ],
        )

    async def Allocate(self, request: Any, context: Any) -> Any:
        config = self._plugin.config
        faults = config.faults
        if DriverFault.NEVER_PREPARES in faults:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"the fault {DriverFault.NEVER_PREPARES} is on")
        known = self._plugin.devices
        answer = messages.AllocateResponse()
        for container in request.container_requests:
            unknown = [one for one in container.devices_ids if one not in known]
            if unknown:
                await context.abort(grpc.StatusCode.NOT_FOUND, f"no such device: {', '.join(unknown)}")
            if config.identity.whole_host and len(container.devices_ids) != len(known):
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"a container has all {len(known)} devices of a node or none, not {len(container.devices_ids)}",
                )
            if refusal := refusal_of_ids(config, self._plugin.resource, {*container.devices_ids}):
                await context.abort(grpc.StatusCode.FAILED_PRECONDITION, refusal)
            # Several shares of a device are one device.
            given = {known[one].index: known[one] for one in container.devices_ids}
            opened: Sequence[Device] = opened_with(config, given.values())
            if DriverFault.PREPARES_ALL in faults:
                opened = devices_of(config)
            if DriverFault.PREPARES_NOTHING in faults:
                opened = ()
            answer.container_responses.append(
                messages.ContainerAllocateResponse(
                    envs=environment(config, opened, by="device-plugin") if opened else {},
                    mounts=[
                        messages.Mount(
                            container_path=each.container_path, host_path=str(each.host_path), read_only=True
                        )
                        for each in (
                            *(driver_files(config) if opened else ()),
                            *filter(None, (device_folder(config, each) for each in opened)),
                        )
                    ],
                    devices=[
                        messages.DeviceSpec(
                            container_path=node.container_path,
                            host_path=str(node.host_path),
                            permissions=permissions,
                        )
                        for node, permissions in _nodes(config, opened)
                    ],
                    # Libraries come with real devices.
                    cdi_devices=[
                        messages.CDIDevice(name=f"{plugin_kind(config)}={each.name}")
                        for each in opened
                        if each.real is not None
                    ],
                )
            )
        return answer

    async def PreStartContainer(self, _request: Any, _context: Any) -> Any:
        return messages.PreStartContainerResponse()


def _nodes(config: AcceleratorConfig, opened: Sequence[Device]) -> list[tuple[DeviceNode, str]]:
    """(device node, what its holder may do with it) of all nodes of simulated devices, each once."""
    allowed = {node.container_path: config.permissions(each) for each in opened for node in each.nodes}
    return [(node, allowed[node.container_path]) for node in nodes_of(each for each in opened if each.real is None)]


def _options() -> Any:
    return messages.DevicePluginOptions(get_preferred_allocation_available=True)


def _identity(socket: Path) -> tuple[int, int] | None:
    """Distinguishes a socket from a later one of the same name."""
    try:
        at = socket.stat()
    except OSError:
        return None
    return at.st_ino, at.st_ctime_ns


def preferred(order: Sequence[str], available: Sequence[str], must_include: Sequence[str], size: int) -> list[str]:
    """The devices to allocate: those that must be included, then the available ones with the lowest index."""
    rest = [one for one in order if one in available and one not in must_include]
    return [*must_include, *rest][:size]
