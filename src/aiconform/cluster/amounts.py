"""What containers of a run request and may use at most, and how the LimitRanges of a Namespace change that.

Clusters refuse Pods without requests and limits, by policies or by a ResourceQuota. A LimitRange gives them none that
fit accelerators' Pods, and refuses what is outside of its bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from aiconform.cluster.quantity import number

REQUESTS = {"cpu": "10m", "memory": "32Mi", "ephemeral-storage": "16Mi"}
"""Of a container that runs a shell script: small, so that a node which is nearly full still takes it."""
LIMITS = {"cpu": "1", "memory": "256Mi", "ephemeral-storage": "256Mi"}
"""Of such a container: more than it needs, so that no limit slows or ends it."""
LARGE = {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "8Gi"}
"""The limits of a container whose image is not the suite's: what it needs is not known."""

Object = dict[str, Any]


def with_amounts(resources: Mapping[Any, Any] | None, limits: Mapping[str, str] = LIMITS) -> Object:
    """A container's `resources` with a request and a limit for each of the usual resources; its own amounts stay.

    Where it names one of the two, the other one is the same.
    """
    given = dict(resources or {})
    own_requests, own_limits = dict(given.get("requests") or {}), dict(given.get("limits") or {})
    for name, request in REQUESTS.items():
        if name in own_requests:
            own_limits.setdefault(name, own_requests[name])
        elif name in own_limits:
            own_requests[name] = own_limits[name]
        else:
            own_requests[name], own_limits[name] = request, limits[name]
    return {**given, "requests": own_requests, "limits": own_limits}


def within(spec: Mapping[str, Any], ranges: Iterable[Mapping[str, Any]] = ()) -> Object:
    """A PodSpec whose containers all have requests and limits, within the bounds of these LimitRanges.

    Bounds of the whole Pod are shared by its containers. Where bounds exclude each other, the API server says so.
    """
    rules = [rule for each in ranges for rule in (each.get("spec") or {}).get("limits") or []]
    lists = {key: spec[key] for key in ("initContainers", "containers") if spec.get(key)}
    count = sum(map(len, lists.values()))

    def fitted(container: Mapping[str, Any]) -> Object:
        resources = with_amounts(container.get("resources"))
        return {**container, "resources": _bounded(resources, rules, count) if rules else resources}

    return {**spec, **{key: [fitted(each) for each in entries] for key, entries in lists.items()}}


def _bounded(resources: Object, rules: Iterable[Mapping[str, Any]], count: int) -> Object:
    requests, limits = dict(resources["requests"]), dict(resources["limits"])
    for name in REQUESTS:
        least, most, ratio = 0.0, math.inf, math.inf
        for rule in rules:
            share = {"Container": 1, "Pod": count}.get(rule["type"])
            if share is None:  # Of volume claims.
                continue
            least = max(least, _bound(rule, "min", name, 0.0) / share)
            most = min(most, _bound(rule, "max", name, math.inf) / share)
            ratio = min(ratio, _bound(rule, "maxLimitRequestRatio", name, math.inf))
        requested, limited = number(requests[name]), number(limits[name])
        limit = max(_up(name, least), min(limited, _down(name, most)))
        request = min(limit, max(requested, _up(name, least), _up(name, limit / ratio)))
        if request != requested:
            requests[name] = _quantity(name, request)
        if limit != limited:
            limits[name] = _quantity(name, limit)
    return {**resources, "requests": requests, "limits": limits}


def _bound(rule: Mapping[str, Any], field: str, name: str, otherwise: float) -> float:
    given = (rule.get(field) or {}).get(name)
    return otherwise if given is None else number(given)


# A CPU has a thousand parts; of the others a whole number of bytes is meant. More digits are errors of division.
def _parts(name: str) -> int:
    return 1000 if name == "cpu" else 1


def _up(name: str, amount: float) -> float:
    return math.ceil(round(amount * _parts(name), 6)) / _parts(name)


def _down(name: str, amount: float) -> float:
    return amount if math.isinf(amount) else math.floor(round(amount * _parts(name), 6)) / _parts(name)


def _quantity(name: str, amount: float) -> str:
    return f"{amount * 1000:.0f}m" if name == "cpu" else f"{amount:.0f}"
