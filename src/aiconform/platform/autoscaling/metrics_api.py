"""The metrics APIs that autoscalers read: what serves them, and whether they are available."""

from __future__ import annotations

from dataclasses import dataclass

from aiconform.cluster import Cluster, conditions

CUSTOM = "custom.metrics.k8s.io"
EXTERNAL = "external.metrics.k8s.io"
GROUPS = {"custom": CUSTOM, "external": EXTERNAL}


# What serves metrics by declarations of its own alone, not what is scraped of Pods: part of the Service's name -> what.
# https://keda.sh/docs/latest/concepts/, https://docs.datadoghq.com/containers/guide/cluster_agent_autoscaling_metrics/,
# https://github.com/awslabs/k8s-cloudwatch-adapter
_DECLARED = {
    "keda": "metrics of ScaledObjects",
    "datadog-cluster-agent": "results of queries to Datadog",
    "cloudwatch-adapter": "metrics of Amazon CloudWatch",
}
# The names that adapters give to a gauge of Pods, where they do not keep its own.
# https://cloud.google.com/stackdriver/docs/managed-prometheus/hpa
_NAMED = {"stackdriver": "prometheus.googleapis.com|{}|gauge"}


@dataclass(frozen=True)
class MetricsApi:
    """A served metrics API. `by`: the Service behind it; `problem`: why it does not answer, empty if it does."""

    name: str
    by: str
    problem: str = ""

    @property
    def _service(self) -> str:
        """The Service's name alone: other adapters run in Namespaces of these names, too."""
        return self.by.rpartition("/")[2]

    @property
    def only(self) -> str:
        """What it serves, if that is nothing that Pods report; else empty."""
        return next((what for part, what in _DECLARED.items() if part in self._service), "")

    def metric(self, series: str) -> str:
        """The name of the metric that it makes of a gauge."""
        return next((form.format(series) for part, form in _NAMED.items() if part in self._service), series)

    def __str__(self) -> str:
        return f"{GROUPS[self.name]} by {self.by}"


async def metrics_apis(cluster: Cluster) -> list[MetricsApi]:
    """The registered metrics APIs, custom metrics first. Each call reads them again."""
    found: dict[str, MetricsApi] = {}
    async for entry in cluster.list("apiregistration.k8s.io/v1", "APIService"):
        for name, group in GROUPS.items():
            if entry["spec"].get("group") != group:
                continue
            service = entry["spec"].get("service") or {}
            available = conditions.find(entry, "Available")
            problem = ""
            if available is None or not available.is_true:
                problem = (available.message if available else "") or "its APIService does not report it as available"
            by = f"{service.get('namespace')}/{service.get('name')}"
            # One available version is enough.
            if name not in found or found[name].problem:
                found[name] = MetricsApi(name, by, problem)
    return [found[name] for name in GROUPS if name in found]
