"""Faults of the accelerators' metrics, carried out by the exporter of each node."""

from __future__ import annotations

from aiconform.lab.accelerators.config import DriverFault
from aiconform.lab.faults.fault import Fault, InDriver, assertions

FAULTS = tuple(
    Fault(name, description, assertions("accelerator_metrics", *breaks), InDriver(), needs=("accelerator-exporter",))
    for name, description, breaks in (
        (DriverFault.METRICS_OMIT_DEVICE, "The metrics omit the last accelerator of each node.", ["every_device"]),
        (
            DriverFault.METRICS_OMIT_UTILIZATION,
            "The metrics omit the last accelerator's utilization.",
            ["utilization_reported"],
        ),
        (DriverFault.METRICS_WITHOUT_MEMORY, "No metric reports memory.", ["memory_reported"]),
        (
            DriverFault.METRICS_UNLABELLED,
            "Metrics are averages over a node's accelerators, without labels that identify one.",
            ["every_device"],
        ),
        (DriverFault.METRICS_FROZEN, "Utilization never changes.", ["utilization_rises"]),
        (
            DriverFault.METRICS_OF_ANOTHER,
            "Each accelerator's utilization is reported as the next one's.",
            ["utilization_rises", "idle_devices_stay"],
        ),
        (
            DriverFault.METRICS_OF_NODE,
            "Each accelerator reports the highest utilization of any on its node.",
            ["idle_devices_stay"],
        ),
        (DriverFault.METRICS_KEEP_PEAKS, "Utilization rises but does not fall again.", ["utilization_falls"]),
        (DriverFault.METRICS_GARBAGE, "The exporter answers with a page that has no metrics.", ["standard_format"]),
    )
)
