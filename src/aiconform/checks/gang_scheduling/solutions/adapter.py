"""What an adapter is: how to submit a gang to one solution, and how the solution reports that a gang waits."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiconform.check import Access
from aiconform.cluster import Object, conditions
from aiconform.platform.accelerators.offered import AllocationWay

GANG_LABEL = "aiconform.dev/gang"
WORKER = "worker"
"""The container of a gang's Pod."""
MADE = ("create", "list", "watch", "delete")
"""What a probe does with a kind that it creates."""
SCHEDULER_RETRIES = 330.0
"""Of kube-scheduler and what is built on it: every 30 s it tries again what has waited for 5 min (scheduling queue)."""


@dataclass(frozen=True)
class Order:
    """A gang as the check needs it, for any solution.

    api_version: that of the solution's own kinds. template: metadata and spec of each of its Pods. resource: the
    extended resource that each requests one of; empty with DRA. shared: name of the check's cluster-scoped objects;
    local: the same for its Namespace. queue, scheduler: as the user set them; empty for the solution's own.
    """

    name: str
    size: int
    api_version: str
    template: Object
    resource: str
    nodes: tuple[Object, ...]
    shared: str
    local: str
    queue: str = ""
    scheduler: str = ""

    @property
    def priority(self) -> Object:
        """The field by which a PodGroup has the priority of its Pods, where solutions evict Pods by that."""
        name = self.template["spec"].get("priorityClassName")
        return {"priorityClassName": name} if name else {}


Make = Callable[[Order], list[Object]]


def _nothing(order: Order) -> list[Object]:
    return []


@dataclass(frozen=True)
class Adapter:
    """One solution.

    name: its name in `--set gang_scheduling.solution`. group, kinds, versions: the API that shows that it is installed,
    and its known versions, the newest first; without a group, a controller shows it. ways: how its gangs can request
    accelerators so that it respects what is free on the nodes, the best first. images: parts of the image names of its
    controllers. setup: objects that it needs before the first gang. gang: the objects of a gang. speaks: the kind whose
    objects report that a gang waits. word: what such an object reports about the gang of an order; empty if nothing.
    by_pods: it is the scheduler of the Pods, and reports in their conditions as well. retries: seconds within which it
    tries again to place what waits, even if it overlooked the event that made room. uncovered, quota: patterns of
    reports that a queue does not have the resource at all, or has too little quota: then the nodes are not the reason.
    queue_refused: a pattern of what its webhook says of a queue that takes no gangs.
    """

    name: str
    title: str
    ways: tuple[AllocationWay, ...]
    gang: Make
    group: str = ""
    kinds: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    setup: Make = _nothing
    speaks: str = ""
    word: Callable[[Object, Order], str] = lambda obj, order: ""
    by_pods: bool = True
    retries: float = 0.0
    uncovered: str = ""
    quota: str = ""
    queue_refused: str = ""
    access: tuple[Access, ...] = ()
    needs: str = ""
    """Why it cannot use accelerators that are offered in another way, for messages."""


def pod_group(order: Order, **spec: Any) -> Object:
    """The solution's PodGroup, which has the name of the gang."""
    return {"apiVersion": order.api_version, "kind": "PodGroup", "metadata": {"name": order.name}, "spec": spec}


def pods(
    order: Order, *, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **spec: Any
) -> list[Object]:
    """The gang's Pods, for solutions that take plain Pods. spec: further fields of each Pod's spec."""
    made = []
    for number in range(order.size):
        pod = copy.deepcopy(order.template)
        metadata = pod["metadata"]
        metadata["name"] = f"{order.name}-{number}"
        metadata["labels"] = {**metadata["labels"], **(labels or {})}
        metadata["annotations"] = {**metadata.get("annotations", {}), **(annotations or {})}
        pod["spec"].update(spec)
        for container in pod["spec"]["containers"]:
            container.setdefault("env", []).append({"name": "MEMBER", "value": str(number)})
        made.append({"apiVersion": "v1", "kind": "Pod", **pod})
    return made


def condition(obj: Object, kind: str, status: str) -> str:
    """`reason: message` of a condition if it has this status, else empty."""
    found = conditions.find(obj, kind)
    return found.words if found and found.status == status else ""


def named(obj: Object, order: Order) -> bool:
    """Whether an object has the name of the gang."""
    return bool(obj["metadata"]["name"] == order.name)


@dataclass(frozen=True)
class SolutionController:
    """A Deployment of a solution: `namespace/name`, the version in its image's tag, and whether it is available."""

    name: str
    version: str
    available: bool


@dataclass(frozen=True)
class InstalledSolution:
    """A solution that is installed. problem: why it cannot be used; empty if it can."""

    adapter: Adapter
    api_version: str = ""
    controllers: tuple[SolutionController, ...] = field(default=())
    problem: str = ""

    @property
    def down(self) -> tuple[str, ...]:
        """Names of its controllers that are not available."""
        return tuple(entry.name for entry in self.controllers if not entry.available)

    @property
    def version(self) -> str:
        return next((entry.version for entry in self.controllers if entry.version), "")

    def __str__(self) -> str:
        parts = [self.api_version] if self.api_version else []
        parts += [f"{entry.name} {'available' if entry.available else 'not available'}" for entry in self.controllers]
        return f"{' '.join(filter(None, (self.adapter.title, self.version)))} ({'; '.join(parts) or self.problem})"
