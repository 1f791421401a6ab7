"""Faults of Pod autoscaling: in the metrics that the autoscaler reads, its actions, and the Pods that it scales."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from aiconform.lab.addons import prometheus
from aiconform.lab.addons.prometheus_adapter import CONFIG, CONFIG_FILE, NAME, RULES
from aiconform.lab.faults.fault import Fault, InCluster, assertions
from aiconform.lab.faults.policies import changing, refusing
from aiconform.lab.faults.workloads import SECONDS, configure, scale

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

_LOAD = "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"
# Others can still scale.
_SCALE = "request.userInfo.username == 'system:serviceaccount:kube-system:horizontal-pod-autoscaler'"


async def _scale(cluster: Cluster, replicas: int) -> None:
    """Scale the adapter; returns when it has exactly this many available Pods. Raises TimedOut."""
    from aiconform.cluster import conditions, wait

    await scale(cluster, prometheus.NAMESPACE, NAME, replicas)
    # The API server notices later whether it can reach the adapter.
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.custom.metrics.k8s.io"},
    }

    def reached(seen: Object) -> bool | None:
        return True if conditions.is_true(seen, "Available") is bool(replicas) else None

    await wait.until(
        cluster,
        service,
        reached,
        seconds=SECONDS,
        what=f"the metrics API to be {'available' if replicas else 'unavailable'}",
    )


async def _down(cluster: Cluster) -> None:
    await _scale(cluster, 0)


async def _up(cluster: Cluster) -> None:
    await _scale(cluster, 1)


def _answers(name: str, query: str) -> InCluster:
    """Have the adapter answer every request by this query."""
    place, file = (prometheus.NAMESPACE, NAME), (CONFIG, CONFIG_FILE)

    async def on(cluster: Cluster) -> None:
        rules = {kind: [{**rule, "metricsQuery": query} for rule in entries] for kind, entries in RULES.items()}
        await configure(cluster, *place, file, name, yaml.safe_dump(rules))

    async def off(cluster: Cluster) -> None:
        await configure(cluster, *place, file, name, None)

    return InCluster(on, off)


_COUNT = "count(<<.Series>>{<<.LabelMatchers>>})"
_WITHOUT = (
    "[JSONPatch{op: 'replace', path: '/spec/containers/0/resources', value: Object.spec.containers.resources{}}]"
    " + (has(object.spec.resourceClaims) ? [JSONPatch{op: 'remove', path: '/spec/resourceClaims'}] : [])"
)


def _fault(name: str, description: str, *breaks: str, how: InCluster) -> Fault:
    return Fault(name, description, assertions("pod_autoscaling", *breaks), how, needs=("prometheus-adapter",))


FAULTS = (
    _fault(
        "metrics-constant",
        "The metrics APIs report a constant value for every metric.",
        "metric_is_read",
        how=_answers("metrics-constant", f"{_LOAD} * 0 + 25"),
    ),
    _fault(
        "metrics-of-another",
        "The metrics APIs report another metric's value for each workload's metric.",
        "metric_is_read",
        # Every scraped target has this metric.
        how=_answers("metrics-of-another", "sum(scrape_samples_scraped{<<.LabelMatchers>>}) by (<<.GroupBy>>)"),
    ),
    # Meanwhile no Namespace can be deleted: that needs the list of all APIs. A run reports its own as left behind.
    _fault("metrics-down", "The server of the metrics APIs does not run.", "metric_is_read", how=InCluster(_down, _up)),
    _fault(
        "metrics-creep",
        "The metrics APIs report a much higher value as soon as several Pods have a metric.",
        "holds_at_target",
        how=_answers("metrics-creep", f"{_LOAD} * scalar(1 + 0.4 * ({_COUNT} > bool 1))"),
    ),
    _fault(
        "autoscaler-of-pods-capped",
        "The autoscaler cannot scale a Deployment above one Pod.",
        "scales_up",
        how=refusing(
            "autoscaler-of-pods-capped", "apps", "deployments/scale", f"!({_SCALE}) || object.spec.replicas <= 1"
        ),
    ),
    _fault(
        "autoscaler-of-pods-never-shrinks",
        "The autoscaler cannot scale a Deployment down.",
        "scales_down",
        how=refusing(
            "autoscaler-of-pods-never-shrinks",
            "apps",
            "deployments/scale",
            f"!({_SCALE}) || object.spec.replicas >= oldObject.spec.replicas",
        ),
    ),
    _fault(
        "autoscaler-of-pods-ignores-window",
        "HorizontalPodAutoscalers ignore their stabilization window when they scale down.",
        "respects_stabilization_window",
        how=changing(
            "autoscaler-of-pods-ignores-window",
            "horizontalpodautoscalers",
            "[JSONPatch{op: 'replace', path: '/spec/behavior/scaleDown/stabilizationWindowSeconds', value: 0}]",
            condition="has(object.spec.behavior)",
            group="autoscaling",
        ),
    ),
    _fault(
        "scaled-without-accelerators",
        "The Pods of scaled workloads lose their requests for accelerators.",
        "each_pod_has_accelerator",
        how=changing(
            "scaled-without-accelerators",
            "pods",
            _WITHOUT,
            condition="has(object.metadata.labels) && 'aiconform.dev/scaled' in object.metadata.labels",
        ),
    ),
)
