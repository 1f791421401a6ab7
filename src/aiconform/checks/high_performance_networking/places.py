"""The network devices that a platform offers to Pods, and which of them the check tries."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiconform.check import NotApplicable, NothingToLookAt, Settings
from aiconform.checks.high_performance_networking.options import HighPerformanceNetworking
from aiconform.cluster import NotFound, Object, Stuck
from aiconform.platform import Platform
from aiconform.platform.accelerators.counting import holdings
from aiconform.platform.accelerators.devices import Id
from aiconform.platform.accelerators.nodes import closed_node
from aiconform.platform.accelerators.selecting import DeviceClass
from aiconform.platform.networks.interfaces import (
    NetworkDevice,
    by_resource,
    carrying_others,
    network_devices,
)

OPTION = "high_performance_networking"
_ATTACHMENTS = "k8s.cni.cncf.io"
# Of many nodes with the same devices, so many are compared with each other.
_MOST_NODES, _MOST_DEVICES = 8, 64


@dataclass(frozen=True)
class Offered:
    """Network devices. all: that are published; free: that a Pod of the run can have now. passed_over: why not others.

    nodes: those that Pods of a run may use, by name. meant: those of all that are for workloads, as far as is known.
    held: those that claims have. chosen: the names of the nodes that the user chose; None for all.
    """

    all: tuple[NetworkDevice, ...]
    free: tuple[NetworkDevice, ...]
    passed_over: tuple[str, ...]
    nodes: dict[str, Object]
    meant: tuple[NetworkDevice, ...]
    held: frozenset[Id]
    chosen: frozenset[str] | None = None
    incomplete: tuple[str, ...] = ()

    def best(self) -> list[NetworkDevice]:
        """Free devices, the best one to begin with first: the one that goes best with another one."""
        return sorted(self._few(), key=lambda each: (self._rank(each), str(each)))

    def _rank(self, device: NetworkDevice) -> tuple[bool, bool, bool, bool, bool, int]:
        partner = self.partner(device)
        apart, alike, same = _likeness(device, partner) if partner else (False, False, 0)
        silent = (not device.interface and not device.mac) or bool(device.known and device.known.without)
        return *_worth(device), silent, not apart, not alike, -same

    def partner(self, device: NetworkDevice) -> NetworkDevice | None:
        """The free device that has most in common with another one: of its driver and kind, better on another node."""
        found = [
            each
            for each in self._few()
            if each.device.id != device.device.id
            and (each.device.driver, each.kind) == (device.device.driver, device.kind)
        ]
        return max(
            found, key=lambda each: (not each.down, bool(each.rdma), _likeness(device, each), str(each)), default=None
        )

    def two_on(self, but: Iterable[NetworkDevice] = (), last: str = "") -> list[NetworkDevice]:
        """Two free devices of one driver and kind on one node, without these; not of `last` if there are others.

        None where those that are worth more are among these.
        """
        taken = {each.device.id for each in but}
        groups: dict[tuple[str, str, tuple[str, str]], list[NetworkDevice]] = defaultdict(list)
        for each in sorted(self.free, key=_worth):
            groups[each.device.node or "", each.device.driver, each.kind].append(each)
        best = min((_worth(each[1]) for each in groups.values() if len(each) > 1), default=None)
        left = [(key[0], [each for each in found if each.device.id not in taken]) for key, found in groups.items()]
        pairs = [(node, found[:2]) for node, found in left if len(found) > 1 and _worth(found[1]) == best]
        return min(pairs, key=lambda each: (each[0] == last, each[0]), default=("", []))[1]

    def _few(self) -> list[NetworkDevice]:
        free = sorted(self.free, key=_worth)
        best: dict[str, tuple[bool, bool]] = {}
        for each in free:
            best.setdefault(each.device.node or "", _worth(each))
        nodes = sorted(best, key=lambda name: (best[name], name))[:_MOST_NODES]
        return [each for each in free if each.device.node in nodes][:_MOST_DEVICES]


def _worth(device: NetworkDevice) -> tuple[bool, bool]:
    """How little a device is worth to be tried: unused ports least, then what has no RDMA, as most nodes' own."""
    return device.down, not device.rdma


def _likeness(one: NetworkDevice, other: NetworkDevice) -> tuple[bool, bool, int]:
    """How well two devices go together: on two nodes, of one network, and what they publish alike."""
    same = sum(1 for name, value in one.device.attributes.items() if other.device.attributes.get(name) == value)
    return one.device.node != other.device.node, bool(one.networks & other.networks), same


