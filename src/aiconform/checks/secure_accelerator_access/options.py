"""What a user can set for secure_accelerator_access."""

from __future__ import annotations

from aiconform.check import Options, option


class SecureAcceleratorAccess(Options):
    shared: str = option(
        "",
        "Extended resources or DRA drivers of which several Pods share a device on purpose, NAME[,NAME...]; by default "
        "node labels, names and the drivers' fields tell.",
    )
