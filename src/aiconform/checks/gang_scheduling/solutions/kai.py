"""KAI Scheduler: Pods of a PodGroup in a queue, by its own scheduler. If no queue is set, the check creates one."""

from __future__ import annotations

from aiconform.check import Access
from aiconform.checks.gang_scheduling.solutions.adapter import MADE, Adapter, Order, named, pod_group, pods
from aiconform.cluster import Object

GROUP = "scheduling.run.ai"
SCHEDULER = "kai-scheduler"
QUEUE_LABEL = "kai.scheduler/queue"
# No limit: quota must not be what makes a gang wait. And nothing is the queue's due, because a queue that lacks its due
# reclaims it: KAI evicts Pods of other queues for it (https://github.com/kai-scheduler/KAI-Scheduler/discussions/1763).
FREE = {"quota": 0, "limit": -1, "overQuotaWeight": 1}


def setup(order: Order) -> list[Object]:
    if order.queue:
        return []
    resources = dict.fromkeys(("cpu", "gpu", "memory"), FREE)
    parent = f"{order.shared}-parent"
    queues: dict[str, Object] = {parent: {}, order.shared: {"parentQueue": parent}}
    return [
        {
            "apiVersion": f"{GROUP}/v2",
            "kind": "Queue",
            "metadata": {"name": name},
            "spec": {"resources": resources, **fields},
        }
        for name, fields in queues.items()
    ]


def gang(order: Order) -> list[Object]:
    queue = order.queue or order.shared
    group = pod_group(order, minMember=order.size, queue=queue)
    labels = {QUEUE_LABEL: queue}
    annotations = {"pod-group-name": order.name}
    scheduler = order.scheduler or SCHEDULER
    return [group, *pods(order, labels=labels, annotations=annotations, schedulerName=scheduler)]


def word(group: Object, order: Order) -> str:
    if not named(group, order):
        return ""
    messages = [
        ": ".join(filter(None, (entry.get("reason", ""), entry.get("message", ""))))
        for entry in (group.get("status") or {}).get("schedulingConditions") or []
        if entry.get("status") == "True"
    ]
    return "; ".join(messages)


ADAPTER = Adapter(
    name="kai",
    title="KAI Scheduler",
    group=GROUP,
    kinds=("PodGroup",),
    versions=("v2alpha2",),
    images=("kai-scheduler/",),
    ways=("device-plugin",),
    needs="of KAI Scheduler's releases only some count devices of Dynamic Resource Allocation",
    setup=setup,
    gang=gang,
    speaks="PodGroup",
    word=word,
    quota=r"OverLimit|OverQuota|over (its )?(quota|limit)|quota has reached",
    access=(Access(GROUP, "podgroups", MADE), Access(GROUP, "queues", MADE, everywhere=True)),
)
