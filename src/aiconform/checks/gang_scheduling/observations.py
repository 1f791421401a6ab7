"""What the probes of gang_scheduling observe."""

from __future__ import annotations

from aiconform.check import Observation
from aiconform.checks.gang_scheduling.outcome import Gang
from aiconform.platform.accelerators.offered import AllocationWay


class Setting(Observation):
    """The solution that is used (`chosen` says why), and the accelerators that gangs are confined to.

    down: controllers of the solution that are not available. free: accelerators of the nodes that were free at first.
    """

    solution: str
    version: str
    api: str
    chosen: str
    down: tuple[str, ...]
    way: AllocationWay
    resource: str
    simulated: bool
    nodes: tuple[str, ...]
    free: int


class Room(Setting):
    """A gang that fits, with `patience` seconds to start. problem: why it could not be submitted.

    said: what the solution reported if the gang did not start.
    """

    patience: float
    problem: str = ""
    gang: Gang | None = None
    said: str = ""


class Scarcity(Setting):
    """A gang that does not fit: `left` accelerators are free when it is submitted. It is watched for `window` seconds.

    said: what the solution reports about it then. released: when room was made (seconds after it was submitted); None
    if a Pod of it was scheduled before.
    """

    patience: float
    left: int
    window: float
    gang: Gang
    said: str
    released: float | None


class Contention(Setting):
    """Two gangs that are submitted at the same time, with room for one of them.

    Each has `patience` seconds to start, and its work takes `work` seconds. Unless both finish, watching ends when one
    has held a part for too long, or when that time is over.
    """

    patience: float
    work: float
    room: int
    gangs: tuple[Gang, Gang]
