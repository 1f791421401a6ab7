"""What a scaling of nodes has to show: the right node is added, the Pod runs on it, and only that node is removed."""

from __future__ import annotations

import re

from aiconform.check import Finding, assertion, holds, undecided
from aiconform.checks.cluster_autoscaling.observations import NodeSeen, Scaling
from aiconform.platform.autoscaling.pools import BY_LABEL
from aiconform.platform.autoscaling.shortages import shortage

NO_NODE = "no node was added"
# Karpenter's words where a NodePool's limits leave room for less than a node:
# https://github.com/kubernetes-sigs/karpenter/blob/main/pkg/controllers/provisioning/scheduling/scheduler.go
_NO_ROOM = r'exceed limits for nodepool:? (\(NodePool=|")?{}(?![\w.-])'


def subject(seen: Scaling) -> NodeSeen | None:
    """The node that was added: the Pod's node, else the first of the pool or, in an unknown pool, with accelerators."""
    if seen.pod_node:
        # A name can be used again: the last node of that name.
        return next((node for node in reversed(seen.nodes) if node.name == seen.pod_node), None)
    of_pool = [node for node in seen.nodes if node.of_pool or (node.of_pool is None and node.offers)]
    # A node that is still there shows more.
    return next((node for node in of_pool if node.gone is None), of_pool[0] if of_pool else None)


@assertion(
    "node_is_added",
    "A new node is added for a Pod that fits on no existing node",
    serves=("pod_is_unschedulable_first", "node_is_added"),
    formerly=("A new node comes for a Pod that no node has room for",),
)
def node_is_added(seen: Scaling) -> Finding:
    grown = f"pool {seen.pool} ({seen.autoscaler}) had {seen.size} nodes"
    if node := subject(seen):
        return holds(True, f"{grown}; {node.name} was added {node.came:.0f} s after the Pod", subjects=1)
    others = ", ".join(node.name for node in seen.nodes)
    words = [f"{grown}, and none was added within {seen.waited_up:.0f} s"]
    words += [seen.bounds] if seen.bounds else []
    words += [f"other nodes that were added: {others}"] if others else []
    words += [f"reported about the Pod: {' | '.join(seen.said) or seen.unschedulable}"]
    if seen.full:
        return undecided(f"{'; '.join(words)}. It may not grow: raise its maximum above its size, or free a node")
    if any(re.search(_NO_ROOM.format(re.escape(seen.pool)), text) for text in seen.said):
        return undecided(f"{'; '.join(words)}. Its limits have no room for another node: raise them")
    if shortage((*seen.said, seen.bounds)):
        return undecided(
            f"{'; '.join(words)}. The cloud had no machine for it: run again when it has capacity, raise the quota, or "
            "name another pool (--set cluster_autoscaling.pool=KEY=VALUE)"
        )
    if seen.unknown:
        return undecided(f"{'; '.join(words)}. Whether the cloud had a machine for it is not known: {seen.unknown}")
    if seen.autoscaler == BY_LABEL:
        return undecided(f"{'; '.join(words)}. Nothing shows that this pool is scaled automatically")
    return holds(False, "; ".join(words), subjects=1)


@assertion(
    "node_is_of_right_kind",
    "The new node has the kind of accelerator that the Pod requests",
    formerly=("The new node is of the kind that the Pod asks for",),
)
def node_is_of_right_kind(seen: Scaling) -> Finding:
    node = subject(seen)
    if node is None:
        return undecided(NO_NODE)
    if node.offers and seen.resource not in node.offers:
        offered = ", ".join(f"{count} {name}" for name, count in sorted(node.offers.items()))
        return holds(False, f"requested {seen.resource}; {node.name} offers {offered}", subjects=1)
    if node.of_pool is None and not node.offers:
        return undecided(f"{node.name} offers no accelerator, and its pool is not known")
    where = f"is of pool {seen.pool}" if node.of_pool else f"offers {seen.resource}"
    return holds(True, f"{node.name} {where}", subjects=1)


@assertion("node_becomes_ready", "The new node becomes Ready")
def node_becomes_ready(seen: Scaling) -> Finding:
    node = subject(seen)
    if node is None:
        return undecided(NO_NODE)
    if node.ready is not None:
        return holds(True, f"{node.name} was Ready {node.ready - node.came:.0f} s after it was added", subjects=1)
    left = f"it was removed after {node.gone - node.came:.0f} s" if node.gone is not None else node.problem
    return holds(False, f"{node.name} did not become Ready within {seen.waited_up:.0f} s: {left}", subjects=1)


@assertion("node_offers_accelerator", "The new node offers the accelerator")
def node_offers_accelerator(seen: Scaling) -> Finding:
    node = subject(seen)
    if node is None or node.ready is None:
        return undecided("no new node became Ready")
    if count := node.offers.get(seen.resource):
        return holds(True, f"{node.name} offers {count} {seen.resource}", subjects=1)
    if node.offers:
        return undecided(f"{node.name} is of another kind")
    return holds(False, f"{node.name} is Ready, but offers no {seen.resource} after {seen.waited_up:.0f} s", subjects=1)


@assertion("pod_runs_on_node", "The waiting Pod runs on the new node")
def pod_runs_on_node(seen: Scaling) -> Finding:
    node = subject(seen)
    if node is None or not node.offers.get(seen.resource):
        return undecided("no new node offered the accelerator")
    if seen.ran is not None:
        return holds(True, f"the Pod ran on {node.name} {seen.ran:.0f} s after it was created", subjects=1)
    went = [f"{each.name} after {each.gone - each.came:.0f} s" for each in seen.nodes if each.gone is not None]
    flaps = f"; nodes that were added and removed again: {', '.join(went)}" if went and seen.released is None else ""
    return holds(False, f"the Pod did not run on {node.name}: {seen.problem}{flaps}", subjects=1)


@assertion(
    "node_is_removed",
    "The new node is removed when it is no longer used",
    formerly=("The new node goes when nothing uses it any more",),
)
def node_is_removed(seen: Scaling) -> Finding:
    node = subject(seen)
    if node is None or seen.released is None:
        return undecided("the Pod was not scheduled to a new node, so none became unused")
    if node.gone is not None:
        return holds(
            node.gone >= seen.released,
            f"{node.name} was removed {node.gone - seen.released:.0f} s after the Pod",
            subjects=1,
        )
    return holds(False, f"{node.name} is still there {seen.waited_down:.0f} s after the Pod", subjects=1)


@assertion("used_nodes_stay", "Nodes in use stay")
def used_nodes_stay(seen: Scaling) -> Finding:
    if not seen.held:
        return undecided("no node was held before the scale-up")
    if seen.lost:
        return holds(False, f"removed while a Pod ran there: {', '.join(seen.lost)}", subjects=len(seen.held))
    return holds(True, f"these nodes stayed: {', '.join(seen.held)}", subjects=len(seen.held))
