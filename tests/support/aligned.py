"""Nodes with fast interfaces and accelerators that publish where they are: a cluster that gives both by one claim."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

from aiconform.checks.high_performance_networking import inside
from aiconform.checks.high_performance_networking.aligning import AlignedPlace, places
from aiconform.checks.high_performance_networking.observations import Alignment
from aiconform.checks.high_performance_networking.probes import alignment
from aiconform.cluster import Object
from aiconform.platform import Device
from aiconform.platform.accelerators.resource_slices import published
from aiconform.platform.accelerators.selecting import DeviceClass
from aiconform.platform.networks.roots import STANDARD, roots
from support.networked import Fabric, FabricScratch, platform, settings

ACCELERATORS = "gpu.nvidia.com"


def accelerator(number: int, root: str) -> Object:
    text = {"type": "gpu", "productName": "H100", "uuid": f"GPU-{number}", STANDARD: root}
    return {"name": f"gpu-{number}", "attributes": {name: {"string": value} for name, value in text.items() if value}}


class AlignedFabric(Fabric):
    """As Fabric, with two accelerators on n1 and n2, whose roots are those of the interfaces of their node.

    accelerators: by node. hardware: name of an interface -> the path of its device in the kernel. matches: whether the
    scheduler heeds constraints.
    """

    def __init__(self, *faults: str, **shape: Any) -> None:
        super().__init__(*faults, **shape)
        self.accelerators = {name: [accelerator(n, f"pci0000:{16 + n}") for n in range(2)] for name in self.links}
        for links in self.links.values():
            for number, each in enumerate(links):
                each["attributes"][STANDARD] = {"string": f"pci0000:{16 + number}"}
        self.hardware: dict[str, str] = {}
        self.matches = True

    def slices(self) -> list[Object]:
        found = super().slices()
        for name, devices in self.accelerators.items():
            pool = {"name": name, "generation": 1, "resourceSliceCount": 1}
            spec = {"driver": ACCELERATORS, "nodeName": name, "pool": pool, "devices": devices}
            found.append({"kind": "ResourceSlice", "metadata": {"name": f"{name}-gpu"}, "spec": spec})
        return found

    def allocate(self, claim: Object, name: str, made: Object) -> bool:
        here = [each for each in published(self.slices())[0] if each.node == name]
        free = [each for each in here if (each.pool, each.name) not in self.held()]
        asked = claim["spec"]["devices"]
        classes = {each["metadata"]["name"]: DeviceClass(each) for each in self.of("DeviceClass")}

        def fitting(request: Object) -> list[Device]:
            exactly = request["exactly"]
            own = DeviceClass({"metadata": {"name": "own"}, "spec": {"selectors": exactly.get("selectors")}})
            return [each for each in free if classes[exactly["deviceClassName"]].selects(each) and own.selects(each)]

        def alike(devices: tuple[Device, ...]) -> bool:
            names = [each["matchAttribute"] for each in asked.get("constraints", [])]
            same = [len({roots(each).get(name) for each in devices}) == 1 for name in names]
            return len({each.id for each in devices}) == len(devices) and all(same) is self.matches

        chosen = next(filter(alike, itertools.product(*map(fitting, asked["requests"]))), None)
        if chosen is None:
            return False
        claim["status"]["allocation"] = {
            "devices": {
                "results": [
                    {"request": request["name"], "driver": each.driver, "pool": each.pool, "device": each.name}
                    for request, each in zip(asked["requests"], chosen, strict=True)
                ]
            }
        }
        made["given"] = [each for each in self.links[name] if each["name"] in [one.name for one in chosen]]
        return True

    def interfaces(self, pod: Object) -> list[tuple[str, str, str, str, list[str]]]:
        found = super().interfaces(pod)
        lost = "aligned-interface-lost" in self.faults and pod["metadata"]["name"].endswith("-aligned")
        return [each for each in found if not (lost and each[0].startswith("fast"))]

    async def follow(self, namespace: str, name: str, container: str, *, seconds: float) -> AsyncIterator[str]:
        pod = await self.get("v1", "Pod", name)
        if pod["spec"]["containers"][0]["command"][-1] == inside.ALIGNED:
            for each, path in self.hardware.items():
                yield f"device {each} {path}"
        async for line in super().follow(namespace, name, container, seconds=seconds):
            yield line


async def place(cluster: Fabric) -> AlignedPlace:
    (found,) = await places(platform(cluster), settings())
    return found


async def tried(cluster: Fabric, target: AlignedPlace | None = None, **options: Any) -> Alignment:
    """What the probe records."""
    scratch: Any = FabricScratch(cluster)  # type: ignore[arg-type]
    return await alignment(platform(cluster), scratch, settings(**options), target or await place(cluster))
