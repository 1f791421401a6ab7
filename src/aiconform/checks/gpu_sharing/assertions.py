"""What Pods that share devices have to show."""

from __future__ import annotations

import re
from itertools import combinations

from aiconform.check import Finding, assertion, holds, left_out, undecided
from aiconform.checks.gpu_sharing.observations import Share, Sharing
from aiconform.kit.memory_size import sizes_are_their_own
from aiconform.kit.pods import waits_for_devices
from aiconform.kit.same_device import Beside, Compared, Sign, compare, signs
from aiconform.platform.accelerators.shares import PARTITIONS

_CHECK = "gpu_sharing"
_DEVICE = f"{_CHECK}.device"
NOT_ASKED = "no Pod could ask for a share"
# What the kubelet says where two schedulers give away the same share.
_GIVEN_AWAY = re.compile(r"\bOutOf\S+: ")


def _about(seen: Sharing) -> str:
    return f"{seen.name} on {seen.node} ({seen.strategy}: {seen.said})"


def _running(seen: Sharing) -> list[Share]:
    return [each for each in seen.shares if each.pod in seen.together]


def _failed(seen: Sharing) -> str:
    """How shares kept Pods from starting, or from going on; empty if none did."""
    problems = [f"{each.pod}: {each.problem}" for each in seen.shares if each.problem]
    ended = [each.pod for each in seen.shares if each.view and each.pod not in seen.together]
    return "; ".join([*problems, *(f"{name} started and did not go on to run" for name in ended)])


def _waiting(seen: Sharing) -> str:
    """Which Pods wait, or are late, for what can be over soon; empty if none does."""
    waits = [f"{each.pod} waits: {each.waits}" for each in seen.shares if each.waits]
    late = [
        f"{each.pod} may be late (--set gpu_sharing.start_seconds=N): {each.late}" for each in seen.shares if each.late
    ]
    return "; ".join([*waits, *late])


def _signs(seen: Sharing, running: list[Share]) -> dict[str, list[Sign]]:
    beside = Beside(seen.control, seen.release, seen.boot, seen.strategy in PARTITIONS)
    return {each.pod: signs(each, beside) for each in running}


def _apart(seen: Sharing, running: list[Share]) -> bool:
    """Whether each of these Pods is known to have another device than the others."""
    known = _signs(seen, running)
    return all(compare(one, other, known, option=_DEVICE).alike is False for one, other in combinations(running, 2))


@assertion("shares_can_be_requested", "The shares are resources or devices that a Pod can request")
def shares_can_be_requested(seen: Sharing) -> Finding:
    if seen.not_requestable:
        return holds(False, f"{seen.node}: {seen.not_requestable}", subjects=1)
    placed = [each for each in seen.shares if not each.waits]
    asked = ", ".join(dict.fromkeys(each.asked for each in placed))
    if placed:
        lost = f"; not tried: {'; '.join(seen.lost)}" if seen.lost else ""
        return holds(True, f"{_about(seen)}: {len(placed)} Pods were given {asked}{lost}", subjects=len(placed))
    return undecided(f"{_about(seen)}: {_waiting(seen) or 'no Pod asked for a share'}")


@assertion("both_pods_run", "Two Pods with a share each run at the same time")
def both_pods_run(seen: Sharing) -> Finding:
    if seen.not_requestable:
        return undecided(f"{NOT_ASKED}: {seen.not_requestable}")
    running, failed = _running(seen), _failed(seen)
    if failed and (len(running) < 2 or _apart(seen, running)):
        each = "each on a device of its own; " if len(running) > 1 else ""
        said = f"{_about(seen)}: {len(running)} of {len(seen.shares)} Pods run, {each}{failed}"
        return holds(False, said, subjects=len(seen.shares))
    if len(running) > 1:
        return holds(True, f"{_about(seen)}: {len(running)} Pods run at the same time", subjects=len(running))
    return undecided(f"{_about(seen)}: {_waiting(seen) or 'fewer than two Pods asked for a share'}")


