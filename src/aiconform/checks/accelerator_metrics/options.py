"""What a user can set for accelerator_metrics."""

from __future__ import annotations

from dataclasses import replace

from aiconform.check import Options, option
from aiconform.cluster.amounts import LARGE
from aiconform.cluster.guest import pairs
from aiconform.platform.monitoring.conventions import Convention, load_conventions

MEMORY_UNITS = ("KiB", "MiB", "GiB", "percent", "ratio")


class AcceleratorMetrics(Options):
    exporter: str = option("", "The exporter's Pods, as a shell pattern of NAMESPACE/POD; by default it is discovered.")
    utilization: str = option("", "Name of a utilization metric that the suite does not know.")
    utilization_unit: str = option("percent", "Unit of that metric.", choices=lambda: ("ratio",))
    memory: str = option("", "Name of a metric of memory in use that the suite does not know.")
    memory_unit: str = option("bytes", "Unit of that metric.", choices=lambda: MEMORY_UNITS)
    shares: int = option(
        0,
        "How many of an extended resource are one device (time slices, cores); by default the node's labels say it.",
        ge=0,
    )
    load_image: str = option("", "Image that puts a device under load; by default a Pod only holds the device open.")
    load_command: str = option("", "Shell command to run in that image, in place of the image's own command.")
    load_limits: str = option(
        ",".join(f"{name}={amount}" for name, amount in LARGE.items()),
        "Limits of the container with that image: RESOURCE=QUANTITY,...",
        pattern=r"[a-z-]+=[0-9.]+[a-zA-Z]*(,[a-z-]+=[0-9.]+[a-zA-Z]*)*",
    )
    load_user: int = option(
        0,
        "User of the load's container, for an image or device that needs one; by default that of the suite's Pods.",
        ge=0,
    )
    load_groups: str = option(
        "",
        "Further groups of the load's container, such as those of video and render on the node: NUMBER,...",
        pattern=r"(\d+(,\d+)*)?",
    )
    load_seconds: float = option(
        90.0,
        "The longest time until a load shows in the metrics, and until the end of the load shows.",
        serves=("load_shows",),
        formerly=("seconds",),
        ge=1,
    )

    @property
    def limits(self) -> dict[str, str]:
        return {**LARGE, **pairs(self.load_limits.split(","))}

    @property
    def groups(self) -> list[int]:
        return [int(number) for number in self.load_groups.split(",") if number]


def conventions(options: AcceleratorMetrics) -> tuple[Convention, ...]:
    """The known conventions, each with the names that the user set, before its own; and one of these names alone."""
    known = load_conventions()
    units = {
        name: (quantity, unit)
        for name, quantity, unit in (
            (options.utilization, "utilization", options.utilization_unit),
            (options.memory, "memory_used", options.memory_unit),
        )
        if name
    }
    if not units:
        return known
    labels = tuple(dict.fromkeys(label for convention in known for label in convention.device_labels))
    alone = Convention("as set for this run", device_labels=labels, units=units)
    return (alone, *(replace(each, units={**units, **each.units}) for each in known))
