"""How exporters name what they report about accelerators, and what tells devices apart: metrics.yaml, as objects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiconform.platform.monitoring.metrics import MetricSample
from aiconform.spec import yamlfile

QUANTITIES = ("utilization", "memory_used", "memory_total", "temperature", "power", "interconnect", "info")


@dataclass(frozen=True)
class Convention:
    """How one exporter names its metrics and labels; the fields are explained at the top of metrics.yaml."""

    name: str
    accelerators: tuple[str, ...] = ()
    exporters: tuple[str, ...] = ()
    port: int = 0
    path: str = "/metrics"
    host_labels: tuple[tuple[str, str], ...] = ()
    opentelemetry: bool = False
    device_labels: tuple[str, ...] = ()
    partition_labels: tuple[str, ...] = ()
    partition_has: tuple[tuple[str, str], ...] = ()
    device_node: tuple[tuple[str, str], ...] = ()
    profile_label: str = ""
    core_label: str = ""
    cores_label: str = ""
    part_labels: tuple[str, ...] = ()
    only: tuple[tuple[str, str], ...] = ()
    generic: bool = False
    any_hardware: tuple[str, ...] = ()
    accelerator_has: tuple[tuple[str, str], ...] = ()
    container_level: tuple[str, ...] = ()
    only_in_use: tuple[str, ...] = ()
    units: dict[str, tuple[str, str]] = field(default_factory=dict, hash=False)
    """Metric, or pattern of metrics that add up -> (quantity, unit); in the order of preference."""

    def serves(self, names: Iterable[str]) -> bool:
        """Whether one of these names, of images or Pods, is that of an exporter that follows this convention."""
        return any(fnmatchcase(name, pattern) for name in names for pattern in self.exporters)

    def describes(self, profile: str, beside: Collection[str] = ()) -> bool:
        """Whether it can be about accelerators of this profile; `beside` are those of others on the same node.

        If no exporter is known for a profile, any can that is not known to be about the others.
        """
        if not self.accelerators or profile in self.accelerators:
            return True
        return not has_exporter(profile) and not {*beside} & {*self.accelerators}

    def entry(self, metric: str) -> str | None:
        """The entry of `units` that holds for a metric; None if it is not one of this convention."""
        if metric in self.units:
            return metric
        patterns = (name for name in self.units if name.endswith("*"))
        return next((pattern for pattern in patterns if fnmatchcase(metric, pattern)), None)

    def reads(self, sample: MetricSample) -> bool:
        """Whether a sample follows this convention and is about a device itself."""
        apart = any(sample.labels.get(label, value) != value for label, value in self.only)
        return not apart and self.entry(sample.name) is not None

    def of_accelerators(self, samples: Iterable[MetricSample]) -> list[MetricSample]:
        """The samples of a page that follow this convention, without those of hardware that is no accelerator."""
        theirs = [sample for sample in samples if self.reads(sample)]
        known = {self.named(sample) for sample in theirs if self._is_of_accelerator(sample)}
        return [sample for sample in theirs if self.named(sample) in known]

    def _is_of_accelerator(self, sample: MetricSample) -> bool:
        labels = sample.labels
        return not any(fnmatchcase(sample.name, pattern) for pattern in self.any_hardware) or any(
            label in labels and fnmatchcase(labels[label], pattern) for label, pattern in self.accelerator_has
        )

    def named(self, sample: MetricSample) -> tuple[str, str]:
        """(label, value) that identify the device; empty if none does."""
        label = next((name for name in self.device_labels if sample.labels.get(name)), "")
        return label, sample.labels.get(label, "")

    def is_named(self, sample: MetricSample) -> bool:
        """Whether its labels identify a device."""
        return any(sample.labels.get(label) for label in self.device_labels)

    def named_by_nodes(self, paths: Iterable[str]) -> tuple[str, str] | None:
        """(label, value) of the device whose device nodes a container has; None if they name none or several."""
        for label, pattern in self.device_node:
            values = {found[1] for path in paths if (found := re.fullmatch(pattern, path))}
            if len(values) == 1:
                return label, values.pop()
        return None

    def is_container_level(self, metric: str) -> bool:
        return any(fnmatchcase(metric, pattern) for pattern in self.container_level)


@cache
def _content() -> dict[str, Any]:
    found: dict[str, Any] = yamlfile.parse(
        Path("metrics.yaml"), files(__package__).joinpath("metrics.yaml").read_bytes()
    ).data
    return found


@cache
def load_conventions() -> tuple[Convention, ...]:
    entries = {entry["name"]: entry for entry in _content()["conventions"]}
    return tuple(_convention(entry, entries[entry.get("metrics_of", entry["name"])]) for entry in entries.values())


def _convention(entry: Mapping[str, Any], metrics: Mapping[str, Any]) -> Convention:
    lists = (
        *("accelerators", "exporters", "partition_labels", "part_labels"),
        *("any_hardware", "container_level", "only_in_use"),
    )
    return Convention(
        name=entry["name"],
        port=entry.get("port", 0),
        path=entry.get("path", "/metrics"),
        host_labels=tuple(entry.get("host_labels", {}).items()),
        opentelemetry=entry.get("opentelemetry", False),
        device_labels=tuple(entry["device_labels"]),
        partition_has=tuple(entry.get("partition_has", {}).items()),
        device_node=tuple(entry.get("device_node", {}).items()),
        only=tuple(entry.get("only", {}).items()),
        accelerator_has=tuple(entry.get("accelerator_has", {}).items()),
        generic=entry.get("generic", False),
        profile_label=entry.get("profile_label", ""),
        core_label=entry.get("core_label", ""),
        cores_label=entry.get("cores_label", ""),
        **{name: tuple(entry.get(name, ())) for name in lists},
        units={
            metric: (quantity, unit)
            for quantity in QUANTITIES
            for metric, unit in (metrics.get(quantity) or {}).items()
        },
    )


@cache
def has_exporter(profile: str) -> bool:
    """Whether the suite knows an exporter for accelerators of this profile."""
    return any(profile in convention.accelerators for convention in load_conventions())


def used_samples(samples: Iterable[MetricSample], conventions: Sequence[Convention]) -> Iterator[MetricSample]:
    """Those that some convention reads, or that tell it how many cores a device has."""
    cores = {each.cores_label for each in conventions if each.cores_label}
    # Pages have thousands of samples, and few names.
    readers: dict[str, list[Convention]] = {}
    for sample in samples:
        if sample.name not in readers:
            readers[sample.name] = [each for each in conventions if each.entry(sample.name) is not None]
        if any(each.reads(sample) for each in readers[sample.name]) or not cores.isdisjoint(sample.labels):
            yield sample


def conventions_of(
    samples: Iterable[MetricSample], conventions: Iterable[Convention], exporter: str = ""
) -> list[Convention]:
    """The conventions that these samples follow, each for metrics of its own.

    Of conventions with the same metrics, that of the known `exporter` counts, else the one with the most samples.
    """
    samples = list(samples)
    read = {each: _names(samples, each, exporter) for each in conventions}
    found: list[Convention] = []
    for convention, names in sorted(read.items(), key=lambda entry: (entry[0].name != exporter, -entry[1].total())):
        theirs = {name for each in found for name in read[each]}
        if names.keys() - theirs:
            found.append(convention)
    return found


def _names(samples: Iterable[MetricSample], convention: Convention, exporter: str) -> Counter[str]:
    """Metric that follows the convention -> its number of samples; none if other software may have written them."""
    theirs = convention.of_accelerators(samples)
    if convention.generic and convention.name != exporter and not any(map(convention.is_named, theirs)):
        return Counter()
    return Counter(sample.name for sample in theirs)
