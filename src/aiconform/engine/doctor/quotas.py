"""Whether the ResourceQuotas of a Namespace have room for what a run makes in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from aiconform.cluster import Cluster, ClusterError, Object
from aiconform.cluster.quantity import number
from aiconform.engine.doctor.admission import TRY
from aiconform.engine.doctor.points import Point
from aiconform.engine.preview import Preview
from aiconform.platform import Accelerators


async def quotas(cluster: Cluster, namespace: str, previews: Iterable[Preview], offered: Accelerators) -> Point:
    """Of a Namespace that is there."""
    try:
        found = [quota async for quota in cluster.list("v1", "ResourceQuota", namespace)]
    except ClusterError as error:
        help_ = f"let these credentials list resourcequotas in Namespace {namespace}, or ask whose it is"
        return Point("quotas", "undecided", (str(error),), help_)
    if not found:
        return Point("quotas", "fine", (f"Namespace {namespace} has no ResourceQuota",))
    names = ", ".join(quota["metadata"]["name"] for quota in found)
    needed = dict(least(previews, offered))
    short = tuple(why for quota in found for why in shortages(quota, needed))
    if short:
        return Point("quotas", "in-the-way", short, "raise the quota, or free some of it")
    return Point("quotas", "fine", (f"{names} in Namespace {namespace} have room for what one probe asks for",))


def unknown() -> Point:
    """Of a Namespace that the run makes: controllers may give it a quota when it is there."""
    return Point("quotas", "undecided", ("what this cluster gives a new Namespace shows only when there is one",), TRY)


def least(previews: Iterable[Preview], offered: Accelerators) -> Iterator[tuple[str, tuple[float, str]]]:
    """What a quota must have left: its key -> (amount, who needs it). Of devices, what the largest probe asks for.

    https://kubernetes.io/docs/concepts/policy/resource-quotas/
    """
    yield "pods", (1, "every check")
    yield "count/pods", (1, "every check")
    classes = {(entry.node, entry.name): entry.device_class for entry in offered.offered if entry.way == "dra"}
    largest: dict[str, tuple[float, str]] = {}
    for preview in previews:
        for attempt in preview.attempts:
            asked: dict[str, int] = {}
            for place in attempt.places:
                where = (place.node, place.accelerator)
                key = f"requests.{place.accelerator}"
                if where in classes:
                    key = f"{classes[where]}.deviceclass.resource.k8s.io/devices"
                    asked["count/resourceclaims.resource.k8s.io"] = 1
                asked[key] = asked.get(key, 0) + place.devices
            for key, amount in asked.items():
                largest[key] = max(largest.get(key, (0, "")), (amount, preview.id))
    yield from largest.items()


def shortages(quota: Object, needed: Mapping[str, tuple[float, str]]) -> Iterator[str]:
    """What a ResourceQuota has too little left of, in words."""
    hard = (quota.get("status") or {}).get("hard") or (quota.get("spec") or {}).get("hard") or {}
    used = (quota.get("status") or {}).get("used") or {}
    for key, (amount, who) in needed.items():
        if key in hard and (left := number(hard[key]) - number(used.get(key, "0"))) < amount:
            name = quota["metadata"]["name"]
            yield f"{name}: {left:g} of {hard[key]} {key} are left, and {who} asks for {amount:g}"
