"""GKE's ComputeClasses: a Pod that selects one gets a node by its priorities, in a node pool that GKE creates for it.

https://cloud.google.com/kubernetes-engine/docs/reference/crds/computeclass
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from math import prod
from typing import Any

from aiconform.cluster import Forbidden, NotFound, Object, conditions
from aiconform.platform.accelerators.profiles import Profiles
from aiconform.platform.autoscaling.hardware import stated
from aiconform.platform.autoscaling.members import only_by_claims, with_label
from aiconform.platform.autoscaling.pools import BY_COMPUTE_CLASS, FLEX_START, Autoscaling, Pool, pool_of
from aiconform.platform.inventory import Platform

GROUP = "cloud.google.com"
CLASS_LABEL = "cloud.google.com/compute-class"
"""The label of a class's nodes, and the key of their taint."""
_CLOUD = "Google Cloud"
# What a priority asks for -> the extended resource of its nodes.
_ACCELERATORS = {"gpu": "nvidia.com/gpu", "tpu": "google.com/tpu"}


async def compute_classes(
    platform: Platform, nodes: Sequence[Object], profiles: Profiles | None = None, by_dra: Collection[str] = ()
) -> Autoscaling:
    """The ComputeClasses as pools, if their API is served. by_dra: as in `pool_of`. Raises ClusterError."""
    if "v1" not in (await platform.groups()).get(GROUP, ()):
        return Autoscaling()
    looked = (f"ComputeClasses of {GROUP}",)
    try:
        found = [item async for item in platform.cluster.list(f"{GROUP}/v1", "ComputeClass")]
    except NotFound:
        return Autoscaling(looked=looked)
    except Forbidden as error:
        return Autoscaling(looked=looked, problems=(f"ComputeClasses are not known: {error}",))
    # The nodes of a class that creates no pools are in pools that are found as such.
    pools = [
        compute_class(item, nodes, profiles, by_dra)
        for item in found
        if creates_pools(item) or not with_label(nodes, (CLASS_LABEL, item["metadata"]["name"]))
    ]
    scales = any(creates_pools(item) for item in found)
    return Autoscaling((BY_COMPUTE_CLASS,) if scales else (), tuple(pools), looked)


def creates_pools(item: Object) -> bool:
    """Whether GKE creates node pools for this class."""
    spec = item["spec"]
    return any((spec.get(name) or {}).get("enabled") is True for name in ("nodePoolAutoCreation", "autopilot"))


def compute_class(
    item: Object, nodes: Sequence[Object], profiles: Profiles | None = None, by_dra: Collection[str] = ()
) -> Pool:
    """The pool of a ComputeClass. Its priorities or its nodes show its accelerator.

    Nothing shows whether one that creates no node pools has any: it is asked about.
    """
    spec, name = item["spec"], item["metadata"]["name"]
    label = (CLASS_LABEL, name)
    priorities: list[Object] = spec.get("priorities") or []
    accelerated = [(each, kind) for each in priorities for kind in _ACCELERATORS if each.get(kind)]
    usable = [(each, kind) for each, kind in accelerated if not _several_hosts(each)]
    own = (spec.get("nodePoolConfig") or {}).get("taints") or []
    health = conditions.find(item, "Health")
    fields: dict[str, Any] = {
        "taints": [(CLASS_LABEL, "NoSchedule"), *((taint["key"], taint["effect"]) for taint in own)],
        "problem": f"its Health is False: {health.explanation}" if health and health.is_false else "",
        "keeps_seconds": 60.0 * int((spec.get("autoscalingPolicy") or {}).get("consolidationDelayMinutes") or 0),
    }
    members = with_label(nodes, label)
    if not creates_pools(item):
        return pool_of(name, BY_COMPUTE_CLASS, label, (), profiles, limits="it creates no node pools", **fields)
    if only_by_claims(members, by_dra, profiles):
        return pool_of(name, BY_COMPUTE_CLASS, label, members, profiles, by_dra, **fields)
    if usable:
        resource = _ACCELERATORS[usable[0][1]]
        alike = [each for each, kind in usable if _ACCELERATORS[kind] == resource]
        fields |= {"resource": resource, "spot": all(each.get("spot") is True for each in alike)}
        if all((each.get("flexStart") or {}).get("enabled") is True for each in alike):
            fields |= {"limits": FLEX_START, "spot": True}
        if usable[0][1] == "tpu":
            fields["amount"] = int(usable[0][0]["tpu"].get("count") or 1)
    elif accelerated:
        return pool_of(
            name, BY_COMPUTE_CLASS, label, (), profiles, limits="its TPU slices have several hosts", **fields
        )
    elif not any(_may_have_accelerators(each) for each in priorities):
        fields["without"] = "its priorities ask for no gpu or tpu"
    return pool_of(name, BY_COMPUTE_CLASS, label, members, profiles, **fields)


def _several_hosts(priority: Object) -> bool:
    """Whether a TPU slice of this priority has several nodes, which come and go together."""
    tpu: Object = priority.get("tpu") or {}
    sizes = [part for part in str(tpu.get("topology") or "").split("x") if part.isdigit()]
    return bool(sizes) and prod(map(int, sizes)) > int(tpu.get("count") or 0)


def _may_have_accelerators(priority: Object) -> bool:
    """A priority without a gpu or tpu: one that names node pools, or machines that are not known to have none."""
    return bool(priority.get("nodepools")) or not all(_without(priority, *each) for each in _machines(priority))


def _machines(priority: Object) -> Iterable[tuple[str, str]]:
    """(the key of a requirement, the field) of each name of a machine."""
    named = (("instance-family", "machineFamily"), ("instance-type", "machineType"))
    return [(key, field) for key, field in named if priority.get(field)]


def _without(priority: Object, key: str, field: str) -> bool:
    return bool(stated([{"key": key, "values": [str(priority[field])]}], {}, _CLOUD).without)
