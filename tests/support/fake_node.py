"""One node's accelerators, towards a kubelet on real sockets and an API server of dictionaries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiconform.lab.accelerators import AcceleratorConfig
from aiconform.lab.accelerators.kubelet import deviceplugin_v1beta1_pb2 as messages
from aiconform.lab.accelerators.kubelet import deviceplugin_v1beta1_pb2_grpc as services
from aiconform.lab.accelerators.process import AcceleratorProcess
from support.fake_kubelet import FakeCluster, FakeKubelet, claim, configuration

PATIENCE = 10.0


class Node:
    """One node: its accelerators, its kubelet, its API server."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.config = configuration(folder, **changes)
        self.cluster = FakeCluster()
        self.kubelet = FakeKubelet(self.config)
        self.parts = self.restarted()

    def restarted(self) -> AcceleratorProcess:
        self.parts = AcceleratorProcess(self.cluster, self.config)  # type: ignore[arg-type]
        return self.parts

    async def change(self, **changes: Any) -> None:
        self.config = AcceleratorConfig.model_validate({**self.config.model_dump(), **changes})
        await self.parts.apply(self.config)

    def claim(self, name: str, *devices: str, **more: Any) -> dict[str, Any]:
        return self.cluster.put(claim(name, *devices, driver=self.config.identity.driver, **more))

    def specs(self) -> dict[str, dict[str, Any]]:
        """CDI device name -> its edits, of all CDI files on the node."""
        found = {}
        for file in self.config.cdi_dir.glob("*.json"):
            spec = json.loads(file.read_text())
            found |= {f"{spec['kind']}={device['name']}": device["containerEdits"] for device in spec["devices"]}
        return found

    def given(self, answer: Any) -> list[str]:
        """Paths of the device nodes that an answer to NodePrepareResources puts into containers."""
        specs = self.specs()
        return [
            node["path"]
            for device in answer.devices
            for name in device.cdi_device_ids
            for node in specs[name]["deviceNodes"]
        ]


async def eventually(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.02)


async def plugin(node: Node, method: str, message: Any, resource: str = "") -> Any:
    """The answer of the device plugin of a resource, the identity's main one by default."""
    name = resource or node.config.identity.extended_resource
    await eventually(lambda: name in node.kubelet.endpoints)
    socket = node.config.device_plugin_dir / node.kubelet.endpoints[name]
    return await node.kubelet.ask(socket, services.DevicePluginStub, method, message)


def wants(*containers: list[str]) -> Any:
    return messages.AllocateRequest(
        container_requests=[messages.ContainerAllocateRequest(devices_ids=ids) for ids in containers]
    )


def paths(allocated: Any) -> list[list[str]]:
    return [[device.container_path for device in container.devices] for container in allocated.container_responses]
