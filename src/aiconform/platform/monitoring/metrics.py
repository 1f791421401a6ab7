"""Accelerators' metrics: what each series means (metrics.yaml beside this module), and which device it is about.

Nothing here talks to a cluster. Values are converted: percent for utilization, bytes for memory.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from aiconform.platform.accelerators.devices import Device
from aiconform.spec import yamlfile

QUANTITIES = ("utilization", "memory_used", "memory_total", "temperature", "power", "interconnect")
_FACTORS = {"percent": 1.0, "bytes": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
# Labels in which exporters and collectors give the node.
NODE_LABELS = (
    "node",
    "nodename",
    "node_name",
    "Hostname",
    "hostname",
    "host_name",
    "k8s_node_name",
    "kubernetes_node",
    "exported_node",
    "instance",
)
# Labels with a device's number on its node.
INDEX_LABELS = ("gpu", "gpu_id", "index", "minor_number", "device_index", "neuron_device_index", "id")
# A shorter value can match by chance.
_TELLING_LENGTH = 4


class BadFormat(ValueError):
    """A text that is not in a metrics format; the message says where."""


@dataclass(frozen=True)
class MetricSample:
    """One sample of one series."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Convention:
    """How one exporter names its metrics and labels; the fields are explained at the top of metrics.yaml."""

    name: str
    exporters: tuple[str, ...] = ()
    port: int = 0
    path: str = "/metrics"
    opentelemetry: bool = False
    device_labels: tuple[str, ...] = ()
    units: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Metric -> (quantity, unit)."""

    def serves(self, names: Iterable[str]) -> bool:
        """Whether one of these names, of images or Pods, is that of an exporter that follows this convention."""
        return any(fnmatchcase(name, pattern) for name in names for pattern in self.exporters)


@cache
def load_conventions() -> tuple[Convention, ...]:
    content = yamlfile.parse(Path("metrics.yaml"), files(__package__).joinpath("metrics.yaml").read_bytes()).data
    return tuple(_convention(entry) for entry in content["conventions"])


def _convention(entry: dict[str, Any]) -> Convention:
    return Convention(
        name=entry["name"],
        exporters=tuple(entry.get("exporters", ())),
        port=entry.get("port", 0),
        path=entry.get("path", "/metrics"),
        opentelemetry=entry.get("opentelemetry", False),
        device_labels=tuple(entry["device_labels"]),
        units={
            metric: (quantity, unit) for quantity in QUANTITIES for metric, unit in (entry.get(quantity) or {}).items()
        },
    )


def parse(text: str, content_type: str = "") -> list[MetricSample]:
    """The samples of a page of metrics, in Prometheus' text format or OpenMetrics. Raises BadFormat."""
    parser = parse_openmetrics if content_type.startswith("application/openmetrics-text") else parse_text
    try:
        found = [
            MetricSample(sample.name, dict(sample.labels), float(sample.value))
            for metric in parser(text)
            for sample in metric.samples
        ]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise BadFormat(f"not in a format for metrics: {error or type(error).__name__}") from error
    if not found and text.strip():
        raise BadFormat("not in a format for metrics: no sample in it")
    return found


@dataclass(frozen=True)
class Readings:
    """The values of one device: quantity -> metric -> values, in percent and bytes where these apply.

    `label` is the label that identifies the device, `NAME=value`; empty if the samples name no device.
    """

    label: str
    labels: frozenset[tuple[str, str]]
    values: dict[str, dict[str, list[float]]]

    def highest(self, quantity: str) -> float | None:
        """The highest value of the first metric of a quantity: parts of a device can have samples of their own."""
        for values in self.values.get(quantity, {}).values():
            return max(values)
        return None


def convention_of(samples: Sequence[MetricSample], conventions: Sequence[Convention]) -> Convention | None:
    """The convention that most of these samples follow; None if they follow none."""
    counts = Counter(
        convention.name for convention in conventions for sample in samples if sample.name in convention.units
    )
    if not counts:
        return None
    name = max(counts, key=lambda each: counts[each])
    return next(convention for convention in conventions if convention.name == name)


def by_device(samples: Iterable[MetricSample], convention: Convention) -> list[Readings]:
    """The samples that follow a convention, grouped by the device that their labels name."""
    groups: dict[str, tuple[set[tuple[str, str]], dict[str, dict[str, list[float]]]]] = {}
    for sample in samples:
        # Exporters report NaN where there is no value.
        if sample.name not in convention.units or not math.isfinite(sample.value):
            continue
        quantity, unit = convention.units[sample.name]
        name = next((name for name in convention.device_labels if sample.labels.get(name)), "")
        label = f"{name}={sample.labels[name]}" if name else ""
        labels, values = groups.setdefault(label, (set(), {}))
        labels.update(sample.labels.items())
        values.setdefault(quantity, {}).setdefault(sample.name, []).append(_converted(sample.value, quantity, unit))
    return [Readings(label, frozenset(labels), values) for label, (labels, values) in sorted(groups.items())]


def _converted(value: float, quantity: str, unit: str) -> float:
    if quantity == "utilization" and unit == "ratio":
        return value * 100
    return value * _FACTORS.get(unit, 1.0)


def on_node(samples: Iterable[MetricSample], node: str) -> list[MetricSample]:
    """The samples that have a label with the name of this node (the port of an address is ignored)."""
    return [sample for sample in samples if node in _nodes(sample)]


def _nodes(sample: MetricSample) -> set[str]:
    values = [sample.labels[name] for name in NODE_LABELS if name in sample.labels]
    return {*values, *(value.rpartition(":")[0] for value in values)}


def telling(devices: Sequence[Device]) -> dict[str, frozenset[str]]:
    """Name of each device -> the values (in lower case) that no other of these devices has: UUID, PCI address, name."""
    values = {
        device.name: {
            text.lower()
            for text in (device.name, *(value for value in device.attributes.values() if isinstance(value, str)))
            if len(text) >= _TELLING_LENGTH
        }
        for device in devices
    }
    counts = Counter(value for own in values.values() for value in own)
    return {name: frozenset(value for value in own if counts[value] == 1) for name, own in values.items()}


def match(devices: Sequence[Device], readings: Sequence[Readings]) -> dict[str, Readings]:
    """Device name -> its readings, for devices of one node: by a value that only it has, else by its index."""
    matched: dict[str, Readings] = {}
    values = telling(devices)
    named = [each for each in readings if each.label]
    for device in devices:
        found = next((each for each in named if values[device.name] & {v.lower() for _, v in each.labels}), None)
        if found is None:
            index = device.attribute("index", "minor")
            keys = {(label, str(index)) for label in INDEX_LABELS}
            found = next((each for each in named if index is not None and keys & each.labels), None)
        if found is not None:
            matched[device.name] = found
    # A label that two devices share identifies neither.
    shared = Counter(each.label for each in matched.values())
    return {name: each for name, each in matched.items() if shared[each.label] == 1}
