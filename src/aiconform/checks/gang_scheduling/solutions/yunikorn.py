"""Apache YuniKorn: Pods whose annotations declare a task group.

It serves no API of its own: its controller shows that it is installed. It reserves room for a gang with placeholder
Pods, which do not belong to the gang and do no work.
"""

from __future__ import annotations

import json

from aiconform.checks.gang_scheduling.solutions.adapter import Adapter, Order, pods
from aiconform.cluster import Object

DOMAIN = "yunikorn.apache.org"
SCHEDULER = "yunikorn"
GROUP_NAME = "workers"


def gang(order: Order) -> list[Object]:
    spec = order.template["spec"]
    (worker,) = spec["containers"]
    # What a placeholder Pod requests: it has to fit where the Pod that replaces it fits.
    task_group: Object = {
        "name": GROUP_NAME,
        "minMember": order.size,
        "minResource": worker["resources"]["requests"] | ({order.resource: "1"} if order.resource else {}),
        "nodeSelector": spec.get("nodeSelector") or {},
        "tolerations": spec.get("tolerations") or [],
        "affinity": spec["affinity"],
    }
    annotations = {
        f"{DOMAIN}/task-group-name": GROUP_NAME,
        f"{DOMAIN}/task-groups": json.dumps([task_group]),
        # Soft starts the Pods one by one after a timeout.
        f"{DOMAIN}/schedulingPolicyParameters": "gangSchedulingStyle=Hard",
        f"{DOMAIN}/app-id": order.name,
        **({f"{DOMAIN}/queue": order.queue} if order.queue else {}),
    }
    # Older releases read these labels, newer ones the annotations of the same meaning.
    labels = {"applicationId": order.name, **({"queue": order.queue} if order.queue else {})}
    return pods(order, labels=labels, annotations=annotations, schedulerName=order.scheduler or SCHEDULER)


ADAPTER = Adapter(
    name="yunikorn",
    title="Apache YuniKorn",
    images=("yunikorn",),
    ways=("device-plugin",),
    needs="YuniKorn counts extended resources",
    gang=gang,
    quota=r"queue .*(quota|resource limit|maximum)",
)
