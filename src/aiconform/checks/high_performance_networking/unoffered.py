"""Whether nodes have network devices for workloads that nobody offers to Pods."""

from __future__ import annotations

from collections import defaultdict

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
_MOST, _FEW = 16, 4


async def not_offered(
    platform: Platform, scratch: Scratch, settings: Settings, nobody: NotApplicable
) -> NothingToLookAt | NotApplicable:
    """What is so where nobody offers a network device, by what nodes have; `nobody` says what was looked at so far.

    RDMA devices are for workloads that need the network; of an interface of hardware, nothing tells whether it is.
    """
    try:
        examples, passed_over = await _examples(platform)
    except ClusterError as error:
        return NothingToLookAt(f"{nobody}; which nodes could look at their own interfaces is not known: {error}")
    main = container(CONTAINER, settings.of(HighPerformanceNetworking).shell(platform.images), inside.HARDWARE)
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
    if passed_over:
        return NothingToLookAt(
            f"{nobody}; {len(said)} nodes have no RDMA device, and {passed_over} more kinds of nodes were not looked at"
        )
    return NotApplicable(
        f"{nobody}; a node of each kind has no RDMA device, and these interfaces of hardware: {'; '.join(said)}"
    )


async def _examples(platform: Platform) -> tuple[list[Object], int]:
    """(open nodes, one of each kind, those with accelerators first; how many kinds are left out). Raises ClusterError.

    Of one kind are nodes of one type of machine with the same accelerators; without a type, each is of its own.
    """
    accelerators: dict[str, set[str]] = defaultdict(set)
    for each in (await platform.all_accelerators()).offered:
        accelerators[each.node].add(f"{each.name} {each.product}")
    closed, found = await closed_nodes(platform), dict[tuple[str, frozenset[str]], Object]()
    nodes = await platform.nodes()
    for node in sorted(nodes, key=lambda each: each["metadata"]["name"] not in accelerators):
        name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
        if not closed[name]:
            found.setdefault((labels.get(_TYPE) or name, frozenset(accelerators.get(name, ()))), node)
    return list(found.values())[:_MOST], max(0, len(found) - _MOST)
