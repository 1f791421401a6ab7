"""What the cluster under test offers."""

from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.offered import Accelerators, NodeAccelerators, NodeGroup, tolerations
from aiconform.platform.inventory import Platform

__all__ = ["Accelerators", "Device", "NodeAccelerators", "NodeGroup", "Platform", "tolerations"]
