"""The coscheduling plugin of scheduler-plugins: a second scheduler that binds Pods of a PodGroup when all can be."""

from __future__ import annotations

from aiconform.check import Access
from aiconform.checks.gang_scheduling.solutions.adapter import (
    MADE,
    SCHEDULER_RETRIES,
    Adapter,
    Order,
    named,
    pod_group,
    pods,
)
from aiconform.cluster import Object

GROUP = "scheduling.x-k8s.io"
SCHEDULER = "scheduler-plugins-scheduler"


def gang(order: Order) -> list[Object]:
    group = pod_group(order, minMember=order.size)
    labels = {f"{GROUP}/pod-group": order.name}
    return [group, *pods(order, labels=labels, schedulerName=order.scheduler or SCHEDULER)]


def word(group: Object, order: Order) -> str:
    phase = (group.get("status") or {}).get("phase", "")
    waits = named(group, order) and phase in ("Pending", "PreScheduling", "Scheduling")
    return f"phase {phase}" if waits else ""


ADAPTER = Adapter(
    name="coscheduling",
    title="scheduler-plugins coscheduling",
    group=GROUP,
    kinds=("PodGroup",),
    versions=("v1alpha1",),
    images=("scheduler-plugins/",),
    ways=("device-plugin",),
    needs="the coscheduling plugin is built on a scheduler without Dynamic Resource Allocation",
    gang=gang,
    retries=SCHEDULER_RETRIES,
    speaks="PodGroup",
    word=word,
    access=(Access(GROUP, "podgroups", MADE),),
)
