"""What accelerator_metrics records: what metrics say of each device, and of the devices of one node under load."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aiconform.check import Observation
from aiconform.platform.accelerators.offered import AllocationWay
from aiconform.platform.monitoring.scrape import Problem

MARGIN = 10.0
"""A difference in utilization (percentage points) that is no noise."""
IN_USE = "run the check while workloads use all devices of the node"


class DeviceMetrics(Observation):
    """The samples of one device.

    device: its name in ResourceSlices; empty where only the number of devices is known. label: the labels that identify
    it. Utilization is in percent, memory in bytes, or in percent (`memory_unit`) where the exporter reports only that.
    values: all samples by metric. samples: those from which utilization and memory are computed, as the exporter wrote
    them.
    """

    device: str
    label: str
    utilization: float | None
    memory_used: float | None
    memory_total: float | None
    values: dict[str, list[float]]
    memory_unit: str = "bytes"
    samples: tuple[str, ...] = ()


class NodeMetrics(Observation):
    """The metrics of the accelerators of one kind on one node, and what the platform advertises of them.

    endpoint: empty if no endpoint reports them; then `problem` and `message` say why a known exporter could not be
    read, and way_out what helps. unnamed: how many readings have no label that identifies a device. reported: the
    quantities that the endpoint reports, and only_in_use: those that it reports only of devices in use.

    expected: how many devices have to be in the metrics, where that differs from what is advertised (None if not):
    shares of one device and partitions that can be made are not devices of their own. counted: how devices were counted
    that no label tells. undecided: why it cannot be said whether devices are missing, with the way out.

    by_number: what another exporter reports of as many devices, where no label says which is which: together they have
    what a device here lacks. unsure: a quantity -> why it cannot be said whether it is reported of those that lack it.
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
    way_out: str = ""
    expected: int | None = None
    counted: str = ""
    undecided: str = ""
    only_in_use: tuple[str, ...] = ()
    by_number: tuple[DeviceMetrics, ...] = ()
    unsure: dict[str, str] = Field(default_factory=dict)

    @property
    def devices_expected(self) -> int:
        return self.advertised if self.expected is None else self.expected


class Coverage(Observation):
    """What is reported of each accelerator of the platform."""

    nodes: list[NodeMetrics]


class Load(Observation):
    """Utilization (in percent, by device label) of one node's devices before, during and after a load.

    device, label: the device that the Pod got, and its label; empty where that cannot be known. joined: by what that
    label is known. held: how many devices the Pod got: more than one where only all of a host can be had. of_kind: how
    many devices of this kind the metrics of the node should have; 0 in runs made before it was recorded.
    idle: labels of the other devices that no Pod is known to have held during the load. foreign: how many devices other
    Pods held of which nobody knows the label. sharing: claims or Pods that held, or may have held, the same device.
    followed_by: those that came while the end of the load was awaited. ended: how the Pod ended by itself before its
    use showed.

    load: `open` (a Pod held the device open) or `work` (a Pod ran the given image). during: empty if no Pod started
    with a device; `problem` says why. samples: those of utilization as the exporter wrote them, under `before`,
    `during` and `after`. unread: why the endpoint could not be read when what was awaited had not shown yet, under the
    same names.
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
    held: int = 1
    joined: str = ""
    sharing: tuple[str, ...] = ()
    followed_by: tuple[str, ...] = ()
    samples: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    ended: str = ""
    of_kind: int = 0
    unread: dict[str, str] = Field(default_factory=dict)
