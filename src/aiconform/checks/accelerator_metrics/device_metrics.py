"""Compares what an endpoint reports of a node's accelerators with what the platform advertises."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from aiconform.checks.accelerator_metrics.observations import DeviceMetrics, NodeMetrics
from aiconform.checks.accelerator_metrics.together import BESIDE, together
from aiconform.platform import Device, NodeAccelerators, Platform
from aiconform.platform.accelerators.profiles import has_host_memory
from aiconform.platform.monitoring.conventions import QUANTITIES, has_exporter
from aiconform.platform.monitoring.matching import Counted, Covered, count, cover
from aiconform.platform.monitoring.readings import Readings
from aiconform.platform.monitoring.sources import NodeSources

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

    def covered(
        self, reported: Sequence[Readings], of_others: Collection[str] = (), taken: Collection[str] = ()
    ) -> Covered:
        """These devices in what exporters report.

        of_others: labels of devices of other families. taken: those of other devices of this family, which cannot be
        these as well.
        """
        readings = [each for each in reported if each.label not in of_others]
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


def describe(
    about: Advertised, found: NodeSources, of_others: Collection[str] = (), taken: Collection[str] = ()
) -> NodeMetrics:
    """The metrics of one kind of accelerator on one node. `found` is of its family; the labels are as in `covered`."""
    target = about.target
    reported = together(about.devices, found, lambda readings: about.covered(readings, of_others, taken))
    if reported is None:
        problem = found.problems[0] if found.problems else None
        return NodeMetrics(
            **target.facts,
            advertised=about.counted.advertised,
            missing=tuple(device.name for device in about.devices),
            problem=problem.problem if problem else "",
            message=problem.message if problem else "; ".join(found.tried) or "no endpoint for metrics on this node",
            way_out=problem.way_out if problem else "",
            undecided=_unknown_metrics(found)
            or found.hidden
            or (about.untold if about.counted.known else _unknown_exporter(target)),
        )
    seen, sources = reported.covered, reported.sources
    devices = tuple(_device(name, each) for name, each in seen.readings)
    unsure = dict(reported.unsure)
    if has_host_memory(target.profile, target.product) and any(each.memory_used is None for each in devices):
        unsure["memory_used"] = (
            f"the memory of {target.product} is the host's, and its driver reports none of its own. An exporter that "
            "has the host's in its place counts: --set accelerator_metrics.exporter=NAMESPACE/POD*"
        )
    conventions = [source.convention for source in sources]
    readings = [*reported.by_number, *(each for source in sources for each in source.devices)]
    in_use = {quantity for each in conventions for quantity in each.only_in_use}
    counted = [seen.counted] if seen.counted else []
    if reported.by_number:
        counted.append(f"what one exporter lacks by number: {reported.numbered} has as many devices")
    return NodeMetrics(
        **target.facts,
        advertised=about.counted.advertised,
        missing=seen.missing,
        devices=devices,
        unnamed=sum(1 for each in sources[0].devices if not each.label),
        endpoint=_all(source.place for source in sources),
        found_by=_all(source.found_by for source in sources),
        convention=_all(each.name for each in conventions),
        opentelemetry=all(each.opentelemetry for each in conventions),
        reported=tuple(sorted({quantity for each in readings for quantity in each.reported} - {"info"})),
        expected=seen.expected,
        counted="; ".join(counted),
        undecided=seen.undecided or (about.untold if seen.missing else ""),
        only_in_use=tuple(each for each in QUANTITIES if each in in_use),
        by_number=tuple(_device("", each) for each in reported.by_number),
        unsure=unsure,
    )


def _all(names: Iterable[str]) -> str:
    return BESIDE.join(dict.fromkeys(names))


def _unknown_metrics(found: NodeSources) -> str:
    """Why metrics of these accelerators may be there all the same; empty if nothing looks like them."""
    if not found.unknown:
        return ""
    return (
        f"{'; '.join(found.unknown)}, which may be the utilization: say so, --set accelerator_metrics.utilization=NAME "
        "(and .memory)"
    )


def _unknown_exporter(target: NodeAccelerators) -> str:
    return (
        f"the suite knows no exporter for {target.profile or target.name}: name its Pods and metrics, "
        "--set accelerator_metrics.exporter=NAMESPACE/POD*, .utilization=NAME and .memory=NAME"
    )


def _device(name: str, readings: Readings) -> DeviceMetrics:
    values: dict[str, list[float]] = defaultdict(list)
    for sample in (*readings.samples, *(sample for each in readings.also for sample in each.samples)):
        if math.isfinite(sample.value):
            values[sample.name].append(sample.value)
    utilization, memory = readings.reporting("utilization"), readings.reporting("memory_used")
    # Exporters may count the memory of a device in different ways: what is used is part of what the same one counts.
    judged = ((utilization, "utilization"), (memory, "memory_used"), (memory, "memory_total"))
    return DeviceMetrics(
        device=name,
        label=readings.label,
        utilization=utilization.value("utilization"),
        memory_used=memory.value("memory_used"),
        memory_total=memory.value("memory_total"),
        values=values,
        memory_unit=memory.unit("memory_used") or "bytes",
        samples=tuple(str(sample) for each, quantity in judged for sample in each.samples_of(quantity)),
    )
