"""Volcano: Pods of a PodGroup, by its own scheduler."""

from __future__ import annotations

from aiconform.check import Access
from aiconform.checks.gang_scheduling.solutions.adapter import MADE, Adapter, Order, condition, named, pod_group, pods
from aiconform.cluster import Object

GROUP = "scheduling.volcano.sh"
SCHEDULER = "volcano"


def gang(order: Order) -> list[Object]:
    group = pod_group(order, minMember=order.size, queue=order.queue or "default", **order.priority)
    annotations = {"scheduling.k8s.io/group-name": order.name}
    return [group, *pods(order, annotations=annotations, schedulerName=order.scheduler or SCHEDULER)]


def word(group: Object, order: Order) -> str:
    if not named(group, order):
        return ""
    phase = (group.get("status") or {}).get("phase", "")
    message = condition(group, "Unschedulable", "True")
    return message or (f"phase {phase}" if phase in ("Pending", "Inqueue") else "")


ADAPTER = Adapter(
    name="volcano",
    title="Volcano",
    group=GROUP,
    kinds=("PodGroup", "Queue"),
    versions=("v1beta1",),
    images=("vc-scheduler", "vc-controller-manager", "vc-webhook-manager"),
    ways=("device-plugin",),
    needs="of Volcano's releases only some count devices of Dynamic Resource Allocation",
    gang=gang,
    speaks="PodGroup",
    word=word,
    quota=r"queue resource quota insufficient|overused|exceeds? .*capability",
    # https://github.com/volcano-sh/volcano/tree/master/pkg/webhooks/admission/podgroups
    queue_refused=r"queue .*(state|status|not found|leaf)|find .*queue",
    access=(Access(GROUP, "podgroups", MADE),),
)
