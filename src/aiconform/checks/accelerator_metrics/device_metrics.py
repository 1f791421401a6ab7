"""Compares what an endpoint reports of a node's accelerators with what the platform advertises."""

from __future__ import annotations

from collections.abc import Sequence

from aiconform.checks.accelerator_metrics.observations import DeviceMetrics, NodeMetrics
from aiconform.platform import Device, NodeAccelerators, Platform
from aiconform.platform.monitoring.exporters import NodeSources, Source
from aiconform.platform.monitoring.metrics import Readings, match


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
    """The source that reports the most of these devices, or the most devices if their names are not known."""

    def reported(source: Source) -> int:
        readings = source.readings(source.first)
        named = sum(1 for each in readings if each.label)
        return len(match(devices, readings)) * 1000 + named if devices else named

    return max(sources, key=reported, default=None)


def describe(target: NodeAccelerators, devices: Sequence[Device], found: NodeSources, taken: set[str]) -> NodeMetrics:
    """The metrics of one kind of accelerator on one node; `taken` are labels of its devices of other kinds."""
    source = best(found.sources, devices)
    if source is None:
        problem = found.problems[0] if found.problems else None
        return NodeMetrics(
            **target.facts,
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
        **target.facts,
        advertised=target.total,
        missing=tuple(device.name for device in devices if device.name not in matched),
        devices=tuple(_device(name, each) for name, each in named),
        unnamed=sum(1 for each in readings if not each.label),
        endpoint=source.place,
        found_by=source.found_by,
        convention=source.convention.name,
        opentelemetry=source.convention.opentelemetry,
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
