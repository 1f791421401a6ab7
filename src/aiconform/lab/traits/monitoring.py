"""Traits of monitoring: whose workloads are collected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiconform.lab.addons.prometheus import NAMESPACE
from aiconform.lab.faults.fault import InCluster
from aiconform.lab.traits.trait import Trait

if TYPE_CHECKING:
    from aiconform.cluster import Cluster

LABEL = {"monitoring": "enabled"}
"""Of the Namespaces that Prometheus selects while `monitored-namespaces` is on."""
_SELECTORS = ("podMonitorNamespaceSelector", "serviceMonitorNamespaceSelector")


async def _select(cluster: Cluster, labels: dict[str, str] | None) -> None:
    selector = {"matchLabels": labels}
    async for prometheus in cluster.list("monitoring.coreos.com/v1", "Prometheus", NAMESPACE):
        # A merge patch removes a field by null; the empty selector selects every Namespace.
        await cluster.patch(prometheus, {"spec": dict.fromkeys(_SELECTORS, selector)})


async def _by_label(cluster: Cluster) -> None:
    await _select(cluster, LABEL)


async def _every(cluster: Cluster) -> None:
    await _select(cluster, None)


TRAITS = (
    Trait(
        "monitored-namespaces",
        f"Prometheus collects only in Namespaces with the label {'='.join(*LABEL.items())}.",
        "error with the label; pass with --namespace-labels",
        InCluster(_by_label, _every),
        needs=("prometheus",),
    ),
)
