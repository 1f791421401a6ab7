"""What driver_runtime_management records: what is advertised of each node, and what containers with a device find."""

from __future__ import annotations

from typing import Literal

from aiconform.check import Observation
from aiconform.kit.container_view import View
from aiconform.platform.accelerators.drivers import Place
from aiconform.platform.accelerators.offered import AllocationWay, Kind

LONGEST = 200
"""How many characters of what should be a version are recorded: an annotation or a file can have any length, and a
version is shorter (`versions.py`)."""


class Advertised(Observation):
    """What the platform advertises. place: of `name`; `option` for what the user says."""

    place: Place | Literal["option"]
    name: str
    says: str

    def __str__(self) -> str:
        return f"{self.place} {self.name}={self.says}"


class NodeAdvertisement(Observation):
    """What is advertised for the accelerators of one kind on a node: versions of the driver and of the runtime, and
    declared runtime integrations.

    profile: the family of accelerators. published: whether its DRA driver is known to publish the version.
    """

    node: str
    way: AllocationWay
    name: str
    product: str
    simulated: bool
    profile: str
    published: bool
    driver: tuple[Advertised, ...] = ()
    runtime: tuple[Advertised, ...] = ()
    integration: tuple[Advertised, ...] = ()

    @property
    def kind(self) -> Kind:
        return self.way, self.name, self.product


class Advertisements(Observation):
    """What is advertised for every accelerator node."""

    nodes: list[NodeAdvertisement]


class Found(Observation):
    """A version of the driver that a container with a device finds.

    kind: a file of the kernel module; the kernel's own version, of a driver without one of its own that is part of it;
    or a library or file that was injected together with the device.
    """

    kind: Literal["module", "kernel", "injected"]
    path: str
    version: str


class Installed(Observation):
    """What a container with devices finds on a node, beside what is advertised for it.

    holder: the container with the devices, None if no Pod started with them (problem); control: another one of the same
    Pod, without devices. served_by: which way really provided the devices. asked: how many were requested. total: how
    many the node has, 0 where that was not recorded. runtime_class: of the Pod, which the platform may have set.
    release and boot: of the node's kernel.
    """

    advertised: NodeAdvertisement
    served_by: AllocationWay
    asked: int = 1
    total: int = 0
    problem: str = ""
    holder: View | None = None
    control: View | None = None
    found: tuple[Found, ...] = ()
    runtime_class: str = ""
    release: str = ""
    boot: str = ""
