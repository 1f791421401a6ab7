"""The status ConfigMap of Cluster Autoscaler: YAML since version 1.30, formatted text before."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from aiconform.spec import yamlfile


class BadStatus(ValueError):
    """The status has neither format; the message says what is wrong."""


@dataclass(frozen=True)
class NodeGroup:
    """A node group, by the name that the cloud gives it. target: the requested size.

    there: the nodes that have registered; None if the status does not say. why: why its last scale-up failed, by the
    cloud's code and words; newer autoscalers say it while they back off.
    """

    name: str
    minimum: int
    maximum: int
    target: int
    health: str = ""
    scale_up: str = ""
    there: int | None = None
    why: str = ""


def parse_status(text: str) -> tuple[NodeGroup, ...]:
    """The node groups of a status in either format. Raises BadStatus."""
    if not text.strip():
        raise BadStatus("it is empty")
    if text.lstrip().startswith("Cluster-autoscaler status"):
        return _from_text(text)
    try:
        found = yamlfile.documents(text)
    except yamlfile.NotYaml as error:
        raise BadStatus(f"it is not YAML: {error}") from error
    value = found[0] if len(found) == 1 else None
    if not isinstance(value, dict) or not {"autoscalerStatus", "clusterWide", "nodeGroups"} & value.keys():
        raise BadStatus("it has neither autoscalerStatus nor nodeGroups")
    groups = value.get("nodeGroups") or []
    try:
        return tuple(_group(entry) for entry in groups)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadStatus(f"a node group has unknown fields ({type(error).__name__}: {error})") from error


def _group(entry: dict[str, Any]) -> NodeGroup:
    health, scale_up = entry["health"], entry.get("scaleUp") or {}
    backoff = scale_up.get("backoffInfo") or {}
    registered = ((health.get("nodeCounts") or {}).get("registered") or {}).get("total")
    return NodeGroup(
        name=str(entry["name"]),
        minimum=int(health.get("minSize", 0)),
        maximum=int(health["maxSize"]),
        target=int(health.get("cloudProviderTarget", 0)),
        health=str(health.get("status", "")),
        scale_up=str(scale_up.get("status", "")),
        there=None if registered is None else int(registered),
        why=": ".join(str(backoff[key]) for key in ("errorCode", "errorMessage") if backoff.get(key)),
    )


_NAME = re.compile(r"^\s*Name:\s+(\S+)", re.MULTILINE)
_HEALTH = re.compile(r"^\s*Health:\s+(\w+).*?cloudProviderTarget=(\d+) \(minSize=(\d+), maxSize=(\d+)\)", re.MULTILINE)
_REGISTERED = re.compile(r"^\s*Health:.*?\bregistered=(\d+)", re.MULTILINE)
_SCALE_UP = re.compile(r"^\s*ScaleUp:\s+(\w+)", re.MULTILINE)


def _from_text(text: str) -> tuple[NodeGroup, ...]:
    _, _, part = text.partition("NodeGroups:")
    starts = [match.start() for match in _NAME.finditer(part)]
    groups = []
    for start, end in zip(starts, [*starts[1:], len(part)], strict=True):
        block = part[start:end]
        name, health = _NAME.search(block), _HEALTH.search(block)
        if name is None or health is None:
            raise BadStatus(f"the node group {name[1] if name else '?'} has no Health with its sizes")
        status, target, minimum, maximum = health.groups()
        scale_up, registered = _SCALE_UP.search(block), _REGISTERED.search(block)
        groups.append(
            NodeGroup(
                name[1],
                int(minimum),
                int(maximum),
                int(target),
                status,
                scale_up[1] if scale_up else "",
                int(registered[1]) if registered else None,
            )
        )
    return tuple(groups)
