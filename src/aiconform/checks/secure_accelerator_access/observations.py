"""What secure_accelerator_access records: the views of containers on one node, and their attempts to open devices."""

from __future__ import annotations

from aiconform.check import Observation
from aiconform.kit.container_view import OpenAttempt, View
from aiconform.platform.accelerators.offered import AllocationWay


class Isolation(Observation):
    """What containers on one node see. Two of them, the holders, hold devices.

    holder: None if no Pod started with a device; `problem` says why. served_by: which way really provided the devices.
    second: None if the node had devices for one holder only; then `second_waited` tells whether the second Pod stayed
    pending. own: the first holder's attempts to open its own device nodes. forged: the stranger's attempts to open
    device nodes that it made itself; control: its attempt with the number of /dev/null.

    asked: how many devices each holder requested; total: how many the node has, 0 in runs made before it was recorded.
    shared: what says that Pods share devices on purpose; perhaps_shared: the device plugin can do so without a word in
    the API. baseline: of a container on a node without accelerators; None if there is no such node. asker: of a
    container without a device whose environment asks for all; None if it was not tried, or did not start because of
    that (asker_refused). release and boot: of the node's kernel. unprivileged: why the containers do not run as root
    and cannot make device nodes.
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
    control: OpenAttempt | None = None
    asked: int = 1
    total: int = 0
    shared: str = ""
    perhaps_shared: bool = False
    baseline: View | None = None
    asker: View | None = None
    asker_refused: str = ""
    release: str = ""
    boot: str = ""
    unprivileged: str = ""
