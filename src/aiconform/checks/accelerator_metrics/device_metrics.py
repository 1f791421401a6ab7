"""What an endpoint tells of the accelerators of a node, beside what the platform advertises of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from aiconform.check import Observation
from aiconform.platform import Device, NodeAccelerators, Platform
from aiconform.platform.monitoring.exporters import NodeSources, Source
from aiconform.platform.monitoring.metrics import Readings, match
from aiconform.platform.monitoring.scrape import Problem


class DeviceMetrics(Observation):
    """The samples of one device. `device` is its name in ResourceSlices, or empty where only a number is advertised.

    `label` tells it from the others. Utilization in percent, memory in bytes or (where only that is told) percent;
    `values` has everything, by metric.
    """

    device: str
    label: str
    utilization: float | None
    memory_used: float | None
    memory_total: float | None
    values: dict[str, list[float]]


class NodeMetrics(Observation):
    """The metrics of the accelerators of one kind on one node, beside what is advertised of them.

    Without `endpoint` none told of them, and `problem` says what kept a known exporter from it. `unnamed` counts the
    readings that no label ties to a device, `reported` has the quantities that the endpoint tells of.
    """

    node: str
    way: Literal["dra", "device-plugin"]
    name: str
    product: str
    simulated: bool
    advertised: int
    missing: tuple[str, ...] = ()
    devices: tuple[DeviceMetrics, ...] = ()
    unnamed: int = 0
    endpoint: str = ""
    found_by: str = ""
    convention: str = ""
    opentelemetry: bool = False
    reported: tuple[str, ...] = ()
    problem: Problem = ""
    message: str = ""


async def devices_of(platform: Platform, target: NodeAccelerators) -> list[Device]:
    """All devices of the target, in use or not; empty where only their number is known."""
    devices, _ = await platform.devices()
    if target.way != "dra":
        return []
    about = (target.node, target.name, target.product)
    return [
        device for device in devices if (device.node, device.driver, device.product) == about and not device.tainted
    ]


def best(sources: Sequence[Source], devices: Sequence[Device]) -> Source | None:
    """The source that tells of the most of these devices (or of devices at all, where their names are not known)."""

    def told(source: Source) -> int:
        readings = source.readings(source.first)
        named = sum(1 for each in readings if each.label)
        return len(match(devices, readings)) * 1000 + named if devices else named

    return max(sources, key=told, default=None)


def describe(target: NodeAccelerators, devices: Sequence[Device], found: NodeSources, taken: set[str]) -> NodeMetrics:
    """What the sources of a node say of one kind of accelerator; `taken` are labels of its devices of other kinds."""
    about = {name: getattr(target, name) for name in ("node", "way", "name", "product", "simulated")}
    source = best(found.sources, devices)
    if source is None:
        problem = found.problems[0] if found.problems else None
        return NodeMetrics(
            **about,
            advertised=target.total,
            missing=tuple(device.name for device in devices),
            problem=problem.problem if problem else "",
            message=problem.message if problem else "; ".join(found.tried) or "no endpoint for metrics on this node",
        )
    readings = source.readings(source.first)
    matched = match(devices, readings)
    if devices:
        named = list(matched.items())
    else:
        named = [("", each) for each in readings if each.label and each.label not in taken]
    return NodeMetrics(
        **about,
        advertised=target.total,
        missing=tuple(device.name for device in devices if device.name not in matched),
        devices=tuple(_device(name, each) for name, each in named),
        unnamed=sum(1 for each in readings if not each.label),
        endpoint=source.place,
        found_by=source.found_by,
        convention=source.family.name,
        opentelemetry=source.family.opentelemetry,
        reported=tuple(sorted({quantity for each in readings for quantity in each.values})),
    )


def _device(name: str, readings: Readings) -> DeviceMetrics:
    return DeviceMetrics(
        device=name,
        label=readings.label,
        utilization=readings.highest("utilization"),
        memory_used=readings.highest("memory_used"),
        memory_total=readings.highest("memory_total"),
        values={metric: values for quantity in readings.values.values() for metric, values in quantity.items()},
    )
