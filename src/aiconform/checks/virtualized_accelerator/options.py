"""What a user can set for virtualized_accelerator."""

from __future__ import annotations

from aiconform.check import Options, option


class VirtualizedAccelerator(Options):
    virtual: str = option(
        "",
        "DRA drivers and extended resources whose devices are virtual although nothing on the platform says so, "
        "NAME[,NAME...].",
    )
    start_seconds: float = option(
        180.0,
        "The longest time until a Pod with a virtual device runs: a mediated device may have to be created first.",
        serves=("pod_runs",),
        ge=1,
    )
    release_seconds: float = option(
        60.0,
        "The longest time until a device is free again after its holder was deleted.",
        serves=("device_release",),
        ge=1,
    )
    observe_seconds: float = option(
        5.0,
        "How long to observe that a second Pod for a held virtual device stays unscheduled.",
        serves=("unscheduled_window",),
        ge=1,
    )
    image: str = option(
        "",
        "Image of the Pods with a device, where an injected program that shows something of it needs more than a "
        "shell, such as a C library. It needs sh, find, stat, awk and base64.",
    )
    memory: str = option(
        "",
        "What shows the memory of a virtual device in its container, where no known file or program does: a file under "
        "/proc or /sys, or a program that is injected together with the device, with its arguments. The first number "
        "that it prints counts, in bytes or with a unit.",
    )
    device: str = option(
        "",
        "What shows in the container of a virtual device of which physical device it is, where neither the driver nor "
        "a device node does: a file or a program as for `memory`.",
    )

    @property
    def named(self) -> tuple[str, ...]:
        """What `virtual` lists."""
        return tuple(filter(None, self.virtual.split(",")))
