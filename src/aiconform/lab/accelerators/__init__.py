"""Simulated accelerators: real character devices behind a DRA driver and a device plugin of this project.

`AcceleratorConfig` is the configuration of one node's; `python -m aiconform.lab.accelerators --config FILE` serves
them; `cluster_objects` are the objects that the cluster needs.
"""

from aiconform.lab.accelerators.config import (
    AcceleratorConfig,
    DriverFault,
    Offer,
    devices_of,
    read_config,
    split,
    write_config,
)
from aiconform.lab.accelerators.devices import Device, NodeRole
from aiconform.lab.accelerators.identity import AcceleratorError, Identity, identities
from aiconform.lab.accelerators.objects import GROUP_OF_DRIVERS, cluster_objects
from aiconform.lab.accelerators.status import read_status, unsettled

__all__ = [
    "GROUP_OF_DRIVERS",
    "AcceleratorConfig",
    "AcceleratorError",
    "Device",
    "DriverFault",
    "Identity",
    "NodeRole",
    "Offer",
    "cluster_objects",
    "devices_of",
    "identities",
    "read_config",
    "read_status",
    "split",
    "unsettled",
    "write_config",
]
