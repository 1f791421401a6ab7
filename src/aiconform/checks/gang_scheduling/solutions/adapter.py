"""What an adapter is: how one solution is asked for a gang, and how it says that a gang waits."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiconform.check import Access
from aiconform.cluster import Object, conditions
from aiconform.platform.accelerators.offered import AllocationWay

GANG_LABEL = "aiconform.dev/gang"
MADE = ("create", "list", "watch", "delete")
"""What a probe does with a kind that it makes."""


@dataclass(frozen=True)
class Order:
    """A gang as the check wants it, whatever solution makes it.

    api_version: that of the solution's own kinds. template: metadata and spec of each of its Pods. resource: the
    extended resource that each asks for one of; empty by DRA. shared: a name for cluster-scoped objects of the check's
    own; local: the same in its Namespace. queue, scheduler: as the user named them; empty for the solution's own.
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


Make = Callable[[Order], list[Object]]


def _nothing(order: Order) -> list[Object]:
    return []


@dataclass(frozen=True)
class Adapter:
    """One solution.

    name: what `--set gang_scheduling.solution` calls it. group, kinds, versions: the API that shows that it is
    installed, and which versions of it we know, the newest first; without a group the controller shows it. ways: how
    its gangs can ask for accelerators so that it minds what the nodes have, the best first. images: parts of the image
    names of its controllers. setup: what it needs before the first gang. gang: the gang itself. speaks: the kind whose
    objects say that a gang waits. word: what one of them says of the gang of an order, empty if nothing. by_pods: it
    is the Pods' own scheduler, which also says it on them.
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
    access: tuple[Access, ...] = ()
    needs: str = ""
    """What the nodes' accelerators have to be for it, in words for a platform that offers them otherwise."""


def pods(
    order: Order, *, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **spec: Any
) -> list[Object]:
    """The gang's Pods, for solutions that take plain ones; `spec` are further fields of it."""
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
    """`reason: message` of a condition that has this status, empty if it has not."""
    found = conditions.find(obj, kind)
    return found.words if found and found.status == status else ""


def named(obj: Object, order: Order) -> bool:
    """Whether an object is called after the gang."""
    return bool(obj["metadata"]["name"] == order.name)


@dataclass(frozen=True)
class Controller:
    """A Deployment of a solution: `namespace/name`, the version that its image names, and whether it is available."""

    name: str
    version: str
    available: bool


@dataclass(frozen=True)
class Found:
    """A solution that a platform has. `problem` says why it cannot be used, in words."""

    adapter: Adapter
    api_version: str = ""
    controllers: tuple[Controller, ...] = field(default=())
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
