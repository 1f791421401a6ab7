"""What the containers' views have to show: devices reach the containers that asked for them, and no other."""

from __future__ import annotations

from aiconform.check import Finding, assertion, holds, left_out, undecided
from aiconform.checks.secure_accelerator_access.device_sets import (
    counting,
    own_kernel,
)
from aiconform.checks.secure_accelerator_access.observations import Isolation
from aiconform.kit.attempts import answer, opened
from aiconform.kit.container_view import View, granted, other_signs
from aiconform.kit.device_families import (
    paths,
    too_few,
    too_many,
    with_role,
    without_device,
)
from aiconform.kit.in_common import in_common

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
    own = granted(seen.holder, seen.stranger)
    if own and without_device(counting(seen.holder, seen)):
        return holds(False, f"the holder sees {paths(own)}, which are control nodes, and no device", subjects=1)
    if own:
        return holds(True, f"only the holder sees {paths(own)}", subjects=len(own))
    signs = other_signs(seen.holder, seen.stranger)
    if signs:
        return holds(True, f"no device node, but only the holder has {', '.join(signs)}", subjects=1)
    return holds(False, f"the holder on {seen.node} sees nothing that a Pod without a claim does not see", subjects=1)


@assertion(
    "holder_sees_exactly_one",
    "Each holder sees exactly the devices it asked for",
    formerly=("Each holder sees exactly the device it asked for",),
)
def holder_sees_exactly_one(seen: Isolation) -> Finding:
    if seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    wrong = []
    judged = 0
    for name, view in (("the holder", seen.holder), ("the second holder", seen.second)):
        if view is None:
            continue
        own = granted(view, seen.stranger)
        judged += len(own)
        many = too_many(seen.asked, seen.total, own)
        wrong += [f"{name} asked for {_devices(seen.asked)} and sees {paths(members)}" for members in many]
        if too_few(seen.asked, own) and not seen.shared:
            wrong.append(f"{name} asked for {_devices(seen.asked)} and sees {paths(own)} alone")
    if not judged:
        return undecided("the holders have no device nodes of their own to count")
    return holds(not wrong, "; ".join(wrong) or f"{_devices(seen.asked)} of each family, as asked for", subjects=judged)


def _devices(count: int) -> str:
    return "one device" if count == 1 else f"{count} devices"


@assertion("sibling_sees_none", "A sibling container without the claim sees no device")
def sibling_sees_none(seen: Isolation) -> Finding:
    return _sees_none(seen.sibling, seen, "the sibling in the holder's Pod")


@assertion("stranger_sees_none", "A Pod without a claim on the same node sees no device")
def stranger_sees_none(seen: Isolation) -> Finding:
    return _sees_none(seen.stranger, seen, "the Pod without a claim")


def _sees_none(view: View | None, seen: Isolation, who: str) -> Finding:
    if view is None or seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    leaked = counting(view, seen)
    if not granted(seen.holder, seen.stranger) and not leaked:
        return undecided("the holder has no device node, so its absence elsewhere says nothing")
    return holds(not leaked, f"{who} sees {paths(leaked) or 'no device'}", subjects=1)


@assertion("environment_gives_nothing", "A Pod without a claim that asks for devices by its environment sees none")
def environment_gives_nothing(seen: Isolation) -> Finding:
    if seen.asker_refused:
        return holds(True, f"the Pod did not start: {seen.asker_refused}", subjects=1)
    if seen.asker is None or seen.stranger is None or seen.holder is None:
        return left_out("no Pod asked for devices by its environment")
    given = [node for node in counting(seen.asker, seen) if node in granted(seen.asker, seen.stranger)]
    if given:
        return holds(False, f"for its environment alone a Pod without a claim was given {paths(given)}", subjects=1)
    if not granted(seen.holder, seen.stranger):
        # Without device nodes, what else the holder is given stands for the device.
        signs = {*seen.holder.mounts} & {*seen.asker.mounts} - {*seen.stranger.mounts}
        if signs:
            return holds(False, f"for its environment alone it was given {', '.join(sorted(signs))}", subjects=1)
    return holds(True, "it sees what a Pod without such an environment sees", subjects=1)


