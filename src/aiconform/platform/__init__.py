"""The cluster under test: what it offers to AI workloads."""

from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.nodes import tolerations
from aiconform.platform.accelerators.offered import AcceleratorGroup, AcceleratorPlace, Accelerators, NodeAccelerators
from aiconform.platform.accelerators.options import AcceleratorOptions
from aiconform.platform.inventory import BadSelector, Platform

__all__ = [
    "AcceleratorGroup",
    "AcceleratorOptions",
    "AcceleratorPlace",
    "Accelerators",
    "BadSelector",
    "Device",
    "NodeAccelerators",
    "Platform",
    "tolerations",
]
