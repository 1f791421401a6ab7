"""Compares what an endpoint reports of a node's accelerators with what the platform advertises."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from aiconform.checks.accelerator_metrics.observations import DeviceMetrics, NodeMetrics
from aiconform.platform import Device, NodeAccelerators, Platform
from aiconform.platform.monitoring.conventions import has_exporter
from aiconform.platform.monitoring.matching import Counted, Covered, count, cover, match
from aiconform.platform.monitoring.readings import Readings
from aiconform.platform.monitoring.sources import NodeSources, Source

# The quantities of which the samples themselves are kept: the ones that are judged.
_JUDGED = ("utilization", "memory_used", "memory_total")
_MUST_BE_REPORTED = {"utilization", "memory_used"}


WHATEVER_IS_LEFT = 2
"""The exactness of devices of which nothing but their number is known."""


@dataclass(frozen=True)
class Advertised:
    """What the platform says of the accelerators of one kind on one node.

    devices: all of them, in use or not; empty where only their number is known. published: all devices of their driver
    on the node, also of other kinds. counted: how they are counted where they have no names. untold: why nobody can
    tell whether some of the devices are tainted, which need no metrics; empty if it is known.
    """

    target: NodeAccelerators
    devices: tuple[Device, ...]
    published: tuple[Device, ...]
    counted: Counted
    untold: str = ""

    def covered(self, source: Source, of_others: Collection[str] = (), taken: Collection[str] = ()) -> Covered:
        """These devices in the metrics of a source.

        of_others: labels of devices of other families. taken: those of other devices of this family, which cannot be
        these as well.
        """
        readings = [each for each in source.devices if each.label not in of_others]
        if self.devices:
            return cover(self.devices, self.published, readings, taken)
        return count(self.counted, readings, taken)

    @property
    def exactness(self) -> int:
        """Who is looked for first in metrics: named devices (0), then known partitions (1), then WHATEVER_IS_LEFT."""
        return 0 if self.devices else 1 if self.counted.profile else WHATEVER_IS_LEFT


async def advertised(platform: Platform, target: NodeAccelerators, shares: int = 0) -> Advertised:
    """shares: how many of an extended resource are one device, as the user says."""
    published: list[Device] = []
    untold = ""
    if target.way == "dra":
        untold = await platform.untold_taints()
        devices, _ = await platform.devices()
        published = [device for device in devices if (device.node, device.driver) == (target.node, target.name)]
    own = [device for device in published if device.product == target.product and not device.trouble]
    labels = (await platform.node(target.node))["metadata"].get("labels") or {}
    counted = Counted(
        target.name,
        target.total,
        labels,
        target.physical,
        shares,
        has_exporter(target.profile) or target.simulated,
        target.partitions,
    )
    return Advertised(target, tuple(own), tuple(published), counted, untold)


def best(sources: Sequence[Source], devices: Sequence[Device]) -> Source | None:
    """The source that reports the most of these devices, or the most devices if their names are not known.

    Of several, the one that reports utilization and memory of the most.
    """

    def reported(source: Source) -> tuple[int, int, int]:
        readings = source.devices
        whole = sum(1 for each in readings if each.label and each.reported >= _MUST_BE_REPORTED)
        return len(match(devices, readings)), sum(1 for each in readings if each.label), whole

    return max(sources, key=reported, default=None)


def describe(
    about: Advertised, found: NodeSources, of_others: Collection[str] = (), taken: Collection[str] = ()
) -> NodeMetrics:
    """The metrics of one kind of accelerator on one node. `found` is of its family; the labels are as in `covered`."""
    target = about.target
    source = best(found.sources, about.devices)
    if source is None:
        problem = found.problems[0] if found.problems else None
        return NodeMetrics(
            **target.facts,
            advertised=about.counted.advertised,
            missing=tuple(device.name for device in about.devices),
            problem=problem.problem if problem else "",
            message=problem.message if problem else "; ".join(found.tried) or "no endpoint for metrics on this node",
            undecided=about.untold if about.counted.known else _unknown_exporter(target),
        )
    seen = about.covered(source, of_others, taken)
    return NodeMetrics(
        **target.facts,
        advertised=about.counted.advertised,
        missing=seen.missing,
        devices=tuple(_device(name, each) for name, each in seen.readings),
        unnamed=sum(1 for each in source.devices if not each.label),
        endpoint=source.place,
        found_by=source.found_by,
        convention=source.convention.name,
        opentelemetry=source.convention.opentelemetry,
        reported=tuple(sorted({quantity for each in source.devices for quantity in each.reported} - {"info"})),
        expected=seen.expected,
        counted=seen.counted,
        undecided=seen.undecided or (about.untold if seen.missing else ""),
        only_in_use=source.convention.only_in_use,
    )


def _unknown_exporter(target: NodeAccelerators) -> str:
    return (
        f"the suite knows no exporter for {target.profile or target.name}: name its Pods and metrics, "
        "--set accelerator_metrics.exporter=NAMESPACE/POD*, .utilization=NAME and .memory=NAME"
    )


def _device(name: str, readings: Readings) -> DeviceMetrics:
    values: dict[str, list[float]] = defaultdict(list)
    for sample in readings.samples:
        if math.isfinite(sample.value):
            values[sample.name].append(sample.value)
    kept = [str(sample) for quantity in _JUDGED for sample in readings.samples_of(quantity)]
    return DeviceMetrics(
        device=name,
        label=readings.label,
        utilization=readings.value("utilization"),
        memory_used=readings.value("memory_used"),
        memory_total=readings.value("memory_total"),
        values=values,
        memory_unit=readings.unit("memory_used") or "bytes",
        samples=tuple(kept),
    )
