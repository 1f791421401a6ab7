"""Accelerators of one family on one node that are offered under several names: no reading stands for two devices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from aiconform.checks.accelerator_metrics.device_metrics import WHATEVER_IS_LEFT, Advertised
from aiconform.checks.accelerator_metrics.observations import NodeMetrics
from aiconform.checks.accelerator_metrics.together import BESIDE
from aiconform.platform.accelerators.hardware import of_one_family


def apart(one: Advertised, other: Advertised) -> bool:
    """Whether both are of one family, and are devices or partitions that differ.

    What is offered twice is one entry already. Of two resources of device plugins, one may count parts of the devices
    that the other one counts, unless its name says which partitions it counts.
    """
    both_are_counted = one.exactness == other.exactness == WHATEVER_IS_LEFT
    return of_one_family(one.target, other.target) and not both_are_counted


def labels(seen: NodeMetrics) -> list[str]:
    """The labels of the readings that stand for these devices; those beyond their number may be of others."""
    return [device.label for device in seen.devices][: seen.devices_expected]


def unsure_of_parts(of_node: Iterable[tuple[Advertised, NodeMetrics]]) -> list[NodeMetrics]:
    """The metrics of one node, undecided where resources count more devices together than have readings."""
    found = list(of_node)
    families: dict[tuple[str, str], list[NodeMetrics]] = defaultdict(list)
    for about, seen in found:
        if about.exactness == WHATEVER_IS_LEFT and of_one_family(about.target, about.target):
            # What another exporter adds for one resource makes no devices of their own.
            families[about.target.profile, seen.endpoint.partition(BESIDE)[0]].append(seen)
    told: dict[str, str] = {}
    for (_, place), members in families.items():
        if place and (why := _too_few(members)):
            told |= dict.fromkeys((each.name for each in members), why)
    return [
        seen.model_copy(update={"undecided": told[seen.name]}) if seen.name in told and not seen.undecided else seen
        for _, seen in found
    ]


def _too_few(members: Sequence[NodeMetrics]) -> str:
    """Why it is not decided whether one is missing; empty if there are enough readings, or one lacks some by itself."""
    readings = {device.label for each in members for device in each.devices}
    expected = sum(each.devices_expected for each in members)
    alone_enough = all(len(each.devices) >= each.devices_expected for each in members)
    if len(members) < 2 or not alone_enough or len(readings) >= expected:
        return ""
    names = ", ".join(f"{each.devices_expected} {each.name}" for each in members)
    return (
        f"{len(readings)} devices have readings, for {names}: one may be missing, or a resource counts parts of the "
        "other's devices; name the parts: --not-accelerator RESOURCE"
    )