@assertion("shares_are_of_one_device", "Two of the shares belong to one physical device")
def shares_are_of_one_device(seen: Sharing) -> Finding:
    running = [each for each in _running(seen) if each.view]
    if len(running) < 2 or seen.control is None:
        return undecided(f"fewer than two Pods with a share ran: {_failed(seen) or _waiting(seen) or NOT_ASKED}")
    known_signs = _signs(seen, running)
    pairs = list(combinations(running, 2))
    # What a claim was given names its device; device plugins do not tell what they give.
    told = [pair for pair in pairs if set(pair[0].published) & set(pair[1].published)]
    if not told and all(each.published for each in running):
        given = ", ".join(f"{each.pod}: {', '.join(each.published)}" for each in running)
        return undecided(f"{_about(seen)}: the claims were given shares of different devices ({given})")
    known = [compare(one, other, known_signs, option=_DEVICE) for one, other in told or pairs]
    if told and (apart := next((each for each in known if each.alike is False), None)):
        device = sorted(set(told[0][0].published) & set(told[0][1].published))[0]
        return holds(
            False, f"{_about(seen)}: both claims were given {device}, but {apart.words}", subjects=len(running)
        )
    if same := next((each for each in known if each.alike), None):
        return holds(True, f"{_about(seen)}: {same.words}", subjects=len(running))
    if unknown := next((each for each in known if each.alike is None), None):
        return undecided(f"{_about(seen)}: {unknown.words}")
    return _all_apart(seen, running, known)


def _all_apart(seen: Sharing, running: list[Share], known: list[Compared]) -> Finding:
    """Where every Pod has a device of its own: whether shares that two Pods could hold of one would have shown."""
    said = f"{len(running)} Pods have a device each; {known[0].words}"
    if 0 < seen.physical < len(running):
        return holds(
            False, f"{_about(seen)}: {said}, where {seen.physical} device(s) are shared", subjects=len(running)
        )
    if len(running) == seen.bound:
        return holds(False, f"{_about(seen)}: {said}, and no further share is advertised", subjects=len(running))
    return undecided(
        f"{_about(seen)}: {said}: with more Pods, two of them have one device (--set gpu_sharing.holders=N; "
        f"{seen.free} of {seen.bound} shares were free)"
    )


@assertion("advertised_shares_run", "As many Pods as advertised run together")
def advertised_shares_run(seen: Sharing) -> Finding:
    if seen.not_requestable:
        return undecided(f"{NOT_ASKED}: {seen.not_requestable}")
    if not seen.bound:
        return left_out(f"no limit of shares is advertised for {_about(seen)}")
    running, others = len(_running(seen)), seen.bound - seen.free
    also = f", beside {others} that others hold" if others else ""
    said = f"{_about(seen)}: {running} of {seen.bound} advertised shares run together{also}"
    if failed := _failed(seen):
        return holds(False, f"{said}; {failed}", subjects=len(seen.shares))
    if waiting := _waiting(seen):
        return undecided(f"{said}; {waiting}")
    if len(seen.shares) < seen.free:
        return undecided(f"{said}; {seen.free} were free, and {seen.fewer}")
    return holds(True, said, subjects=running)


@assertion("excess_share_stays_unscheduled", "The Pod beyond the advertised limit stays unscheduled")
def excess_share_stays_unscheduled(seen: Sharing) -> Finding:
    if seen.not_requestable:
        return undecided(f"{NOT_ASKED}: {seen.not_requestable}")
    if not seen.bound:
        return left_out(f"no limit of shares is advertised for {_about(seen)}")
    excess = seen.excess
    if excess is None or excess.not_tried:
        why = excess.not_tried if excess else _failed(seen) or _waiting(seen)
        return undecided(f"{_about(seen)}: there was no Pod beyond the limit: {why}")
    asked = f"{_about(seen)}: with all {seen.bound} shares held, one more Pod asked for {excess.asked}"
    if excess.waits:
        if not waits_for_devices(excess.waits, excess.asked or seen.name):
            return undecided(f"{asked} and waits for something else: {excess.waits}")
        return holds(True, f"{asked}; unscheduled for {excess.window:.0f} s; scheduler: {excess.waits}", subjects=1)
    if _GIVEN_AWAY.search(excess.became):
        return undecided(f"{asked} and was placed where the kubelet had given all away by then: {excess.became}")
    if excess.others_after < excess.others_before or excess.bound_after > seen.bound:
        return undecided(
            f"{asked} and was placed ({excess.became}), but others gave shares back meanwhile, or more are advertised: "
            f"{excess.others_before} were held by others, then {excess.others_after}; {excess.bound_after} advertised"
        )
    return holds(False, f"{asked} and was placed on the node: {excess.became}", subjects=1)


@assertion("partition_memory_is_its_own", "The memory that a container sees is that of its partition")
def partition_memory_is_its_own(seen: Sharing) -> Finding:
    if seen.strategy not in PARTITIONS:
        return left_out(f"{seen.name} on {seen.node} is not offered in partitions of the hardware")
    running = [each for each in seen.shares if each.view]
    if not running:
        return undecided(f"no Pod ran with a partition: {seen.not_requestable or _failed(seen) or _waiting(seen)}")
    return sizes_are_their_own(running, seen.whole, check=_CHECK, about=_about(seen), device="the device")
