"""What the exporter of the simulated accelerators reports: series under a vendor's names, in a file that it reads.

The exporter (go/accelerator-exporter) knows how busy each device is; this says what devices there are, and how that is
called. The lab's faults of metrics are here, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiconform.lab.accelerators.config import AcceleratorConfig, Device, DriverFault, devices_of
from aiconform.lab.accelerators.identity import Metrics
from aiconform.lab.machines.files import write_json

_MIB = 1 / 2**20


@dataclass(frozen=True)
class Series:
    """A series: what it measures, and the factor from percent, bytes, degrees or watts to its unit."""

    name: str
    of: str
    help: str
    scale: float = 1.0
    labels: tuple[tuple[str, str], ...] = ()


SERIES: Mapping[Metrics, tuple[Series, ...]] = {
    Metrics.OPENTELEMETRY: (
        Series("hw_gpu_utilization_ratio", "utilization", "Fraction of time in which the device was in use.", 0.01),
        Series("hw_gpu_memory_usage_bytes", "memory_used", "Memory in use."),
        Series("hw_gpu_memory_limit_bytes", "memory_total", "Memory of the device."),
        Series("hw_temperature_celsius", "temperature", "Temperature."),
        Series("hw_power_watts", "power", "Power drawn."),
    ),
    Metrics.DCGM: (
        Series("DCGM_FI_DEV_GPU_UTIL", "utilization", "GPU utilization (in %)."),
        Series("DCGM_FI_DEV_FB_USED", "memory_used", "Framebuffer memory used (in MiB).", _MIB),
        Series("DCGM_FI_DEV_FB_TOTAL", "memory_total", "Framebuffer memory in all (in MiB).", _MIB),
        Series("DCGM_FI_DEV_GPU_TEMP", "temperature", "GPU temperature (in C)."),
        Series("DCGM_FI_DEV_POWER_USAGE", "power", "Power draw (in W)."),
    ),
    Metrics.AMD: (
        Series("gpu_gfx_activity", "utilization", "Graphics engine usage (in %)."),
        Series("gpu_used_vram", "memory_used", "VRAM in use (in MB).", _MIB),
        Series("gpu_total_vram", "memory_total", "VRAM in all (in MB).", _MIB),
        Series("gpu_edge_temperature", "temperature", "Temperature (in C)."),
        Series("gpu_package_power", "power", "Power draw (in W)."),
    ),
    Metrics.TPU: (
        Series("duty_cycle", "utilization", "Percent of time in which the accelerator was in use."),
        Series("memory_used", "memory_used", "Memory in use (in bytes)."),
        Series("memory_total", "memory_total", "Memory in all (in bytes)."),
    ),
    Metrics.NEURON: (
        Series("neuroncore_utilization_ratio", "utilization", "Utilization of the core.", 0.01),
        Series("neuron_runtime_memory_used_bytes", "memory_used", "Memory in use (in bytes)."),
    ),
}


def labels(config: AcceleratorConfig, device: Device) -> dict[str, str]:
    """The labels that identify a device, as in its vendor's exporter. They say that it is simulated."""
    product, node, index = config.identity.product, config.node_name, str(device.index)
    of = {
        Metrics.OPENTELEMETRY: {
            "hw_id": device.uuid,
            "hw_name": device.name,
            "hw_type": "gpu",
            "hw_model": product,
            "k8s_node_name": node,
        },
        Metrics.DCGM: {
            "gpu": index,
            "UUID": device.uuid,
            "device": device.container_path.rpartition("/")[2],
            "modelName": product,
            "Hostname": node,
        },
        Metrics.AMD: {"gpu_id": index, "gpu_uuid": device.uuid, "card_model": product, "hostname": node},
        Metrics.TPU: {"accelerator_id": device.uuid, "make": "simulated", "model": product, "node": node},
        Metrics.NEURON: {"neuron_device_index": index, "instance_type": product, "node": node},
    }
    return {**of[config.identity.metrics], "simulated": "true"}


# The labels that are left if none may identify a device.
_OF_NODE = ("hw_type", "hw_model", "k8s_node_name", "modelName", "Hostname", "card_model", "hostname", "model", "node")
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

    devices, faults = devices_of(config), set(config.faults)
    memory = quantity.whole(config.identity.memory)
    series = [each for each in SERIES[config.identity.metrics] if not _left_out(each, faults)]
    return {
        "devices": [{"major": each.major, "minor": each.minor, "memory": memory} for each in devices],
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
        words = {name: value for name, value in labels(config, devices[0]).items() if name in _OF_NODE}
        return [sample(-1, words)]
    left_out = DriverFault.METRICS_OMIT_DEVICE in faults or (
        series.of == "utilization" and DriverFault.METRICS_OMIT_UTILIZATION in faults
    )
    # The last device, as allocators start with the first.
    shown = devices[:-1] if left_out else devices
    return [sample(position, labels(config, device)) for position, device in enumerate(shown)]


def write_telemetry(config: AcceleratorConfig) -> None:
    """Write the file for this configuration; does nothing if it has none."""
    if config.telemetry is not None and config.count:
        write_json(config.telemetry, telemetry(config))
