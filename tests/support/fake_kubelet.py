"""A kubelet's side of the plugin interfaces on real unix sockets, and an API server of dictionaries."""

from __future__ import annotations

import asyncio
import copy
import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from aiconform.cluster import Conflict, NotFound, Object, WatchEvent
from aiconform.lab.accelerators import sockets
from aiconform.lab.accelerators.config import AcceleratorConfig
from aiconform.lab.accelerators.dra import SERVICES
from aiconform.lab.accelerators.kubelet import (
    deviceplugin_v1beta1_pb2,
    deviceplugin_v1beta1_pb2_grpc,
    pluginregistration_v1_pb2,
    pluginregistration_v1_pb2_grpc,
)

NODE = "node-1"


def configuration(folder: Path, **changes: Any) -> AcceleratorConfig:
    """A configuration with all its paths below `folder`."""
    paths = {
        name: folder / name.split("_")[0]
        for name in ("state_dir", "device_dir", "cdi_dir", "plugins_dir", "registry_dir")
    }
    values = {"node_name": NODE, "kubeconfig": folder / "kubeconfig", "device_plugin_dir": folder / "dp", **paths}
    return AcceleratorConfig(**{**values, **changes})


class FakeCluster:
    """The parts of `aiconform.cluster.Cluster` that the driver uses."""

    def __init__(self, versions: tuple[str, ...] = ("v1",)) -> None:
        self.versions = versions
        self.objects: dict[tuple[str, str], Object] = {}
        self.writes = 0
        self._counter = itertools.count(1)
        self._watchers: list[tuple[str, asyncio.Queue[WatchEvent]]] = []
        self.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})

    def put(self, obj: Object) -> Object:
        """Store an object as the API server would, and tell the watches."""
        obj = copy.deepcopy(obj)
        meta = obj["metadata"]
        key = (obj["kind"], meta["name"])
        meta.setdefault("uid", str(uuid.uuid4()))
        meta["resourceVersion"] = str(next(self._counter))
        self._tell("MODIFIED" if key in self.objects else "ADDED", obj)
        self.objects[key] = obj
        return copy.deepcopy(obj)

    def of(self, kind: str) -> list[Object]:
        return [copy.deepcopy(obj) for (each, _name), obj in self.objects.items() if each == kind]

    def remove(self, kind: str, name: str) -> None:
        self._tell("DELETED", self.objects.pop((kind, name)))

    def _tell(self, what: Any, obj: Object) -> None:
        for kind, queue in self._watchers:
            if kind == obj["kind"]:
                queue.put_nowait(WatchEvent(what, copy.deepcopy(obj)))

    def _serves(self, api_version: str) -> None:
        if api_version.startswith("resource.k8s.io/") and api_version.rpartition("/")[2] not in self.versions:
            raise NotFound(f"{api_version} is not served", status=404)

    async def groups(self) -> dict[str, tuple[str, ...]]:
        return {"resource.k8s.io": self.versions} if self.versions else {}

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object:
        self._serves(api_version)
        if (kind, name) not in self.objects:
            raise NotFound(f"{kind} {name} not found", status=404)
        return copy.deepcopy(self.objects[kind, name])

    async def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Object]:
        self._serves(api_version)
        for obj in self.of(kind):
            yield obj

    async def create(self, obj: Object) -> Object:
        self._serves(obj["apiVersion"])
        self.writes += 1
        meta = {"name": obj["metadata"].get("generateName", "") + uuid.uuid4().hex[:5], **obj["metadata"]}
        return self.put({**obj, "metadata": meta})

    async def patch(self, obj: Object, changes: Object, *, subresource: str = "") -> Object:
        self.writes += 1
        current = await self.get(obj["apiVersion"], obj["kind"], obj["metadata"]["name"])
        expected = changes.get("metadata", {}).get("resourceVersion")
        if expected and expected != current["metadata"]["resourceVersion"]:
            raise Conflict("changed in between", status=409)
        return self.put(_merged(current, changes))

    async def delete(self, obj: Object, *, grace: int | None = None) -> None:
        self.writes += 1
        self.remove(obj["kind"], obj["metadata"]["name"])

    async def watch(
        self, api_version: str, kind: str, namespace: str | None = None, *, fields: str = "", seconds: float = 300
    ) -> AsyncIterator[WatchEvent]:
        self._serves(api_version)
        queue: asyncio.Queue[WatchEvent] = asyncio.Queue()
        for obj in self.of(kind):
            queue.put_nowait(WatchEvent("ADDED", obj))
        entry = (kind, queue)
        self._watchers.append(entry)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.remove(entry)


