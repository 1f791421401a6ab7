"""Pods of high_performance_networking that claim nothing: what they print, on the Pod network or on that of a node."""

from __future__ import annotations

from aiconform.checks.high_performance_networking import inside
from aiconform.cluster import Object, Stuck
from aiconform.cluster.scratch import Scratch
from aiconform.kit.logs import read_until
from aiconform.kit.meshes import without_sidecar
from aiconform.kit.pods import pod_on_one_of, start_of, started
from aiconform.platform import Platform

CONTAINER = "networks"
LABELS = {"aiconform.dev/networks": "true"}


async def unclaiming(
    platform: Platform,
    scratch: Scratch,
    name: str,
    node: Object,
    main: Object,
    patience: float,
    *,
    on_node: bool = False,
) -> tuple[Object, list[str]]:
    """(a running Pod on this node that claims nothing, what it printed of its look). Raises ClusterError.

    main: its container; on_node: on the node's own network, which Pod Security has to let it.
    """
    more = {"hostNetwork": True} if on_node else {}
    made = without_sidecar(pod_on_one_of(scratch.name(name), [node], [main], labels=LABELS, **more))
    created = await (scratch.create(made, security="privileged") if on_node else scratch.create(made))
    running, problem = await started(platform.cluster, created, seconds=patience)
    if running is None:
        raise Stuck(f"{start_of(created)}: {problem}")
    return running, await read_until(platform.cluster, running, CONTAINER, inside.LOOKED, seconds=patience)
