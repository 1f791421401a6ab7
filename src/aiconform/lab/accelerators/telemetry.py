"""What the exporter of the simulated accelerators reports: series under a vendor's names, in a file that it reads.

The exporter (go/accelerator-exporter) knows how busy each device is; this says what devices there are, and how that is
called. The lab's faults of metrics are here, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiconform.lab.accelerators.config import AcceleratorConfig, DriverFault, devices_of
from aiconform.lab.accelerators.devices import Device
from aiconform.lab.accelerators.exporters import Series, exporters
from aiconform.lab.accelerators.templates import fill
from aiconform.lab.machines.files import write_json


def labels(config: AcceleratorConfig, device: Device) -> dict[str, str]:
    """The labels of all samples of a device, as its vendor's exporter has them. They say that it is simulated."""
    exporter = exporters()[config.identity.metrics]
    templates = exporter.labels | (exporter.partition_labels if device.partition else {})
    found = {name: fill(template, device.words) for name, template in templates.items()}
    return {name: value for name, value in found.items() if value} | {"simulated": "true"}


_DEFECTS = {
    DriverFault.METRICS_FROZEN: "frozen",
    DriverFault.METRICS_OF_ANOTHER: "next",
    DriverFault.METRICS_KEEP_PEAKS: "peak",
    DriverFault.METRICS_OF_NODE: "all",
    DriverFault.METRICS_GARBAGE: "garbage",
}


def telemetry(config: AcceleratorConfig) -> dict[str, object]:
    """The content of the file, with the faults that are on."""
    from aiconform.cluster import quantity

    devices, faults = [each for each in devices_of(config) if not each.on_demand], set(config.faults)
    series = [each for each in exporters()[config.identity.metrics].series if not _left_out(each, faults)]
    return {
        "cgroup": str(config.cgroup),
        "devices": [
            {"major": each.major, "minor": each.minor, "memory": quantity.whole(each.memory)} for each in devices
        ],
        "series": [
            {"name": each.name, "help": each.help, "samples": _samples(config, each, devices, faults)}
            for each in series
        ],
        "defect": next((word for fault, word in _DEFECTS.items() if fault in faults), ""),
    }


def _left_out(series: Series, faults: set[DriverFault]) -> bool:
    return series.of.startswith("memory") and DriverFault.METRICS_WITHOUT_MEMORY in faults


def _samples(
    config: AcceleratorConfig, series: Series, devices: Sequence[Device], faults: set[DriverFault]
) -> list[dict[str, object]]:
    def sample(position: int, words: Mapping[str, str]) -> dict[str, object]:
        text = ",".join(f'{name}="{value}"' for name, value in words.items())
        return {"device": position, "of": series.of, "scale": series.scale, "labels": text}

    if DriverFault.METRICS_UNLABELLED in faults:
        words = {name: value for name, value in labels(config, devices[0]).items() if _of_node(config, name)}
        return [sample(-1, words)]
    left_out = DriverFault.METRICS_OMIT_DEVICE in faults or (
        series.of == "utilization" and DriverFault.METRICS_OMIT_UTILIZATION in faults
    )
    # The last device, as allocators start with the first.
    shown = devices[:-1] if left_out else devices
    rows = series.rows or exporters()[config.identity.metrics].rows
    return [
        sample(position, labels(config, device) | {name: fill(text, device.words) for name, text in row.items()})
        for position, device in enumerate(shown)
        if not (device.partition and series.whole_only)
        for row in rows
    ]


def _of_node(config: AcceleratorConfig, label: str) -> bool:
    """Whether a label says nothing about a single device."""
    exporter = exporters()[config.identity.metrics]
    template = (exporter.labels | exporter.partition_labels).get(label, "{}")
    return "{" not in template.replace("{node}", "").replace("{product}", "")


def write_telemetry(config: AcceleratorConfig) -> None:
    """Write the file for this configuration; does nothing if it has none, or for real devices, which have their own."""
    if config.telemetry is not None and config.count and not config.real:
        write_json(config.telemetry, telemetry(config))
