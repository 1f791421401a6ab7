"""What the containers' views have to show: each device reaches the container that asked for it, and no other."""

from __future__ import annotations

from aiconform.check import Finding, assertion, holds, undecided
from aiconform.checks.secure_accelerator_access.observations import Isolation
from aiconform.kit.container_view import View, family, granted, other_signs, special


def leaked(view: View, seen: Isolation) -> list[str]:
    """Paths of accelerators that a container without a device sees.

    These are its device nodes of the same family as a node that only a holder has. If no holder has such a node with an
    index, the devices are among the nodes that all containers share: those with an index or, if the holders have no
    node of their own at all, all of them.
    """
    holders = [entry for entry in (seen.holder, seen.second) if entry]
    own = [node for entry in holders if seen.stranger for node in granted(entry, seen.stranger)]
    families = {family(node) for node in own} - {None}
    shared = set()
    if not families:
        shared = {node.number for entry in holders for node in special(entry) if family(node) or not own}
    return [node.path for node in special(view) if family(node) in families or node.number in shared]


NOT_STARTED = "no Pod started with a device"


@assertion("holder_starts", "A Pod that asks for a device starts with it")
def holder_starts(seen: Isolation) -> Finding:
    if seen.holder is None:
        return holds(False, f"{seen.name} on {seen.node}: {seen.problem}", subjects=1)
    return holds(True, f"{seen.name} on {seen.node}, served by {seen.served_by}", subjects=1)


@assertion("holder_sees_device", "The holder sees a device that a Pod without a claim does not see")
def holder_sees_device(seen: Isolation) -> Finding:
    if seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    own = [node.path for node in granted(seen.holder, seen.stranger)]
    if own:
        return holds(True, f"only the holder sees {', '.join(own)}", subjects=len(own))
    signs = other_signs(seen.holder, seen.stranger)
    if signs:
        return holds(True, f"no device node, but only the holder has {', '.join(signs)}", subjects=1)
    return holds(False, f"the holder on {seen.node} sees nothing that a Pod without a claim does not see", subjects=1)


@assertion("holder_sees_exactly_one", "Each holder sees exactly the device it asked for")
def holder_sees_exactly_one(seen: Isolation) -> Finding:
    if seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    crowds = []
    judged = 0
    for name, view in (("the holder", seen.holder), ("the second holder", seen.second)):
        if view is None:
            continue
        own = granted(view, seen.stranger)
        judged += len(own)
        for each in sorted({family(node) or "" for node in own} - {""}):
            members = [node.path for node in own if family(node) == each]
            if len(members) > 1:
                crowds.append(f"{name} asked for one device and sees {', '.join(members)}")
    if not judged:
        return undecided("the holders have no device nodes of their own to count")
    return holds(not crowds, "; ".join(crowds) or "one node of each family for each holder", subjects=judged)


@assertion("sibling_sees_none", "A sibling container without the claim sees no device")
def sibling_sees_none(seen: Isolation) -> Finding:
    return _sees_none(seen.sibling, seen, "the sibling in the holder's Pod")


@assertion("stranger_sees_none", "A Pod without a claim on the same node sees no device")
def stranger_sees_none(seen: Isolation) -> Finding:
    return _sees_none(seen.stranger, seen, "the Pod without a claim")


def _sees_none(view: View | None, seen: Isolation, who: str) -> Finding:
    if view is None or seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    if not granted(seen.holder, seen.stranger) and not leaked(view, seen):
        return undecided("the holder has no device node, so its absence elsewhere says nothing")
    paths = leaked(view, seen)
    return holds(not paths, f"{who} sees {', '.join(paths) or 'no device'}", subjects=1)


@assertion("holders_are_disjoint", "Two holders see disjoint devices")
def holders_are_disjoint(seen: Isolation) -> Finding:
    if seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    if seen.second is None:
        if seen.second_waited:
            return holds(True, "the node had one free device: the second Pod was not started with it", subjects=2)
        return undecided("there was no second holder to compare with")
    one, two = special(seen.holder), special(seen.second)
    only_one = {node.number for node in one} - {node.number for node in two}
    only_two = {node.number for node in two} - {node.number for node in one}
    if not only_one or not only_two:
        both = ", ".join(node.path for node in one if node.number not in only_one) or "no device node"
        return holds(False, f"the holders have no device of their own each; both see {both}", subjects=2)
    families = {family(node) for node in one if node.number in only_one} - {None}
    common = [node.path for node in one if node.number not in only_one and family(node) in families]
    return holds(not common, f"both holders see {', '.join(common)}" if common else "no device in common", subjects=2)


@assertion("holder_opens_device", "The holder can open its device")
def holder_opens_device(seen: Isolation) -> Finding:
    if seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    own = {node.path for node in granted(seen.holder, seen.stranger)}
    attempts = [attempt for attempt in seen.own if attempt.device in own]
    if not attempts:
        return undecided("the holder has no device node of its own to open")
    refused = [attempt for attempt in attempts if "not permitted" in attempt.outcome]
    told = ", ".join(f"{attempt.device}: {attempt.outcome}" for attempt in attempts)
    return holds(not refused, told, subjects=len(attempts))


@assertion("forged_is_refused", "The kernel refuses a Pod without a claim that makes its own node for a held device")
def forged_is_refused(seen: Isolation) -> Finding:
    if seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    holders = [view for view in (seen.holder, seen.second) if view]
    own = {node.number for view in holders for node in granted(view, seen.stranger)}
    attempts = [attempt for attempt in seen.forged if attempt.device in own or not own]
    if not attempts:
        return undecided("the holders have no device node whose number a stranger could use")
    unmade = [attempt for attempt in attempts if not attempt.made or "Permission denied" in attempt.outcome]
    if unmade:
        return undecided(f"the stranger could not try: {unmade[0].device}: {unmade[0].outcome}")
    # Any other answer than EPERM (also ENXIO, "No such device") came from beyond the device cgroup.
    reached = [attempt for attempt in attempts if "not permitted" not in attempt.outcome]
    told = ", ".join(f"{attempt.device}: {attempt.outcome}" for attempt in reached or attempts)
    return holds(not reached, f"opening forged nodes: {told}", subjects=len(attempts))