def _merged(target: Object, changes: Object) -> Object:
    """JSON merge patch (RFC 7386)."""
    merged = dict(target)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = _merged(merged.get(key) or {}, value)
        else:
            merged[key] = value
    return merged


def claim(name: str, *devices: str, driver: str, pool: str = NODE, request: str = "gpu") -> Object:
    """An allocated ResourceClaim."""
    results = [{"request": request, "driver": driver, "pool": pool, "device": device} for device in devices]
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"devices": {"requests": []}},
        "status": {"allocation": {"devices": {"results": results}}},
    }


class FakeKubelet:
    """Calls plugins, takes the registrations of device plugins and listens to those that registered."""

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.registered: asyncio.Queue[Any] = asyncio.Queue()
        self.endpoints: dict[str, str] = {}
        """Resource -> the name of its device plugin's socket."""
        self.socket = config.device_plugin_dir / "kubelet.sock"
        self._server: Any = None
        self._listens: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        add = deviceplugin_v1beta1_pb2_grpc.add_RegistrationServicer_to_server
        self._server = await sockets.listen(self.socket, partial(add, self))

    async def Register(self, request: Any, _context: Any) -> Any:  # noqa: N802 - the service's name for it
        assert request.version == "v1beta1"
        self.registered.put_nowait(request)
        self.endpoints[request.resource_name] = request.endpoint
        self._listens[request.endpoint] = asyncio.create_task(self._listen(request.endpoint))
        return deviceplugin_v1beta1_pb2.Empty()

    async def _listen(self, endpoint: str) -> None:
        async with sockets.channel(self.config.device_plugin_dir / endpoint) as channel:
            stub = deviceplugin_v1beta1_pb2_grpc.DevicePluginStub(channel)
            with suppress(grpc.aio.AioRpcError):  # the plugin is gone
                async for _ in stub.ListAndWatch(deviceplugin_v1beta1_pb2.Empty()):
                    pass

    async def drop(self) -> None:
        """Stop to listen to every plugin, without a word."""
        listens, self._listens = self._listens, {}
        for task in listens.values():
            task.cancel()
        await asyncio.gather(*listens.values(), return_exceptions=True)

    async def stop(self) -> None:
        await self.drop()
        self.endpoints.clear()
        await sockets.close(self._server, self.socket)

    async def restart(self) -> None:
        """As a kubelet does: it empties its folder of sockets first."""
        await self.stop()
        for socket in self.config.device_plugin_dir.iterdir():
            socket.unlink()
        await self.start()

    async def ask(self, socket: Path, stub: type[Any], method: str, message: Any) -> Any:
        async with sockets.channel(socket) as channel:
            return await getattr(stub(channel), method)(message, timeout=10)

    async def dra(self, method: str, *claims: Object, version: str = "v1.DRAPlugin") -> Any:
        """Find the driver through its registration socket and call it; returns the answer's `claims`."""
        (socket,) = self.config.registry_dir.glob("*.sock")
        registration = pluginregistration_v1_pb2_grpc.RegistrationStub
        info = await self.ask(socket, registration, "GetInfo", pluginregistration_v1_pb2.InfoRequest())
        assert info.type == "DRAPlugin"
        assert version in info.supported_versions
        accepted = pluginregistration_v1_pb2.RegistrationStatus(plugin_registered=True)
        await self.ask(socket, registration, "NotifyRegistrationStatus", accepted)
        names = [
            {"namespace": "default", "name": each["metadata"]["name"], "uid": each["metadata"]["uid"]}
            for each in claims
        ]
        messages, services = SERVICES[version]
        request = getattr(messages, f"{method}Request")(claims=[messages.Claim(**each) for each in names])
        answer = await self.ask(Path(info.endpoint), services.DRAPluginStub, method, request)
        return answer.claims
