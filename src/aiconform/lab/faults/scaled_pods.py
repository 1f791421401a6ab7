"""Faults of the scaling of Pods: of the metrics that the autoscaler reads, of what it does, and of what it scales."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiconform.lab.addons import prometheus
from aiconform.lab.addons.prometheus_adapter import NAME, RULES, config_map
from aiconform.lab.faults.action import Action, Change
from aiconform.lab.faults.policies import changing, refusing
from aiconform.lab.faults.workloads import SECONDS, scale

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

_LOAD = "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"
# Others may go on scaling.
_SCALE = "request.userInfo.username == 'system:serviceaccount:kube-system:horizontal-pod-autoscaler'"


async def _scale(cluster: Cluster, replicas: int) -> None:
    """Returns when the adapter has so many available Pods, and no others. Raises TimedOut."""
    from aiconform.cluster import conditions, wait

    await scale(cluster, prometheus.NAMESPACE, NAME, replicas)
    # Whether the API server reaches it is found out on its own.
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.custom.metrics.k8s.io"},
    }

    def reached(seen: Object) -> bool | None:
        return True if conditions.is_true(seen, "Available") is bool(replicas) else None

    await wait.until(cluster, service, reached, seconds=SECONDS, what="the metrics API to be found so")


def _saying(query: str) -> Change:
    """The adapter answers every request by this query."""

    async def change(cluster: Cluster) -> None:
        rules = {kind: [{**rule, "metricsQuery": query} for rule in entries] for kind, entries in RULES.items()}
        await _scale(cluster, 0)
        await cluster.apply(config_map(rules))
        await _scale(cluster, 1)

    return change


async def _down(cluster: Cluster) -> None:
    await _scale(cluster, 0)


async def _up(cluster: Cluster) -> None:
    await _scale(cluster, 1)


def _says(query: str) -> Action:
    return Action(_saying(query), _saying(_LOAD))


_COUNT = "count(<<.Series>>{<<.LabelMatchers>>})"
_WITHOUT = (
    "[JSONPatch{op: 'replace', path: '/spec/containers/0/resources', value: Object.spec.containers.resources{}}]"
    " + (has(object.spec.resourceClaims) ? [JSONPatch{op: 'remove', path: '/spec/resourceClaims'}] : [])"
)

ACTIONS: Mapping[str, Action] = {
    "metrics-constant": _says(f"{_LOAD} * 0 + 25"),
    # Each scraped target has one of these, too.
    "metrics-of-another": _says("sum(scrape_samples_scraped{<<.LabelMatchers>>}) by (<<.GroupBy>>)"),
    "metrics-creep": _says(f"{_LOAD} * scalar(1 + 0.4 * ({_COUNT} > bool 1))"),
    "metrics-down": Action(_down, _up),
    "autoscaler-of-pods-capped": refusing(
        "autoscaler-of-pods-capped", "apps", "deployments/scale", f"!({_SCALE}) || object.spec.replicas <= 1"
    ),
    "autoscaler-of-pods-never-shrinks": refusing(
        "autoscaler-of-pods-never-shrinks",
        "apps",
        "deployments/scale",
        f"!({_SCALE}) || object.spec.replicas >= oldObject.spec.replicas",
    ),
    "autoscaler-of-pods-ignores-window": changing(
        "autoscaler-of-pods-ignores-window",
        "horizontalpodautoscalers",
        "[JSONPatch{op: 'replace', path: '/spec/behavior/scaleDown/stabilizationWindowSeconds', value: 0}]",
        condition="has(object.spec.behavior)",
        group="autoscaling",
    ),
    "scaled-without-accelerators": changing(
        "scaled-without-accelerators",
        "pods",
        _WITHOUT,
        condition="has(object.metadata.labels) && 'aiconform.dev/scaled' in object.metadata.labels",
    ),
}
