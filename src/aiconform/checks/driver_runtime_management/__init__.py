"""driver_runtime_management: what nodes advertise of driver and runtime is what a container with a device finds."""

from aiconform.check import collect
from aiconform.checks.driver_runtime_management import assertions, nodes_compared, options, probes

CHECK = collect(
    "driver_runtime_management",
    options.__name__,
    probes.__name__,
    assertions.__name__,
    nodes_compared.__name__,
)
