"""The deliberate defects, and which of them are on.

Each breaks one thing that a check of the suite must notice. Which are on is kept in the lab's state folder, so that it
outlives commands and crashes; it ends with `lab down`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from aiconform.lab.accelerators.config import DriverFault
from aiconform.lab.machines.files import write_json


class Where(StrEnum):
    """The part of the lab that acts a fault out."""

    RUNTIME = "runtime"
    DRIVER = "driver"
    API_SERVER = "api-server"
    CLUSTER = "cluster"


@dataclass(frozen=True)
class Fault:
    """A deliberate defect of the lab."""

    name: str
    where: Where
    description: str
    """What is wrong while it is on, in one line."""
    needs: tuple[str, ...] = ()
    """The add-ons that it spoils: the lab has to have them."""


RUNTIME_LEAKS = "runtime-leaks-devices"
RUNTIME_OPENS = "runtime-opens-devices"
NO_DRA_API = "no-dra-api"
NEVER_READY = "autoscaled-never-ready"
ANOTHER_KIND = "autoscaled-another-kind"
RECLAIMS = "autoscaler-removes-used-nodes"
_GATEWAY = ("envoy-gateway",)
MONITORING_DROPS = "monitoring-drops-targets"
MONITORING_STALE = "monitoring-answers-stale"
MONITORING_TENFOLD = "monitoring-answers-tenfold"

FAULTS = {
    fault.name: fault
    for fault in (
        Fault(RUNTIME_LEAKS, Where.RUNTIME, "Every container sees and may open every accelerator of its node."),
        Fault(
            RUNTIME_OPENS,
            Where.RUNTIME,
            "Every container may open every character device whose node it makes itself.",
        ),
        Fault(DriverFault.PREPARES_ALL, Where.DRIVER, "Any claim or request gets all accelerators of the node."),
        Fault(DriverFault.PREPARES_NOTHING, Where.DRIVER, "Containers start, but without the accelerator they got."),
        Fault(
            DriverFault.WITHHOLDS_ACCESS,
            Where.DRIVER,
            "Containers see the accelerator they got, but the kernel does not let them open it.",
        ),
        Fault(
            DriverFault.NEVER_PREPARES, Where.DRIVER, "No claim or request is ever prepared: its Pod does not start."
        ),
        Fault(
            DriverFault.NO_DRIVER, Where.DRIVER, "Driver and device plugin are gone, and no accelerator is published."
        ),
        Fault(
            DriverFault.RENUMBERS,
            Where.DRIVER,
            "Preparing an accelerator changes the attributes of all: it no longer is what was asked for.",
        ),
        Fault(DriverFault.OVERCOMMITS, Where.DRIVER, "Claims for more accelerators than a node has are allocated."),
        *(
            Fault(name, Where.DRIVER, description, needs=("accelerator-exporter",))
            for name, description in (
                (DriverFault.METRICS_OMIT_DEVICE, "The last accelerator of each node is not in the metrics."),
                (DriverFault.METRICS_OMIT_UTILIZATION, "The last accelerator's utilization is not in the metrics."),
                (DriverFault.METRICS_WITHOUT_MEMORY, "No metric tells of memory."),
                (DriverFault.METRICS_UNLABELLED, "Metrics are means of a node's accelerators, without their names."),
                (DriverFault.METRICS_FROZEN, "Utilization has the same value at all times."),
                (DriverFault.METRICS_OF_ANOTHER, "Each accelerator's utilization is reported as that of the next one."),
                (DriverFault.METRICS_OF_NODE, "Each accelerator reports the highest utilization on its node."),
                (DriverFault.METRICS_KEEP_PEAKS, "Utilization rises, but does not fall again."),
                (DriverFault.METRICS_GARBAGE, "The exporter answers with a page that is no metrics."),
            )
        ),
        Fault(
            MONITORING_DROPS,
            Where.CLUSTER,
            "Prometheus drops the targets that checks make: nothing of them is scraped.",
            needs=("prometheus",),
        ),
        Fault(
            MONITORING_STALE,
            Where.CLUSTER,
            "Prometheus answers each query with the first value that it had for it.",
            needs=("prometheus",),
        ),
        Fault(
            MONITORING_TENFOLD,
            Where.CLUSTER,
            "Prometheus answers queries with ten times the value it collected.",
            needs=("prometheus",),
        ),
        Fault(NO_DRA_API, Where.API_SERVER, "The API server does not serve resource.k8s.io."),
        Fault("kueue-webhooks-down", Where.CLUSTER, "Kueue's webhooks do not answer.", ("kueue",)),
        Fault("kueue-ignores-jobs", Where.CLUSTER, "Kueue lets Jobs be scheduled Pod by Pod.", ("kueue",)),
        Fault(
            "kueue-counts-quota-only",
            Where.CLUSTER,
            "Kueue admits by quota and does not look at what the nodes have.",
            ("kueue",),
        ),
        Fault("kueue-says-nothing", Where.CLUSTER, "Kueue cannot write that a Workload waits.", ("kueue",)),
        Fault("kueue-never-releases", Where.CLUSTER, "Kueue never admits a Workload that had to wait.", ("kueue",)),
        Fault("kueue-never-finishes", Where.CLUSTER, "Kueue keeps the place of Workloads that have ended.", ("kueue",)),
        Fault(
            "coscheduling-off",
            Where.CLUSTER,
            "The second scheduler runs without its plugin, and places Pods one by one.",
            ("coscheduling",),
        ),
        Fault(
            "pod-groups-ignored",
            Where.CLUSTER,
            "Pods lose their PodGroup, and are scheduled one by one.",
            ("workload-api",),
        ),
        Fault(
            "autoscaler-at-limit",
            Where.CLUSTER,
            "The autoscaler's pool may not grow: its limit is its size.",
            needs=("karpenter",),
        ),
        Fault(
            "autoscaler-never-removes",
            Where.CLUSTER,
            "The autoscaler adds nodes and never removes one.",
            needs=("karpenter",),
        ),
        Fault(
            NEVER_READY,
            Where.CLUSTER,
            "Nodes that the autoscaler orders come as objects only: no kubelet ever speaks for them.",
            needs=("karpenter",),
        ),
        Fault(
            ANOTHER_KIND,
            Where.CLUSTER,
            "Nodes that the autoscaler orders come with another kind of accelerator.",
            needs=("karpenter",),
        ),
        Fault(
            RECLAIMS,
            Where.CLUSTER,
            "When a node comes, the other nodes of the autoscaler's pool are removed, though Pods run on them.",
            needs=("karpenter",),
        ),
        Fault(
            "gateway-class-refused", Where.CLUSTER, "The GatewayClass refers to settings that are not there.", _GATEWAY
        ),
        Fault(
            "gateway-without-data-plane", Where.CLUSTER, "No node may run the data planes of new Gateways.", _GATEWAY
        ),
        Fault("routes-not-attached", Where.CLUSTER, "HTTPRoutes are attached to no listener.", _GATEWAY),
        Fault("weights-ignored", Where.CLUSTER, "Backends of an HTTPRoute get equal shares.", _GATEWAY),
        Fault("weights-never-change", Where.CLUSTER, "Backends of an HTTPRoute keep their first weights.", _GATEWAY),
        Fault("header-rules-ignored", Where.CLUSTER, "Rules with a header never match.", _GATEWAY),
        Fault("path-rules-ignored", Where.CLUSTER, "Rules with a model's path never match.", _GATEWAY),
        Fault("routes-match-all", Where.CLUSTER, "An HTTPRoute takes requests that no rule of it matches.", _GATEWAY),
        Fault(
            "changes-lose-requests", Where.CLUSTER, "Changing an HTTPRoute makes some of its requests fail.", _GATEWAY
        ),
        *(
            Fault(name, Where.CLUSTER, description, needs=("prometheus-adapter",))
            for name, description in (
                ("metrics-constant", "The metrics APIs say the same value of every metric."),
                ("metrics-of-another", "The metrics APIs say another metric's value of each workload's metric."),
                ("metrics-down", "What serves the metrics APIs is gone."),
                ("metrics-creep", "The metrics APIs say much more as soon as several Pods have a metric."),
                ("autoscaler-of-pods-capped", "No Deployment is scaled above one Pod."),
                ("autoscaler-of-pods-never-shrinks", "No Deployment is scaled down."),
                ("autoscaler-of-pods-ignores-window", "Autoscalers take Pods away without the window they are given."),
                ("scaled-without-accelerators", "The Pods of scaled workloads lose what they ask of accelerators."),
            )
        ),
        Fault("operator-stopped", Where.CLUSTER, "The controller of JobSet is scaled to nothing.", ("jobset",)),
        Fault(
            "operator-update-stuck",
            Where.CLUSTER,
            "An update of JobSet's controller does not go on: no node takes the new Pod.",
            ("jobset",),
        ),
        Fault(
            "operator-webhook-ignored",
            Where.CLUSTER,
            "The API server does not reach JobSet's webhook, and lets every JobSet in (failurePolicy Ignore).",
            ("jobset",),
        ),
        Fault(
            "operator-makes-nothing",
            Where.CLUSTER,
            "The API server refuses the Jobs that JobSet's controller makes.",
            ("jobset",),
        ),
        Fault(
            "operator-replaces-nothing",
            Where.CLUSTER,
            "The API server refuses the Jobs that JobSet's controller makes in place of lost ones.",
            ("jobset",),
        ),
        Fault(
            "operator-does-not-come-back",
            Where.CLUSTER,
            "No new Pod can be made for JobSet's controller: a lost one stays lost.",
            ("jobset",),
        ),
        Fault(
            "operator-lease-stuck",
            Where.CLUSTER,
            "The lease of JobSet's controller cannot change hands: a new Pod answers, but never leads.",
            ("jobset",),
        ),
        Fault(
            "children-stay",
            Where.CLUSTER,
            "The garbage collector may not delete Jobs: they stay when their owner goes.",
            ("jobset",),
        ),
    )
}
"""Every fault, by name."""


class UnknownFault(LookupError):
    """No fault has this name; `nearest` is what may have been meant, or None."""

    def __init__(self, name: str) -> None:
        close = difflib.get_close_matches(name, FAULTS, n=1, cutoff=0.4)
        self.nearest = close[0] if close else None
        hint = f"did you mean {self.nearest}?" if self.nearest else "see `aiconform lab fault --list`"
        super().__init__(f"there is no fault {name!r}; {hint}")

    def __str__(self) -> str:
        return str(self.args[0])


def find(name: str) -> Fault:
    """Raises UnknownFault."""
    try:
        return FAULTS[name]
    except KeyError:
        raise UnknownFault(name) from None


def active(state: Path) -> tuple[str, ...]:
    """Names of the faults that are on in the lab with this state folder; names of other releases are passed over."""
    try:
        names = json.loads((state / "faults.json").read_bytes())
    except (OSError, ValueError):
        return ()
    return tuple(name for name in FAULTS if name in names)


def driver_faults(state: Path) -> tuple[DriverFault, ...]:
    """The faults that belong in each node's AcceleratorConfig."""
    return tuple(DriverFault(name) for name in active(state) if FAULTS[name].where is Where.DRIVER)


@contextmanager
def changing(state: Path) -> Iterator[None]:
    """One change at a time, also between processes."""
    # Not at the top: faults are listed on systems without it, too.
    import fcntl

    state.mkdir(parents=True, exist_ok=True)
    with (state / "faults.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def record(state: Path, name: str, on: bool) -> None:
    """Note that a fault is to be on or off. Call it inside of `changing`."""
    names = [other for other in active(state) if other != name]
    write_json(state / "faults.json", [*names, name] if on else names)
