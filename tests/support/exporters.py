"""Made-up platforms whose exporters answer with given pages, and what accelerator_metrics finds on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiconform.check import Settings
from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.accelerator_metrics.observations import Coverage
from aiconform.checks.accelerator_metrics.options import AcceleratorMetrics
from aiconform.checks.accelerator_metrics.probes import coverage
from aiconform.cluster import ProxyResponse, Unreachable
from aiconform.platform import Platform
from aiconform.platform.images import Images

CHECK = load_check("accelerator_metrics")
Object = dict[str, Any]
WELL = {"standard_format": True, "every_device": True, "utilization_reported": True, "memory_reported": True}


class Served:
    """A cluster that serves these objects, and these pages at NAMESPACE/POD:PORT."""

    def __init__(self, objects: list[Object], pages: Mapping[str, str]) -> None:
        self.objects, self.pages = objects, pages

    async def groups(self) -> dict[str, tuple[str, ...]]:
        return {"resource.k8s.io": ("v1",)}

    async def resources(self, _: str) -> dict[str, Any]:
        return {}

    async def list(self, _: str, kind: str, *__: str, **___: str) -> AsyncIterator[Object]:
        for obj in self.objects:
            if obj["kind"] == kind:
                yield obj

    async def proxied(self, _: str, namespace: str, pod: str, __: str, **___: Any) -> ProxyResponse:
        if page := self.pages.get(f"{namespace}/{pod}"):
            return ProxyResponse(200, "text/plain; version=0.0.4", page, True)
        raise Unreachable("connection refused")


def node(resources: Mapping[str, int], **labels: str) -> Object:
    return {
        "kind": "Node",
        "metadata": {"name": "n1", "labels": {name.replace("__", "/"): value for name, value in labels.items()}},
        "spec": {},
        "status": {
            "allocatable": {name: str(count) for name, count in resources.items()},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def exporter(name: str, image: str, port: int, port_name: str = "metrics") -> Object:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "ns"},
        "spec": {
            "nodeName": "n1",
            "containers": [{"name": "c", "image": image, "ports": [{"name": port_name, "containerPort": port}]}],
        },
        "status": {"phase": "Running"},
    }


def published(driver: str, *devices: Object) -> Object:
    return {
        "kind": "ResourceSlice",
        "metadata": {"name": driver},
        "spec": {
            "driver": driver,
            "nodeName": "n1",
            "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1},
            "devices": list(devices),
        },
    }


def page(samples: Mapping[str, Mapping[str, float]]) -> str:
    return "".join(
        f"{metric}{{{labels}}} {value}\n" for metric, values in samples.items() for labels, value in values.items()
    )


def dcgm(*labels: str, utilization: str = "DCGM_FI_DEV_GPU_UTIL") -> str:
    return page({metric: dict.fromkeys(labels, 0.0) for metric in (utilization, "DCGM_FI_DEV_FB_USED")})


DCGM = ("dcgm-exporter-a", "nvcr.io/nvidia/k8s/dcgm-exporter:4.4", 9400)


def seen(
    objects: list[Object], pages: Mapping[str, str], *, served: Any = None, patience: float = 120.0, **options: Any
) -> Coverage:
    platform = Platform(served or Served(objects, pages), Images())
    settings = Settings(patience=patience, options=(AcceleratorMetrics(**options),))
    scratch: Any = None
    found = asyncio.run(coverage(platform, scratch, settings, None))
    assert isinstance(found, Coverage)
    return found


def verdicts(found: Coverage) -> dict[str, bool | None]:
    return {name: finding.holds for name, finding in findings(CHECK, found).items()}
