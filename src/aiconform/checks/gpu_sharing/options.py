"""What a user can set for gpu_sharing."""

from __future__ import annotations

from aiconform.check import Options, option
from aiconform.platform.accelerators.shares import WAYS

EACH_SECONDS = 5.0
"""What one Pod more is given, of those that start at once: drivers can prepare shares one after the other."""


class GpuSharing(Options):
    strategy: str = option(
        "",
        "The way of sharing to show; by default each one that is advertised, and one claim of several Pods only where "
        "nothing else is.",
        choices=lambda: WAYS,
    )
    holders: int = option(
        64,
        "The most Pods that hold shares at once. Where more shares are free, the advertised limit is not reached and "
        "not decided; where claims choose the size of a share, they choose one of which no more fit.",
        ge=2,
        le=256,
    )
    start_seconds: float = option(
        180.0,
        "The longest time until a Pod with a share runs: a driver may have to create its partition first. Of Pods that "
        f"start at once, each one more adds {EACH_SECONDS:g} s.",
        serves=("pod_runs",),
        ge=1,
    )
    observe_seconds: float = option(
        30.0,
        "How long to observe that a Pod beyond the advertised limit stays unscheduled.",
        serves=("unscheduled_window",),
        ge=1,
    )
    request: str = option(
        "",
        "What each Pod asks for besides a share of a device plugin, RESOURCE=AMOUNT[,RESOURCE=AMOUNT...], where shares "
        "have more than a number, such as memory; what HAMi asks of shares of NVIDIA GPUs is known.",
        pattern=r"([^=,\s]+/[^=,\s]+=\d+(,[^=,\s]+/[^=,\s]+=\d+)*)?",
    )
    image: str = option(
        "",
        "Image of the Pods with a share, where an injected program that shows something of it needs more than a shell, "
        "such as a C library. It needs sh, find, stat, awk and base64.",
    )
    memory: str = option(
        "",
        "What shows the memory of a partition in its container, where no known file or program does: a file under "
        "/proc or /sys, or a program that is injected together with the partition, with its arguments. The first "
        "number that it prints counts, in bytes or with a unit.",
    )
    device: str = option(
        "",
        "What shows in the container of a share of which physical device it is, where neither the driver nor a device "
        "node does: a file or a program as for `memory`. Shares for which it shows the same are of one device.",
    )

    @property
    def besides(self) -> dict[str, str]:
        """Extended resource -> amount, as `request` lists them."""
        return dict(entry.split("=") for entry in self.request.split(",") if entry)
