"""How a workload asks a platform's monitoring to collect its metrics: what is served, and what it takes.

Adapters are data: a kind of the API that takes a label selector and a port, or annotations of the Pod.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from aiconform.cluster import Cluster, NotFound, Object

ANNOTATIONS = "annotations"


@dataclass(frozen=True)
class Kind:
    """A kind of object that has Pods scraped; `endpoints` is the field with their ports."""

    name: str
    api_version: str
    kind: str
    plural: str
    endpoints: str
    interval: str = ""
    """Asked for where the kind must say one."""

    @property
    def group(self) -> str:
        return self.api_version.partition("/")[0]


KINDS = (
    Kind("podmonitor", "monitoring.coreos.com/v1", "PodMonitor", "podmonitors", "podMetricsEndpoints"),
    Kind("podmonitoring", "monitoring.googleapis.com/v1", "PodMonitoring", "podmonitorings", "endpoints", "5s"),
    Kind("azure-podmonitor", "azmonitoring.coreos.com/v1", "PodMonitor", "podmonitors", "podMetricsEndpoints"),
    Kind("vmpodscrape", "operator.victoriametrics.com/v1beta1", "VMPodScrape", "vmpodscrapes", "podMetricsEndpoints"),
)
NAMES = (*(kind.name for kind in KINDS), ANNOTATIONS)


@dataclass(frozen=True)
class Way:
    """The way that was chosen: `kind`, or None for annotations. `labels` are those that the monitoring selects by.

    `namespace` is that of the Prometheus which selects it, empty where nothing says who does.
    """

    why: str
    kind: Kind | None = None
    labels: dict[str, str] = field(default_factory=dict)
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.kind.kind} ({self.kind.api_version})" if self.kind else "annotations prometheus.io/*"

    def annotations(self, port: int, path: str) -> dict[str, str]:
        """What the Pod carries."""
        if self.kind:
            return {}
        return {"prometheus.io/scrape": "true", "prometheus.io/port": str(port), "prometheus.io/path": path}

    def declaration(self, name: str, selector: dict[str, str], port: str, path: str) -> Object | None:
        """The object that has the Pods with these labels scraped; None where annotations do."""
        if self.kind is None:
            return None
        endpoint = {"port": port, "path": path, **({"interval": self.kind.interval} if self.kind.interval else {})}
        return {
            "apiVersion": self.kind.api_version,
            "kind": self.kind.kind,
            "metadata": {"name": name, "labels": self.labels},
            "spec": {"selector": {"matchLabels": selector}, self.kind.endpoints: [endpoint]},
        }


async def choose(cluster: Cluster, wanted: str = "") -> Way:
    """The way to declare a workload: the one that was asked for by name, or the first that the platform serves.

    Raises NotFound where the asked one is not served.
    """
    if wanted == ANNOTATIONS:
        return Way("as set")
    for kind in KINDS:
        if wanted and kind.name != wanted:
            continue
        served = kind.kind in await cluster.resources(kind.api_version)
        if wanted and not served:
            raise NotFound(f"{kind.kind} of {kind.api_version} is not served here", status=404)
        if not served:
            continue
        if kind.name != "podmonitor":
            return Way("as set" if wanted else "served", kind)
        # Others than the operator take its PodMonitors, too, and do not bring its Prometheus.
        known = "Prometheus" in await cluster.resources(kind.api_version)
        selecting = [item async for item in cluster.list(kind.api_version, "Prometheus")] if known else []
        for prometheus in selecting:
            spec, about = prometheus["spec"], prometheus["metadata"]
            labels = labels_for(spec.get("podMonitorSelector"))
            if labels is not None and selects_new(spec.get("podMonitorNamespaceSelector")):
                why = f"Prometheus {about['namespace']}/{about['name']} selects it"
                return Way(why, kind, labels, about["namespace"])
        if wanted:
            return Way("as set", kind)
    return Way("no kind of object for it is served and selected")


def selects_new(selector: Object | None) -> bool:
    """Whether a selector of Namespaces takes one that has no labels of the platform: no selector is its own alone."""
    if selector is None or selector.get("matchLabels"):
        return False
    return all(term["operator"] in ("NotIn", "DoesNotExist") for term in selector.get("matchExpressions") or [])


def labels_for(selector: Object | None) -> dict[str, str] | None:
    """Labels that a selector selects; None if there are none, as a selector that is not there selects nothing."""
    if selector is None:
        return None
    labels = dict(selector.get("matchLabels") or {})
    for term in selector.get("matchExpressions") or []:
        if term["operator"] == "In":
            labels.setdefault(term["key"], term["values"][0])
        elif term["operator"] == "Exists":
            labels.setdefault(term["key"], "true")
    return labels
