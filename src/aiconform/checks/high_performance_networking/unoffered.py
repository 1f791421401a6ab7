"""Whether nodes have network devices for workloads that nobody offers to Pods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiconform.check import NotApplicable, NothingToLookAt, Settings
from aiconform.checks.high_performance_networking import inside
from aiconform.checks.high_performance_networking.options import HighPerformanceNetworking
from aiconform.checks.high_performance_networking.places import closed_nodes
from aiconform.checks.high_performance_networking.unclaimed import CONTAINER, unclaiming
from aiconform.cluster import ClusterError, Object
from aiconform.cluster.scratch import Scratch
from aiconform.kit.pods import container
from aiconform.kit.together import gather
from aiconform.platform import Platform

_TYPE = "node.kubernetes.io/instance-type"
_MOST_TYPES, _FEW = 4, 4


async def not_offered(
    platform: Platform, scratch: Scratch, settings: Settings, nobody: NotApplicable
) -> NothingToLookAt | NotApplicable:
    """What is so where nobody offers a network device, by what nodes have; `nobody` says what was looked at so far.

    RDMA devices are for workloads that need the network; of an interface of hardware, nothing tells whether it is.
    """
    examples = _examples(await platform.nodes(), await closed_nodes(platform))
    main = container(
        CONTAINER, settings.of(HighPerformanceNetworking).image or platform.images["shell"], inside.HARDWARE
    )
    looks = (
        unclaiming(platform, scratch, f"on-node-{number}", node, main, settings.patience, on_node=True)
        for number, node in enumerate(examples, 1)
    )
    try:
        if not examples:
            return NothingToLookAt(f"{nobody}; no node is open to Pods that could look at its own interfaces")
        printed = await gather(*looks)
    except ClusterError as error:
        return NothingToLookAt(f"{nobody}; whether nodes have some that nobody offers could not be looked at: {error}")
    said = []
    for node, (_, lines) in zip(examples, printed, strict=True):
        name, (interfaces, rdma) = node["metadata"]["name"], inside.hardware(lines)
        if rdma:
            return NothingToLookAt(
                f"nothing to look at: {nobody}, but node {name} has RDMA devices ({', '.join(rdma[:_FEW])}). Install a "
                "DRA driver that offers them"
            )
        said.append(f"{name}: {', '.join(interfaces[:_FEW]) or 'none'}")
    return NotApplicable(f"{nobody}; nodes have no RDMA device, and these interfaces of hardware: {'; '.join(said)}")


def _examples(nodes: Sequence[Object], closed: Mapping[str, str]) -> list[Object]:
    """A node of each type of machine, those that offer most extended resources first."""
    found: dict[str, Object] = {}
    for node in sorted(nodes, key=_resources, reverse=True):
        about = node["metadata"]
        if not closed[about["name"]]:
            found.setdefault((about.get("labels") or {}).get(_TYPE, ""), node)
    return list(found.values())[:_MOST_TYPES]


def _resources(node: Object) -> int:
    return sum(1 for name in (node.get("status") or {}).get("allocatable") or {} if "/" in name)
