"""Which nodes a run can use, and whether their kubelets fit the API server."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from aiconform.cluster import ClusterError, Object
from aiconform.engine.doctor.points import Point
from aiconform.platform import BadSelector, Platform
from aiconform.platform.accelerators.nodes import usable_node

OLDEST = 3
"""How many minor versions older than the API server a kubelet may be; newer it must not be.
https://kubernetes.io/releases/version-skew-policy/#kubelet"""
_NAMED = 5


async def nodes(platform: Platform, kubernetes: str, selector: str) -> Point:
    """Raises BadSelector. kubernetes: the gitVersion of the API server. selector: of the nodes that the run uses."""
    try:
        chosen = await platform.chosen_nodes()
        every = await platform.nodes()
    except BadSelector:
        raise
    except ClusterError as error:
        return Point("nodes", "undecided", (str(error),))
    those = [node for node in every if chosen is None or node["metadata"]["name"] in chosen]
    where = f" of those with the labels {selector}" if selector else ""
    closed = [why for node in those if (why := usable_node(node, platform.said.tolerated))]
    found = [f"{len(those) - len(closed)} of {len(those)} node(s){where} can be used", *closed[:_NAMED]]
    if len(closed) > _NAMED:
        found.append(f"and {len(closed) - _NAMED} more that cannot be used")
    if len(those) == len(closed):
        help_ = (
            "choose other nodes (--nodes)" if selector else "let a node be Ready, without a taint that keeps Pods off"
        )
        return Point("nodes", "in-the-way", tuple(found), help_)
    odd = skewed(kubernetes, those)
    if odd:
        help_ = "upgrade these nodes, or leave them out (--nodes): Kubernetes does not support the two together"
        return Point("nodes", "undecided", (*found, *odd), help_)
    return Point("nodes", "fine", (*found, _versions(those)))


def skewed(kubernetes: str, nodes: Iterable[Object]) -> tuple[str, ...]:
    """Kubelets that the API server of this gitVersion must not have, counted by version."""
    own = minor(kubernetes)
    if own is None:
        return ()
    counts = Counter(_kubelet(node) for node in nodes)
    found = []
    for version, count in sorted(counts.items()):
        other = minor(version)
        if other is None or other[0] != own[0]:
            continue
        if other[1] > own[1]:
            found.append(f"{count} kubelet(s) of {version} are newer than the API server ({kubernetes})")
        elif own[1] - other[1] > OLDEST:
            found.append(f"{count} kubelet(s) of {version} are more than {OLDEST} minor versions older ({kubernetes})")
    return tuple(found)


def minor(version: str) -> tuple[int, int] | None:
    """(1, 37) of `v1.37.2-gke.100`; None of what is no version."""
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else None


def _versions(nodes: Iterable[Object]) -> str:
    return "kubelets: " + ", ".join(sorted({_kubelet(node) for node in nodes}))


def _kubelet(node: Object) -> str:
    return str(((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion") or "unknown")
