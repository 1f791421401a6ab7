"""Kubernetes' own PodGroup: the default scheduler places at least minCount of its Pods at once, or none."""

from __future__ import annotations

from aiconform.check import Access
from aiconform.checks.gang_scheduling.solutions.adapter import (
    MADE,
    SCHEDULER_RETRIES,
    Adapter,
    Order,
    condition,
    named,
    pod_group,
    pods,
)
from aiconform.cluster import Object

GROUP = "scheduling.k8s.io"


def gang(order: Order) -> list[Object]:
    group = pod_group(order, schedulingPolicy={"gang": {"minCount": order.size}}, **order.priority)
    spec: Object = {"schedulingGroup": {"podGroupName": order.name}}
    if order.scheduler:
        spec["schedulerName"] = order.scheduler
    return [group, *pods(order, **spec)]


def word(group: Object, order: Order) -> str:
    return condition(group, "PodGroupInitiallyScheduled", "False") if named(group, order) else ""


ADAPTER = Adapter(
    name="native",
    title="Kubernetes PodGroup",
    group=GROUP,
    kinds=("PodGroup",),
    # v1alpha2 of 1.36 nests Pods in a Workload otherwise.
    versions=("v1beta1",),
    ways=("dra", "device-plugin"),
    gang=gang,
    retries=SCHEDULER_RETRIES,
    speaks="PodGroup",
    word=word,
    access=(Access(GROUP, "podgroups", MADE),),
)