@assertion("holders_are_disjoint", "Two holders see disjoint devices")
def holders_are_disjoint(seen: Isolation) -> Finding:
    if seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    if seen.shared:
        return left_out(f"holders share devices on purpose: {seen.shared}")
    if seen.second is None:
        if seen.second_waited:
            return holds(True, "the first holder had what was free: the second Pod was not started with it", subjects=2)
        return undecided("there was no second holder to compare with")
    common = in_common(counting(seen.holder, seen), counting(seen.second, seen), seen.asked)
    if common.empty and other_signs(seen.holder, seen.stranger):
        return undecided("the holders have no device nodes to compare")
    both = common.both
    told = paths(both) or "no device node"
    if both and (own_kernel(seen.holder, seen) or own_kernel(seen.second, seen)):
        return undecided(
            f"both holders see {told}, which under kernels of their own can be different devices; show this with the "
            "runtime class that shares the node's kernel"
        )
    if common.nothing_own:
        # Whoever shares a partition says so by a label.
        if both and seen.perhaps_shared and not with_role(both, "partition"):
            return undecided(f"both holders see {told}, and the device plugin can share devices: {_option(seen)}")
        return holds(False, f"the holders have no device of their own each; both see {told}", subjects=2)
    if common.devices:
        return holds(False, f"both holders see {paths(common.devices)}", subjects=2)
    if common.unknown:
        return undecided(f"both holders see {paths(common.unknown)}, a device or a control node: {_option(seen)}")
    return holds(True, "no device in common", subjects=2)


def _option(seen: Isolation) -> str:
    return f"if Pods share devices on purpose, say so (--set secure_accelerator_access.shared={seen.name})"


@assertion("holder_opens_device", "The holder can open its device")
def holder_opens_device(seen: Isolation) -> Finding:
    if seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    own = {node.path for node in granted(seen.holder, seen.stranger)}
    attempts = [attempt for attempt in seen.own if attempt.device in own]
    if not attempts:
        return undecided("the holder has no device node of its own to open")
    can, told = opened(attempts, seen.control, as_root=not seen.unprivileged)
    return undecided(f"{told}: {_way_out(seen)}") if can is None else holds(can, told, subjects=len(attempts))


@assertion("forged_is_refused", "The kernel refuses a Pod without a claim that makes its own node for a held device")
def forged_is_refused(seen: Isolation) -> Finding:
    if seen.holder is None or seen.stranger is None:
        return undecided(NOT_STARTED)
    numbers = {node.number for view in (seen.holder, seen.second) if view for node in counting(view, seen)}
    attempts = [attempt for attempt in seen.forged if attempt.device in numbers]
    if not attempts:
        return undecided("the holders have no device node whose number a stranger could use")
    alone = own_kernel(seen.stranger, seen)
    answers = {attempt: answer(attempt, seen.control, own_kernel=alone) for attempt in attempts}
    if reached := [attempt for attempt in attempts if answers[attempt] == "reached"]:
        told = ", ".join(f"{attempt.device}: {attempt.outcome}" for attempt in reached)
        return holds(False, f"opening forged nodes: {told}", subjects=len(attempts))
    if untried := [attempt for attempt in attempts if answers[attempt] == "untried"]:
        told = f"the stranger could not try: {untried[0].device}: {untried[0].outcome}"
        if alone:
            return undecided(f"{told}; its kernel is not the node's, where this number can mean another device")
        return undecided(f"{told}; {_way_out(seen)}")
    told = ", ".join(f"{attempt.device}: {attempt.outcome}" for attempt in attempts)
    kernel = " (by a kernel of its own)" if alone else ""
    return holds(True, f"opening forged nodes{kernel}: {told}", subjects=len(attempts))


def _way_out(seen: Isolation) -> str:
    why = f" ({seen.unprivileged})" if seen.unprivileged else ""
    return (
        f"let the run's Namespaces use the baseline level of Pod Security with the capability MKNOD{why}, in "
        "containers that run as root, without a user namespace of their own and not mounted nodev"
    )
