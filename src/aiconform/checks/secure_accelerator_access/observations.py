"""What secure_accelerator_access records: the views of containers on one node, and their attempts to open devices."""

from __future__ import annotations

from aiconform.check import Observation
from aiconform.kit.container_view import OpenAttempt, View
from aiconform.platform.accelerators.offered import AllocationWay


class Isolation(Observation):
    """What containers on one node see. Two of them hold one device each.

    holder: None if no Pod started with a device; `problem` says why. served_by: which way really provided the devices.
    second: None if the node had only one free device; then `second_waited` tells whether the second Pod stayed
    pending. own: the first holder's attempts to open its own device nodes. forged: the stranger's attempts to open
    device nodes that it made itself.
    """

    node: str
    way: AllocationWay
    served_by: AllocationWay
    name: str
    product: str
    simulated: bool
    problem: str = ""
    holder: View | None = None
    second: View | None = None
    second_waited: bool = False
    sibling: View | None = None
    stranger: View | None = None
    own: tuple[OpenAttempt, ...] = ()
    forged: tuple[OpenAttempt, ...] = ()
