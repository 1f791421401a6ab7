"""Kueue: a suspended Job that is admitted as one unit, once its ClusterQueue has quota and its topology has room.

Quota alone does not show what the nodes have. So the queue that the check creates has ample quota and a ResourceFlavor
with a Topology down to the host name, which makes Kueue count what is free on each node. Kueue does so for extended
resources, not for devices that are allocated by DRA alone.
"""

from __future__ import annotations

from aiconform.check import Access
from aiconform.checks.gang_scheduling.solutions.adapter import MADE, Adapter, Order, condition
from aiconform.cluster import Object, conditions, quantity

_OTHER_QUEUE = "name another one (--set gang_scheduling.queue=NAME), or none: then the check creates its own"
HOSTNAME = "kubernetes.io/hostname"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
UNCONSTRAINED = "kueue.x-k8s.io/podset-unconstrained-topology"
# More than any gang needs: quota must not be what makes it wait.
AMPLE = "1000"
IN_BYTES = ("memory", "ephemeral-storage")


def flavor(order: Order, topology: str) -> Object:
    """A flavor of the order's nodes. With a topology Kueue requires labels, so several nodes need one in common."""
    labels = [node["metadata"].get("labels") or {} for node in order.nodes]
    if len(labels) == 1:
        common = {HOSTNAME: labels[0].get(HOSTNAME, order.nodes[0]["metadata"]["name"])}
    else:
        common = {"kubernetes.io/os": labels[0].get("kubernetes.io/os", "linux")}
    return {
        "apiVersion": order.api_version,
        "kind": "ResourceFlavor",
        "metadata": {"name": order.shared},
        "spec": {"nodeLabels": common, "topologyName": topology},
    }


def covered(spec: Object, resource: str) -> list[str]:
    """All resources that Pods of this spec request: Kueue never admits a Workload with one that a queue lacks.

    A LimitRange or a policy may add requests for the usual ones.
    """
    asked = [
        name
        for container in spec["containers"]
        for amounts in (container.get("resources") or {}).values()
        if isinstance(amounts, dict)
        for name in amounts
    ]
    return list(dict.fromkeys([resource, "cpu", "memory", "ephemeral-storage", *asked]))


def setup(order: Order) -> list[Object]:
    local: Object = {
        "apiVersion": order.api_version,
        "kind": "LocalQueue",
        "metadata": {"name": order.local},
        "spec": {"clusterQueue": order.queue or order.shared},
    }
    if order.queue:
        return [local]
    resources = covered(order.template["spec"], order.resource)
    quotas = [{"name": name, "nominalQuota": f"{AMPLE}Gi" if name in IN_BYTES else AMPLE} for name in resources]
    return [
        {
            "apiVersion": order.api_version,
            "kind": "Topology",
            "metadata": {"name": order.shared},
            "spec": {"levels": [{"nodeLabel": HOSTNAME}]},
        },
        flavor(order, order.shared),
        {
            "apiVersion": order.api_version,
            "kind": "ClusterQueue",
            "metadata": {"name": order.shared},
            "spec": {
                "namespaceSelector": {},
                "queueingStrategy": "BestEffortFIFO",
                "resourceGroups": [
                    {
                        "coveredResources": [each["name"] for each in quotas],
                        "flavors": [{"name": order.shared, "resources": quotas}],
                    }
                ],
            },
        },
        local,
    ]


def gang(order: Order) -> list[Object]:
    metadata = order.template["metadata"]
    annotations = {**metadata.get("annotations", {}), UNCONSTRAINED: "true"}
    template = {"metadata": {**metadata, "annotations": annotations}, "spec": order.template["spec"]}
    return [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            # Not suspended: Kueue has to suspend it.
            "metadata": {"name": order.name, "labels": {QUEUE_LABEL: order.local}},
            "spec": {
                "parallelism": order.size,
                "completions": order.size,
                "completionMode": "Indexed",
                "backoffLimit": 0,
                "template": template,
            },
        }
    ]


def word(workload: Object, order: Order) -> str:
    if order.name not in owners(workload):
        return ""
    # With quota, it may wait for the admission checks of its queue.
    checks = [
        f"admission check {each['name']} is {each['state']}: {each.get('message', '')}".rstrip(": ")
        for each in (workload.get("status") or {}).get("admissionChecks") or []
        if each["state"] != "Ready"
    ]
    admitted = conditions.is_true(workload, "Admitted")
    return condition(workload, "QuotaReserved", "False") or ("" if admitted else "; ".join(checks))


def owners(workload: Object) -> set[str]:
    """The names of the Jobs that a Workload was made for."""
    return {owner["name"] for owner in workload["metadata"].get("ownerReferences") or []}


def unfit_queue(cluster_queue: Object, resource: str, size: int) -> str:
    """Why an existing queue cannot be used, whatever the nodes have, and the way out; empty if it can.

    Either it never admits the gang, or others may be evicted for it.
    """
    name, spec = cluster_queue["metadata"]["name"], cluster_queue["spec"]
    quotas = [
        quantity.number(entry["nominalQuota"])
        for group in spec.get("resourceGroups") or []
        for each in group["flavors"]
        for entry in each["resources"]
        if entry["name"] == resource
    ]
    if not quotas:
        return f"ClusterQueue {name} does not cover {resource}; {_OTHER_QUEUE}"
    if (spec.get("preemption") or {}).get("reclaimWithinCohort") == "Any":
        return f"ClusterQueue {name} evicts Workloads of others to get its quota back; {_OTHER_QUEUE}"
    # It may borrow from the others of its cohort.
    in_cohort = spec.get("cohortName") or spec.get("cohort")
    if max(quotas) < size and not in_cohort:
        return (
            f"ClusterQueue {name} has quota for {max(quotas):g} of {resource}, the gang requests {size}; {_OTHER_QUEUE}"
        )
    return ""


ADAPTER = Adapter(
    name="kueue",
    title="Kueue",
    group="kueue.x-k8s.io",
    kinds=("ClusterQueue", "LocalQueue", "ResourceFlavor", "Topology", "Workload"),
    versions=("v1beta2", "v1beta1"),
    images=("kueue/kueue", "kueue-rhel", "/kueue:", "/kueue@"),
    ways=("device-plugin",),
    needs="Kueue counts what is free on the nodes only for extended resources",
    setup=setup,
    gang=gang,
    speaks="Workload",
    word=word,
    by_pods=False,
    uncovered=r"unavailable in ClusterQueue",
    quota=r"insufficient (unused )?quota|request > maximum capacity|is inactive|doesn't match ClusterQueue"
    r"|admission check \S+ is",
    access=(
        Access("batch", "jobs", MADE),
        Access("kueue.x-k8s.io", "clusterqueues", (*MADE, "get"), everywhere=True),
        Access("kueue.x-k8s.io", "localqueues", MADE),
        Access("kueue.x-k8s.io", "resourceflavors", MADE, everywhere=True),
        Access("kueue.x-k8s.io", "topologies", MADE, everywhere=True),
        Access("kueue.x-k8s.io", "workloads", ("list",)),
    ),
)
