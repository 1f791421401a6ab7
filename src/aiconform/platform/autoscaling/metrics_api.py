"""The metrics APIs that autoscalers read: what serves them, and whether they are available."""

from __future__ import annotations

from dataclasses import dataclass

from aiconform.cluster import Cluster, conditions

CUSTOM = "custom.metrics.k8s.io"
EXTERNAL = "external.metrics.k8s.io"
GROUPS = {"custom": CUSTOM, "external": EXTERNAL}


@dataclass(frozen=True)
class MetricsApi:
    """A served metrics API. `by`: the Service behind it; `problem`: why it does not answer, empty if it does."""

    name: str
    by: str
    problem: str = ""

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