async def offered(platform: Platform, settings: Settings) -> Offered:
    """The network devices of the platform. Raises NothingToLookAt, NotApplicable, Stuck, ClusterError."""
    published, incomplete = await platform.devices()
    found = network_devices(published)
    nodes = await platform.nodes()
    pools = tuple(f"pool {each.name} of driver {each.driver}: {each.problem}" for each in incomplete)
    if not found:
        raise await _nothing(platform, nodes, len(published), pools)
    chosen = await platform.chosen_nodes()
    states = await closed_nodes(platform)
    selector = settings.of(HighPerformanceNetworking).selector
    wanted = _wanted(selector)
    others = carrying_others(found)
    shared = {
        each.device.id: others[each.device.id]
        for each in found
        if each.device.id in others and not _named(each, selector)
    }
    if len(shared) == len(found):
        raise _all_shared(found, shared)
    held = holdings(await platform.claims())
    selected = {each.device.id for each in found if not wanted or wanted.selects(each.device)}
    free, passed_over = list[NetworkDevice](), list[str]()
    for each in found:
        node = each.device.node
        if node is None:
            why = "not tied to one node"
        elif chosen is not None and node not in chosen:
            why = f"node {node} is not among those of --nodes"
        else:
            why = states.get(node, f"node {node} does not exist") or each.device.trouble
        if not why and each.device.id not in selected:
            why = f"not selected by {OPTION}.selector"
        why = why or shared.get(each.device.id, "")
        if not why and each.device.id in held:
            why = "a claim has it"
        if why:
            passed_over.append(f"{each}: {why}")
        else:
            free.append(each)
    usable = {each["metadata"]["name"]: each for each in nodes if not states[each["metadata"]["name"]]}
    meant = tuple(each for each in found if each.device.id in selected and each.device.id not in shared)
    return Offered(tuple(found), tuple(free), tuple(passed_over), usable, meant, frozenset(held), chosen, pools)


async def closed_nodes(platform: Platform) -> dict[str, str]:
    """Node -> why no Pod of a run can use it; empty for one that is open. Raises ClusterError."""
    said = platform.said
    return {
        each["metadata"]["name"]: closed_node(each, said.profiles, said.tolerated) or ""
        for each in await platform.nodes()
    }


def nothing_free(found: Offered) -> Stuck:
    """That no device is free, as an error."""
    few = "; ".join(found.passed_over[:4])
    return Stuck(f"none of {len(found.all)} network devices is free for a Pod of the run: {few}")


def _wanted(selector: str) -> DeviceClass | None:
    if not selector:
        return None
    return DeviceClass({"metadata": {"name": ""}, "spec": {"selectors": [{"cel": {"expression": selector}}]}})


def _named(device: NetworkDevice, selector: str) -> bool:
    """Whether a CEL expression has the name or the type of a device as a literal: it means no other kind."""
    literals = {one or other for one, other in re.findall(r""""([^"]*)"|'([^']*)'""", selector)}
    return not literals.isdisjoint({device.interface, device.device.name, device.kind[1]} - {""})


def _all_shared(found: Sequence[NetworkDevice], shared: Mapping[Id, str]) -> NothingToLookAt:
    """That no device is there that a Pod can have without taking it from others."""
    few = "; ".join(f"{each}: {shared[each.device.id]}" for each in found[:4])
    return NothingToLookAt(
        f"nothing to look at: a Pod would take each of {len(found)} network devices from others ({few}). Where one is "
        f'for workloads, name it: --set \'{OPTION}.selector=device.attributes["DRIVER"].ifName == "NAME"\''
    )


async def _nothing(
    platform: Platform, nodes: Sequence[Object], published: int, incomplete: tuple[str, ...]
) -> NothingToLookAt | NotApplicable:
    """Why there is nothing to claim. Raises ClusterError."""
    slices = f"{published} published devices are none" if published else "there is none in any ResourceSlice"
    if incomplete:
        return NothingToLookAt(
            f"nothing to look at: no network device ({slices}), and not all are told: {incomplete[0]}"
        )
    resources = by_resource(nodes, platform.said.profiles.alike)
    attachments = await _attachments(platform)
    others = [f"extended resource {name} on {count} node(s)" for name, count in sorted(resources.items())]
    others += [f"{len(attachments)} NetworkAttachmentDefinition(s), such as {attachments[0]}"] if attachments else []
    if others:
        return NothingToLookAt(
            f"nothing to look at: no DRA driver offers a network device ({slices}). There are others "
            f"({'; '.join(others)}), which this check does not ask for: it claims interfaces by DRA "
            "only. Install a DRA driver for them"
        )
    return NotApplicable(
        f"no network device for workloads was found: {slices}, no extended resource of network interfaces is on any of "
        f"{len(nodes)} nodes, and there is no NetworkAttachmentDefinition"
    )


async def _attachments(platform: Platform) -> list[str]:
    """The NetworkAttachmentDefinitions of Multus and others, by Namespace and name. Raises ClusterError."""
    if _ATTACHMENTS not in await platform.groups():
        return []
    try:
        found = platform.cluster.list(f"{_ATTACHMENTS}/v1", "NetworkAttachmentDefinition")
        return [f"{each['metadata'].get('namespace')}/{each['metadata']['name']}" async for each in found]
    except NotFound:
        return []
