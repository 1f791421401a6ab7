"""Faults of the accelerators' metrics, which the exporter of each node acts out."""

from __future__ import annotations

from aiconform.lab.accelerators.config import DriverFault
from aiconform.lab.faults.fault import Fault, InDriver, of

FAULTS = tuple(
    Fault(name, description, of("accelerator_metrics", *breaks), InDriver(), needs=("accelerator-exporter",))
    for name, description, breaks in (
        (DriverFault.METRICS_OMIT_DEVICE, "The metrics omit the last accelerator of each node.", ["every_device"]),
        (
            DriverFault.METRICS_OMIT_UTILIZATION,
            "The metrics omit the last accelerator's utilization.",
            ["utilization_reported"],
        ),
        (DriverFault.METRICS_WITHOUT_MEMORY, "No metric is about memory.", ["memory_reported"]),
        (
            DriverFault.METRICS_UNLABELLED,
            "Metrics are means over a node's accelerators, without their names.",
            ["every_device"],
        ),
        (DriverFault.METRICS_FROZEN, "Utilization has the same value at all times.", ["utilization_rises"]),
        (
            DriverFault.METRICS_OF_ANOTHER,
            "Each accelerator's utilization is reported as that of the next one.",
            ["utilization_rises", "idle_devices_stay"],
        ),
        (
            DriverFault.METRICS_OF_NODE,
            "Each accelerator reports the highest utilization on its node.",
            ["idle_devices_stay"],
        ),
        (DriverFault.METRICS_KEEP_PEAKS, "Utilization rises, but does not fall again.", ["utilization_falls"]),
        (DriverFault.METRICS_GARBAGE, "The exporter answers with a page without metrics.", ["standard_format"]),
    )
)
