"""What a user can set for driver_runtime_management."""

from __future__ import annotations

from aiconform.check import Options, option
from aiconform.platform.accelerators.drivers import INTEGRATIONS


class DriverRuntimeManagement(Options):
    version: str = option(
        "",
        "Node labels, node annotations or device attributes in which the platform advertises the driver's version, "
        "NAME[,NAME...], where those of known vendors have none.",
    )
    file: str = option(
        "",
        "File in which a container with a device finds the version of the installed driver, where no known one has it: "
        "under /proc or /sys, or injected together with the device. For a driver that is part of the kernel: "
        "/proc/sys/kernel/osrelease.",
        pattern=r"^(/\S+)?$",
    )
    integration: str = option(
        "",
        "The runtime integration that the platform declares for device plugins, where it does so neither by attributes "
        "nor by labels.",
        choices=lambda: INTEGRATIONS,
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The names that `version` lists."""
        return tuple(name.strip() for name in self.version.split(",") if name.strip())
