"""The cluster under test: what it offers to AI workloads."""

from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.offered import AcceleratorGroup, Accelerators, NodeAccelerators, tolerations
from aiconform.platform.inventory import BadSelector, Platform

__all__ = ["AcceleratorGroup", "Accelerators", "BadSelector", "Device", "NodeAccelerators", "Platform", "tolerations"]
