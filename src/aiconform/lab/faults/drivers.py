"""Faults of the accelerators' driver: what a node advertises of it, and what a container with a device finds."""

from __future__ import annotations

from aiconform.lab.accelerators.config import DriverFault
from aiconform.lab.faults.fault import Fault, InDriver, assertions

_CHECK = "driver_runtime_management"
DIFFERENCES = assertions(_CHECK, "differences_in_pool_are_advertised")
"""It takes two nodes to break this: the one with the fault, and one without that offers the same accelerators."""
FROM_DRA = assertions(_CHECK, "versions_come_from_dra")
"""Only nodes that give accelerators by DRA can break this."""

FAULTS = (
    Fault(
        DriverFault.DRIVER_DIFFERS,
        "The driver is a later one than the node advertises.",
        assertions(_CHECK, "driver_version_matches"),
        InDriver(),
        may_break=DIFFERENCES,
    ),
    Fault(
        DriverFault.VERSION_UNADVERTISED,
        "The node does not advertise the version of its driver.",
        assertions(_CHECK, "driver_version_is_advertised"),
        InDriver(),
        # Beside a node with another version; only DRA's versions can come from there.
        may_break=FROM_DRA | DIFFERENCES,
    ),
    Fault(
        DriverFault.VERSION_BY_LABEL,
        "A label alone advertises the version of the driver, which DRA publishes for other nodes.",
        FROM_DRA,
        InDriver(),
    ),
    Fault(
        DriverFault.VERSION_IMPRECISE,
        "The driver is a later one than that of other nodes, and only the major version is advertised.",
        DIFFERENCES,
        InDriver(),
    ),
    Fault(
        DriverFault.LIBRARIES_DIFFER,
        "The libraries that come with an accelerator are later ones than the driver's kernel module.",
        assertions(_CHECK, "libraries_match_module"),
        InDriver(),
    ),
    Fault(
        DriverFault.INTEGRATION_MISSTATED,
        "The node declares another runtime integration than the one that injects accelerators.",
        assertions(_CHECK, "runtime_integration_matches"),
        InDriver(),
    ),
)
