"""What a user can set for accelerator_metrics."""

from __future__ import annotations

from aiconform.check import Options, option
from aiconform.platform.monitoring.metrics import Convention, load_conventions


class AcceleratorMetrics(Options):
    exporter: str = option("", "The exporter's Pods, as a shell pattern of NAMESPACE/POD; by default it is discovered.")
    utilization: str = option("", "Name of a utilization metric (in percent) that the suite does not know.")
    memory: str = option("", "Name of a metric of memory in use (in bytes) that the suite does not know.")
    load_image: str = option("", "Image that puts a device under load; by default a Pod only holds the device open.")
    load_command: str = option("", "Shell command to run in that image, in place of the image's own command.")
    load_seconds: float = option(
        90.0,
        "The longest time until a load shows in the metrics, and until the end of the load shows.",
        serves=("load_shows",),
        formerly=("seconds",),
        ge=1,
    )


def conventions(options: AcceleratorMetrics) -> tuple[Convention, ...]:
    """The known conventions, after a convention of the names that the user set, if there are any."""
    known = load_conventions()
    units = {
        name: (quantity, unit)
        for name, quantity, unit in (
            (options.utilization, "utilization", "percent"),
            (options.memory, "memory_used", "bytes"),
        )
        if name
    }
    if not units:
        return known
    labels = tuple(dict.fromkeys(label for convention in known for label in convention.device_labels))
    return (Convention("as set for this run", device_labels=labels, units=units), *known)
