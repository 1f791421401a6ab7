"""How a workload is declared to a platform's monitoring: which methods there are, and which one to use.

A method is data: a kind of object with a label selector and a port, or annotations of the Pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from aiconform.cluster import Cluster, NotFound, Object
from aiconform.platform.selectors import selects

ANNOTATIONS = "annotations"


@dataclass(frozen=True)
class ScrapeKind:
    """A kind of object that makes the monitoring scrape Pods; `endpoints` is the field with their ports."""

    name: str
    api_version: str
    kind: str
    plural: str
    endpoints: str
    interval: str = ""
    """The scrape interval, if the kind requires one."""

    @property
    def group(self) -> str:
        return self.api_version.partition("/")[0]


KINDS = (
    ScrapeKind("podmonitor", "monitoring.coreos.com/v1", "PodMonitor", "podmonitors", "podMetricsEndpoints"),
    ScrapeKind("podmonitoring", "monitoring.googleapis.com/v1", "PodMonitoring", "podmonitorings", "endpoints", "5s"),
    ScrapeKind("azure-podmonitor", "azmonitoring.coreos.com/v1", "PodMonitor", "podmonitors", "podMetricsEndpoints"),
    ScrapeKind(
        "vmpodscrape", "operator.victoriametrics.com/v1beta1", "VMPodScrape", "vmpodscrapes", "podMetricsEndpoints"
    ),
)
NAMES = (*(kind.name for kind in KINDS), ANNOTATIONS)
LABELS_HELP = (
    "Labels of the object that declares it, KEY=VALUE,..., for a monitoring system that selects by labels of which no "
    "Prometheus object tells (agents, OpenTelemetry's target allocator)."
)
LABELS_PATTERN = r"([^=,\s]+=[^=,\s]*(,[^=,\s]+=[^=,\s]*)*)?"


@dataclass(frozen=True)
class CollectionMethod:
    """A way to declare a workload: by an object of `kind` with `labels`, or by annotations if `kind` is None.

    `namespace` is that of the Prometheus that selects the object; empty if unknown. `why` says why it was chosen.
    """

    why: str
    kind: ScrapeKind | None = None
    labels: dict[str, str] = field(default_factory=dict)
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.kind.kind} ({self.kind.api_version})" if self.kind else "annotations prometheus.io/*"

    def labelled(self, labels: Mapping[str, str]) -> CollectionMethod:
        """With these labels as well, by which the monitoring selects objects."""
        return replace(self, labels={**self.labels, **labels})

    def annotations(self, port: int, path: str) -> dict[str, str]:
        """The annotations of the Pod."""
        if self.kind:
            return {}
        return {"prometheus.io/scrape": "true", "prometheus.io/port": str(port), "prometheus.io/path": path}

    def declaration(self, name: str, selector: dict[str, str], port: str, path: str) -> Object | None:
        """The object that makes the monitoring scrape Pods with these labels; None if annotations do."""
        if self.kind is None:
            return None
        endpoint = {"port": port, "path": path, **({"interval": self.kind.interval} if self.kind.interval else {})}
        return {
            "apiVersion": self.kind.api_version,
            "kind": self.kind.kind,
            "metadata": {"name": name, "labels": self.labels},
            "spec": {"selector": {"matchLabels": selector}, self.kind.endpoints: [endpoint]},
        }


async def choose(cluster: Cluster, wanted: str = "", namespace: str = "") -> CollectionMethod:
    """The method with the name `wanted`, or the first one that the platform supports.

    namespace: that of the workload; empty for a new one without labels. Raises NotFound if the platform does not serve
    the wanted kind.
    """
    others: list[str] = []
    if wanted == ANNOTATIONS:
        return CollectionMethod("as set")
    for kind in KINDS:
        if wanted and kind.name != wanted:
            continue
        served = kind.kind in await cluster.resources(kind.api_version)
        if wanted and not served:
            raise NotFound(f"{kind.kind} of {kind.api_version} is not served here", status=404)
        if not served:
            continue
        if kind.name != "podmonitor":
            return CollectionMethod("as set" if wanted else "served", kind)
        # Other monitoring systems also read PodMonitors, without the Prometheus Operator's kind Prometheus.
        known = "Prometheus" in await cluster.resources(kind.api_version)
        selecting = [item async for item in cluster.list(kind.api_version, "Prometheus")] if known else []
        for prometheus in selecting:
            spec, about = prometheus["spec"], prometheus["metadata"]
            labels = labels_for(spec.get("podMonitorSelector"))
            # No selector of Namespaces selects only its own.
            namespaces = spec.get("podMonitorNamespaceSelector")
            if labels is None or namespaces is None:
                continue
            name = f"Prometheus {about['namespace']}/{about['name']}"
            if selects(namespaces, await _labels(cluster, namespace)):
                return CollectionMethod(f"{name} selects it", kind, labels, about["namespace"])
            needed = ", ".join(f"{key}={value}" for key, value in (labels_for(namespaces) or {}).items())
            others.append(f"{name} selects only Namespaces with other labels ({needed or namespaces})")
        if wanted:
            return CollectionMethod("; ".join(("as set", *others)), kind)
    return CollectionMethod("; ".join(("no kind of object for it is served and selected", *others)))


async def _labels(cluster: Cluster, namespace: str) -> dict[str, str]:
    if not namespace:
        return {}
    labels: dict[str, str] = (await cluster.get("v1", "Namespace", namespace))["metadata"].get("labels") or {}
    return labels


def labels_for(selector: Object | None) -> dict[str, str] | None:
    """Labels that a selector matches; None without a selector, which matches nothing."""
    if selector is None:
        return None
    labels = dict(selector.get("matchLabels") or {})
    for term in selector.get("matchExpressions") or []:
        if term["operator"] == "In":
            labels.setdefault(term["key"], term["values"][0])
        elif term["operator"] == "Exists":
            labels.setdefault(term["key"], "true")
    return labels
