"""What accelerator_metrics records: what metrics say of each device, and of the devices of one node under load."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aiconform.check import Observation
from aiconform.platform.accelerators.offered import AllocationWay
from aiconform.platform.monitoring.scrape import Problem

MARGIN = 10.0
"""A difference in utilization (percentage points) that is no noise."""


class DeviceMetrics(Observation):
    """The samples of one device.

    device: its name in ResourceSlices; empty where the platform advertises only a number of devices. label: the label
    that identifies it. Utilization is in percent, memory in bytes (or in percent, where the exporter reports only
    that). values: all samples by metric.
    """

    device: str
    label: str
    utilization: float | None
    memory_used: float | None
    memory_total: float | None
    values: dict[str, list[float]]


class NodeMetrics(Observation):
    """The metrics of the accelerators of one kind on one node, and what the platform advertises of them.

    endpoint: empty if no endpoint reports them; then `problem` says why a known exporter could not be read. unnamed:
    how many readings have no label that identifies a device. reported: the quantities that the endpoint reports.
    """

    node: str
    way: AllocationWay
    name: str
    product: str
    simulated: bool
    advertised: int
    missing: tuple[str, ...] = ()
    devices: tuple[DeviceMetrics, ...] = ()
    unnamed: int = 0
    endpoint: str = ""
    found_by: str = ""
    convention: str = ""
    opentelemetry: bool = False
    reported: tuple[str, ...] = ()
    problem: Problem = ""
    message: str = ""


class Coverage(Observation):
    """What is reported of each accelerator of the platform."""

    nodes: list[NodeMetrics]


class Load(Observation):
    """Utilization (in percent, by device label) of one node's devices before, during and after a load.

    device, label: the device that the Pod got, and its label; empty where that cannot be known. idle: labels of the
    other devices that no Pod held during the load; where the platform advertises only a number of devices, these are
    all others, and `foreign` says how many devices other Pods held. load: `open` (a Pod held the device open) or `work`
    (a Pod ran the given image). during: empty if no Pod started with a device; `problem` says why.
    """

    node: str
    way: AllocationWay
    name: str
    product: str
    simulated: bool
    endpoint: str
    load: Literal["open", "work"]
    device: str = ""
    label: str = ""
    before: dict[str, float] = Field(default_factory=dict)
    during: dict[str, float] = Field(default_factory=dict)
    after: dict[str, float] = Field(default_factory=dict)
    idle: tuple[str, ...] = ()
    foreign: int = 0
    seconds_during: float = 0.0
    seconds_after: float = 0.0
    problem: str = ""
