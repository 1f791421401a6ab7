"""What virtualized_accelerator records: Pods with virtual devices and what is compared with these."""

from __future__ import annotations

from aiconform.check import Observation
from aiconform.kit.container_view import OpenAttempt, View
from aiconform.kit.inside import DeviceHolder
from aiconform.platform.accelerators.offered import AllocationWay


class Opened(DeviceHolder):
    """A Pod with a device, and its attempts to open its own device nodes.

    virtual: what says in its container that the device is a virtual one; physical: what says that it is not. machine:
    whether it is in a virtual machine. functions: virtual functions of accelerators that the node has.
    """

    own: tuple[OpenAttempt, ...] = ()
    virtual: tuple[str, ...] = ()
    physical: tuple[str, ...] = ()
    machine: bool = False
    functions: tuple[str, ...] = ()


class Interface(Observation):
    """How a device is asked for, and what is published of it.

    what: `virtual device`, `fraction` or `complete device`. classes: the DeviceClasses that select it; unclear: those
    of which that is not known. facts: kind and name of what is published of it (`attribute NAME`, `capacity NAME`,
    `label NAME`) -> its value.
    """

    what: str
    node: str
    way: AllocationWay
    name: str
    asked: str
    classes: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    facts: dict[str, str]


class Second(Observation):
    """A second Pod for the first one's device, watched for `window` seconds after the scheduler's first decision.

    not_tried: why there was none. waits: what the scheduler said; empty if it placed the Pod, and then `became` says
    what became of it, and `allocated` what its claim was given. others_before, others_after: how many of such devices
    others held before and after.
    """

    not_tried: str = ""
    asked: str = ""
    window: float = 0.0
    waits: str = ""
    became: str = ""
    allocated: tuple[str, ...] = ()
    others_before: int = 0
    others_after: int = 0


class Release(Observation):
    """What became of the device and of the second Pod, after the first Pod was deleted.

    not_tried: why it was not. seconds: how long it was waited for the second Pod to be placed. placed: whether it was.
    held: who has the device instead, or that the first claim still has it. running: whether the second Pod runs;
    problem: how its device kept it from starting.
    """

    not_tried: str = ""
    seconds: float = 0.0
    placed: bool = False
    held: str = ""
    taken: bool = False
    running: bool = False
    problem: str = ""


class Virtual(Observation):
    """Virtual devices of one kind on one node.

    said: what says that they are virtual. total: how many there are; parent: what tells the one physical device that
    they are of, empty if nothing published does. elsewhere: what claims for these were allocated of others. shared:
    what says that Pods share one on purpose. whole: the memory of the physical device in bytes, 0 if not known. other:
    what is compared with them, None if the platform has nothing physical of this family. common_class: the DeviceClass
    that selects both; empty if none does.

    first, second: Pods with a virtual device each; second: None if there was no second one. beside: the Pod with what
    is compared; None if there was none (not_beside). control: a container without a device. release, boot: of the
    node's kernel. unprivileged: why the containers do not run as root.
    """

    node: str
    way: AllocationWay
    name: str
    product: str
    simulated: bool
    said: str
    total: int
    parent: str = ""
    elsewhere: tuple[str, ...] = ()
    shared: str = ""
    whole: float = 0.0
    interface: Interface
    other: Interface | None = None
    common_class: str = ""
    first: Opened
    second: Opened | None = None
    beside: Opened | None = None
    not_beside: str = ""
    control: View | None = None
    release: str = ""
    boot: str = ""
    unprivileged: str = ""
    excess: Second
    released: Release
