"""What an exporter reports of each device. Values are converted: percent for utilization, bytes for memory.

Nothing here talks to a cluster.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from aiconform.platform.monitoring.conventions import Convention
from aiconform.platform.monitoring.metrics import MetricSample

_FACTORS = {"percent": 1.0, "ratio": 100.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
MUST_BE_REPORTED = ("utilization", "memory_used")
"""Quantities of every device. A reading of an accelerator has at least one: sensors and network ports have none."""
# Labels in which exporters name the Pod that holds a device, and its Namespace.
_POD_LABELS = ("pod", "exported_pod", "pod_name", "kube_pod", "k8s_pod_name", "dcu_pod_name", "hcu_pod_name")
_NAMESPACE_LABELS = (
    *("namespace", "exported_namespace", "pod_namespace", "kube_namespace", "k8s_namespace_name"),
    *("dcu_pod_namespace", "hcu_pod_namespace"),
)


@dataclass(frozen=True)
class Readings:
    """The samples of one device, or of one partition of a device.

    label: the labels that identify it, `NAME=value, ...`; empty if the samples name no device. device: that of the
    physical device, which partitions have in common. also: what other exporters report of the same device.
    """

    label: str
    device: str
    samples: tuple[MetricSample, ...]
    convention: Convention
    also: tuple[Readings, ...] = ()

    @cached_property
    def labels(self) -> frozenset[tuple[str, str]]:
        own = frozenset(pair for sample in self.samples for pair in sample.labels.items())
        return own.union(*(each.labels for each in self.also))

    def reporting(self, quantity: str) -> Readings:
        """The first that reports the quantity: this exporter's, or that of another one; this one's if none does."""
        return next((each for each in (self, *self.also) if quantity in each.reported), self)

    def reports(self, quantity: str) -> bool:
        """Whether any exporter reports the quantity of the device."""
        return quantity in self.reporting(quantity).reported

    @property
    def identity(self) -> frozenset[tuple[str, str]]:
        """Its labels, and those that identify it, which can be told from others."""
        return self.labels | {
            (name, value) for name, _, value in (each.partition("=") for each in self.label.split(", "))
        }

    @cached_property
    def pods(self) -> frozenset[str]:
        """`NAMESPACE/NAME` of the Pods that hold the device, if the exporter says it."""
        named = set()
        for sample in self.samples:
            pod = next((sample.labels[name] for name in _POD_LABELS if sample.labels.get(name)), "")
            namespace = next((sample.labels[name] for name in _NAMESPACE_LABELS if sample.labels.get(name)), "")
            if pod and namespace:
                named.add(f"{namespace}/{pod}")
        return frozenset(named)

    @property
    def is_partition(self) -> bool:
        return self.label != self.device

    @property
    def is_core(self) -> bool:
        """Whether it is about a core of a device, and nothing tells of which one."""
        return bool(self.convention.core_label) and self.label.partition("=")[0] == self.convention.core_label

    @property
    def profiles(self) -> set[str]:
        """The profiles of the partition, as they are in names of extended resources (`1g.10gb.me` for `1g.10gb+me`)."""
        name = self.convention.profile_label
        return {value.replace("+", ".") for label, value in self.labels if name and label == name and value}

    @property
    def is_container_level(self) -> bool:
        """Whether all samples are about containers: these may number devices in a way of their own."""
        return all(self.convention.is_container_level(sample.name) for sample in self.samples)

    def is_only_in_use(self, quantity: str) -> bool:
        """Whether the exporter reports the quantity only of devices in use."""
        return quantity in self.convention.only_in_use or self.is_container_level

    @cached_property
    def reported(self) -> frozenset[str]:
        """The quantities that are reported."""
        return frozenset(self.convention.units[entry][0] for entry in self._entries)

    @cached_property
    def _entries(self) -> dict[str, list[MetricSample]]:
        """Entry of the convention -> its samples. Exporters report NaN where there is no value."""
        entries: dict[str, list[MetricSample]] = defaultdict(list)
        for sample in self.samples:
            entry = self.convention.entry(sample.name)
            if entry is not None and math.isfinite(sample.value):
                entries[entry].append(sample)
        return entries

    def samples_of(self, quantity: str) -> list[MetricSample]:
        """The samples from which the value of a quantity is computed: those of its first metric that has some."""
        for entry, (of, _) in self.convention.units.items():
            if of == quantity and entry in self._entries:
                return _largest_parts(self._entries[entry], self.convention.part_labels)
        return []

    def unit(self, quantity: str) -> str:
        """Of the value: `percent`, `bytes`, or as the exporter has it; empty if there is none."""
        for sample in self.samples_of(quantity):
            unit = self._unit(sample)
            return "percent" if unit == "ratio" else "bytes" if unit.endswith("iB") else unit
        return ""

    def value(self, quantity: str) -> float | None:
        """The value of a quantity. Bytes of parts add up; else the part with the highest value counts."""
        # Rows that differ in other labels, such as the Pods that share a device, say the same thing.
        parts: dict[tuple[str, ...], float] = {}
        for sample in self.samples_of(quantity):
            part = (sample.name, *(sample.labels.get(name, "") for name in self.convention.part_labels))
            value = sample.value * _FACTORS.get(self._unit(sample), 1.0)
            parts[part] = max(value, parts.get(part, value))
        if not parts:
            return None
        return sum(parts.values()) if self.unit(quantity) == "bytes" else max(parts.values())

    def _unit(self, sample: MetricSample) -> str:
        return self.convention.units[self.convention.entry(sample.name) or ""][1]


def _largest_parts(samples: list[MetricSample], part_labels: Sequence[str]) -> list[MetricSample]:
    """Without the samples of parts of what other samples are about."""
    for name in part_labels:
        whole = [sample for sample in samples if not sample.labels.get(name)]
        samples = whole or samples
    return samples


def by_device(samples: Iterable[MetricSample], convention: Convention) -> list[Readings]:
    """The samples that follow a convention, grouped by the device or partition that their labels name."""
    groups: dict[tuple[str, str], list[MetricSample]] = defaultdict(list)
    samples = list(samples)
    cores = _cores_of_one(samples, convention)
    for sample in convention.of_accelerators(samples):
        device, value = convention.named(sample)
        names = (device, *(name for name in convention.partition_labels if sample.labels.get(name) and device))
        told = [f"{name}={sample.labels[name]}" for name in dict.fromkeys(names) if name]
        if cores and device == convention.core_label and value.isdecimal():
            told = [f"{convention.device_labels[0]}={int(value) // cores}"]
        groups[", ".join(told), told[0] if told else ""].append(sample)
    found = [Readings(label, device, tuple(group), convention) for (label, device), group in sorted(groups.items())]
    about = {each.device: _information(each) for each in found if each.label and not each.is_partition}
    found = [
        replace(each, samples=(*each.samples, *about.get(each.device, ()))) if each.is_partition else each
        for each in found
        if not each.reported.isdisjoint(MUST_BE_REPORTED)
    ]
    divided = {each.device for each in found if each.is_partition}
    # A device that is divided is there as its partitions.
    return [each for each in found if each.is_partition or each.device not in divided]


def _cores_of_one(samples: Iterable[MetricSample], convention: Convention) -> int:
    """How many cores a device has, as a label says; 0 if none does."""
    told = next((value for sample in samples if (value := sample.labels.get(convention.cores_label))), "")
    return int(told) if told.isdecimal() else 0


def _information(reading: Readings) -> list[MetricSample]:
    """The samples whose labels say more about a device, such as its PCI address."""
    units = reading.convention.units
    return [sample for sample in reading.samples if units[reading.convention.entry(sample.name) or ""][0] == "info"]


def each_once(readings: Sequence[Readings]) -> list[Readings]:
    """The readings of each device once, where metrics of containers number the devices in a way of their own."""
    of_containers = [each for each in readings if each.label and each.is_container_level]
    others = [each for each in readings if each.label and not each.is_container_level]
    unnamed = [each for each in readings if not each.label]
    if not of_containers or not others:
        return list(readings)

    def complete(found: Sequence[Readings]) -> tuple[int, int]:
        return len(found), sum("memory_used" in each.reported for each in found)

    return [*max((others, of_containers), key=complete), *unnamed]
