"""Where a platform's monitoring scrapes: objects of the Prometheus operator, and of others that are built alike."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiconform.cluster import Cluster, Forbidden, Object
from aiconform.platform.inventory import Platform


@dataclass(frozen=True)
class MonitorKind:
    """A kind of object that makes a monitoring system scrape Pods, or Services' Pods.

    endpoints: its field with their ports. namespaced: whether it is in a Namespace; one that is in none selects in all.
    optional: whether a run goes on where it may not list them.
    """

    api_version: str
    kind: str
    plural: str
    endpoints: str
    of_services: bool = False
    namespaced: bool = True
    optional: bool = True

    @property
    def group(self) -> str:
        return self.api_version.partition("/")[0]


OF_PODS, OF_SERVICES = "podMetricsEndpoints", "endpoints"
_PROMETHEUS, _VICTORIA = "monitoring.coreos.com/v1", "operator.victoriametrics.com/v1beta1"
_AZURE, _GOOGLE = "azmonitoring.coreos.com/v1", "monitoring.googleapis.com/v1"
KINDS = (
    # https://prometheus-operator.dev/docs/api-reference/api/
    MonitorKind(_PROMETHEUS, "PodMonitor", "podmonitors", OF_PODS, optional=False),
    MonitorKind(_PROMETHEUS, "ServiceMonitor", "servicemonitors", OF_SERVICES, of_services=True, optional=False),
    # https://learn.microsoft.com/azure/azure-monitor/containers/prometheus-metrics-scrape-crd
    MonitorKind(_AZURE, "PodMonitor", "podmonitors", OF_PODS),
    MonitorKind(_AZURE, "ServiceMonitor", "servicemonitors", OF_SERVICES, of_services=True),
    # https://docs.victoriametrics.com/operator/resources/
    MonitorKind(_VICTORIA, "VMPodScrape", "vmpodscrapes", OF_PODS),
    MonitorKind(_VICTORIA, "VMServiceScrape", "vmservicescrapes", OF_SERVICES, of_services=True),
    # https://github.com/GoogleCloudPlatform/prometheus-engine/blob/main/doc/api.md
    MonitorKind(_GOOGLE, "PodMonitoring", "podmonitorings", "endpoints"),
    MonitorKind(_GOOGLE, "ClusterPodMonitoring", "clusterpodmonitorings", "endpoints", namespaced=False),
)


@dataclass(frozen=True)
class Monitors:
    """Where a platform's monitoring scrapes: PodMonitors, ServiceMonitors, and Services as their targets.

    Objects of other kinds have the form of these, and keep their kind. unlisted: what these credentials may not list.
    """

    pods: tuple[Object, ...] = ()
    services: tuple[Object, ...] = ()
    targets: tuple[Object, ...] = ()
    unlisted: tuple[str, ...] = ()


async def monitors(platform: Platform) -> Monitors:
    """All of them in the cluster; empty if no kind of them is served."""
    cluster = platform.cluster
    # Of an optional API nothing is asked where the cluster has no such group.
    groups = await platform.groups()
    served = [
        kind
        for kind in KINDS
        if (not kind.optional or kind.group in groups) and kind.kind in await cluster.resources(kind.api_version)
    ]
    found = list(zip(served, await asyncio.gather(*(_listed(cluster, kind) for kind in served)), strict=True))
    unlisted = tuple(f"{kind.plural} of {kind.group}" for kind, items in found if items is None)
    of_services = tuple(item for kind, items in found if kind.of_services for item in items or ())
    services = tuple([item async for item in cluster.list("v1", "Service")]) if of_services else ()
    return Monitors(
        tuple(item for kind, items in found if not kind.of_services for item in items or ()),
        of_services,
        services,
        unlisted,
    )


async def _listed(cluster: Cluster, kind: MonitorKind) -> list[Object] | None:
    """None if these credentials may not list an optional kind."""
    try:
        return [_alike(item, kind) async for item in cluster.list(kind.api_version, kind.kind)]
    except Forbidden:
        if kind.optional:
            return None
        raise


def _alike(item: Object, kind: MonitorKind) -> Object:
    """The object in the form of a PodMonitor or ServiceMonitor."""
    spec = dict(item.get("spec") or {})
    spec[OF_SERVICES if kind.of_services else OF_PODS] = spec.get(kind.endpoints) or []
    if not kind.namespaced:
        spec["namespaceSelector"] = {"any": True}
    return {**item, "kind": kind.kind, "metadata": {"namespace": "", **item["metadata"]}, "spec": spec}
