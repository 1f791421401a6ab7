"""What dra_support observes: the API, what drivers publish, and what claims were allocated."""

from __future__ import annotations

from aiconform.check import Observation
from aiconform.platform.accelerators.devices import Attribute

PLACED = "Scheduled"
"""What the scheduler said of a Pod that it placed."""


class ServedApi(Observation):
    """What the API server serves of resource.k8s.io: version -> kind -> verbs."""

    kubernetes: str
    versions: dict[str, dict[str, list[str]]]


class Published(Observation):
    """How many accelerators each driver publishes, pools that are not complete, and the names of DeviceClasses.

    others: drivers whose devices are not known to be accelerators; in runs made before it was recorded, `devices` has
    them, too.
    """

    devices: dict[str, int]
    incomplete: list[str]
    classes: list[str]
    others: tuple[str, ...] = ()


class Allocation(Observation):
    """A claim with a selector, the devices that were allocated to it, and the Pod that holds it.

    asked: how many devices the claim requests: more than one where only all of a host can be had. wanted: the attribute
    values that the selector requires. given: the values that the allocated device publishes once the Pod runs; None if
    the device is no longer published. Of several devices, the first value that is not the one that is wanted.
    """

    node: str
    driver: str
    simulated: bool
    selector: str
    wanted: dict[str, Attribute]
    allocated: list[str]
    given: dict[str, Attribute | None]
    started: bool
    problem: str
    asked: int = 1


class Excess(Observation):
    """A claim for one device more than the node has, watched for `window` seconds after the first decision.

    not_possible: why there can be no such claim; then none was made.
    """

    node: str
    driver: str
    published: int
    asked: int
    window: float
    scheduler: str
    allocated: list[str]
    not_possible: str = ""
