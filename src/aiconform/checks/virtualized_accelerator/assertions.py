"""What virtual devices have to show, beside a physical fraction or a complete device."""

from __future__ import annotations

import re

from aiconform.check import Finding, assertion, holds, left_out, undecided
from aiconform.checks.virtualized_accelerator.naming import in_common, renamed
from aiconform.checks.virtualized_accelerator.observations import Interface, Opened, Virtual
from aiconform.kit import in_common as nodes
from aiconform.kit.attempts import opened
from aiconform.kit.container_view import granted, off_node, other_signs
from aiconform.kit.device_families import paths
from aiconform.kit.memory_size import sizes_are_their_own
from aiconform.kit.pods import waits_for_devices
from aiconform.kit.same_device import Beside, compare, signs
from aiconform.platform.accelerators.sharing import perhaps_shared

_CHECK = "virtualized_accelerator"
# What the kubelet says where two schedulers give away the same device.
_GIVEN_AWAY = re.compile(r"\bOutOf\S+: ")
_WAYS = {"dra": "DRA", "device-plugin": "an extended resource"}


def _about(seen: Virtual) -> str:
    product = f" {seen.product}" if seen.product else ""
    return f"{seen.name}{product} on {seen.node} ({seen.said})"


def _told(each: Interface) -> str:
    return f"a {each.what} of {each.node} by {_WAYS[each.way]} ({each.name})"


def _not_running(holder: Opened | None) -> str:
    """Why a Pod does not run; empty if it does."""
    if holder is None:
        return "there was no such Pod"
    if holder.view is not None:
        return ""
    return f"{holder.pod}: {holder.problem or holder.late or holder.waits or 'it does not run'}"


def _nothing_beside(seen: Virtual) -> Finding:
    return left_out(f"{_about(seen)}: the platform has neither a fraction nor a complete physical device of the family")


def _one_interface(one: Interface, other: Interface, common_class: str) -> bool:
    return one.way == other.way and (one.way != "dra" or one.name == other.name or bool(common_class))


@assertion("one_interface_for_both", "Virtual devices and physical fractions are requested through one interface")
def one_interface_for_both(seen: Virtual) -> Finding:
    if seen.other is None:
        return _nothing_beside(seen)
    one, other = seen.interface, seen.other
    said = f"{_told(one)}; {_told(other)}"
    return holds(_one_interface(one, other, seen.common_class), said, subjects=2)


@assertion("names_are_the_same", "Attributes and capacities that both have carry the same names")
def names_are_the_same(seen: Virtual) -> Finding:
    if seen.other is None:
        return _nothing_beside(seen)
    one, other = seen.interface, seen.other
    if one.way != other.way:
        return left_out(f"{_about(seen)}: {_told(other)} is published in another way, so no names can be compared")
    if (one.way, one.node) == ("device-plugin", other.node):
        return left_out(f"{_about(seen)}: what labels of {one.node} say is not said of one device alone")
    if differing := renamed(one.facts, other.facts):
        words = "; ".join(f"{name} of a {other.what} is {its} of a virtual device" for name, its in differing)
        return holds(False, f"{_about(seen)}: {words}", subjects=len(differing))
    both = in_common(one.facts, other.facts)
    if not both:
        return left_out(f"{_about(seen)}: nothing is published of both a virtual device and a {other.what}")
    return holds(True, f"{_about(seen)}: {', '.join(both)} of {_told(other)}, too", subjects=len(both))


@assertion("pod_opens_virtual_device", "The Pod with the virtual device runs and can open it")
def pod_opens_virtual_device(seen: Virtual) -> Finding:
    first = seen.first
    if first.problem:
        return holds(False, f"{_about(seen)}: {first.pod}: {first.problem}", subjects=1)
    if (view := first.view) is None or seen.control is None:
        return undecided(f"{_about(seen)}: {_late(seen, _not_running(first))}")
    given = {node.path for node in granted(view, seen.control)}
    attempts = [attempt for attempt in first.own if attempt.device in given]
    if attempts:
        can, told = opened(attempts, None, as_root=not seen.unprivileged)
        if can is None:
            return undecided(f"{told} ({seen.unprivileged})")
        return holds(can, f"{_about(seen)}: {told}", subjects=len(attempts))
    others = [each for each in other_signs(view, seen.control) if each]
    if others or given:
        return undecided(f"{_about(seen)}: the container has no device node of its own to open")
    return holds(False, f"{_about(seen)}: {first.pod} sees nothing that a container without a device lacks", subjects=1)


def _late(seen: Virtual, why: str) -> str:
    way_out = f" (--set {_CHECK}.start_seconds=N)" if seen.first.late else ""
    return f"{why}{way_out}"


@assertion("only_selector_differs", "Apart from the selector, the same manifest gives a virtual device or a fraction")
def only_selector_differs(seen: Virtual) -> Finding:
    if seen.other is None:
        return _nothing_beside(seen)
    one, other = seen.interface, seen.other
    if not _one_interface(one, other, seen.common_class):
        return holds(False, f"{_told(one)}, but {_told(other)}: each needs a manifest of its own", subjects=2)
    if one.way == "dra" and not seen.common_class and (one.classes or other.classes):
        if unclear := sorted({*one.unclear, *other.unclear}):
            return undecided(f"{_about(seen)}: whether {', '.join(unclear)} selects both is not known")
        named = f"{', '.join(one.classes) or 'none'} for the one, {', '.join(other.classes) or 'none'} for the other"
        return holds(False, f"{_about(seen)}: no DeviceClass selects both: {named}", subjects=2)
    if why := _not_running(seen.first):
        return undecided(f"{_about(seen)}: with the virtual device no Pod ran: {why}")
    if seen.beside is None:
        return undecided(f"{_about(seen)}: no Pod asked for {_told(other)}: {seen.not_beside}")
    if seen.beside.problem:
        return holds(
            False, f"{_about(seen)}: {seen.beside.pod}, by the same manifest: {seen.beside.problem}", subjects=2
        )
    if why := _not_running(seen.beside):
        return undecided(f"{_about(seen)}: {why}")
    return holds(True, f"{_about(seen)}: the same manifest gives {one.asked} and {_told(other)}", subjects=2)


@assertion("profile_size_is_its_own", "The memory that a container sees is that of its virtual device's profile")
def profile_size_is_its_own(seen: Virtual) -> Finding:
    running = [each for each in (seen.first, seen.second) if each and each.view]
    if not running:
        return undecided(f"{_about(seen)}: no Pod ran with a virtual device: {_not_running(seen.first)}")
    if not seen.whole and not any(each.memory for each in running):
        return left_out(f"{_about(seen)}: nothing says how large its virtual devices are")
    return sizes_are_their_own(running, seen.whole, check=_CHECK, about=_about(seen), device="the physical device")


@assertion("two_run_on_one_device", "Two Pods with virtual devices of one physical device run at the same time")
def two_run_on_one_device(seen: Virtual) -> Finding:
    first, second = seen.first, seen.second
    if seen.total < 2:
        return left_out(f"{_about(seen)}: there is one virtual device")
    if second is None:
        return undecided(f"{_about(seen)}: of its {seen.total} virtual devices one was free")
    if second.problem and first.view:
        return holds(False, f"{_about(seen)}: beside {first.pod}, {second.pod}: {second.problem}", subjects=2)
    if why := _not_running(first) or _not_running(second):
        return undecided(f"{_about(seen)}: {why}")
    if not seen.parent:
        return left_out(f"{_about(seen)}: two Pods run, and nothing tells of which physical device each has one")
    if seen.elsewhere:
        return undecided(
            f"{_about(seen)}: no selector tells them from {', '.join(seen.elsewhere)}, which a Pod was given"
        )
    parts = Beside(seen.control, seen.release, seen.boot, parts=True)
    known = compare(
        first, second, {each.pod: signs(each, parts) for each in (first, second)}, option=f"{_CHECK}.device"
    )
    if known.alike is False:
        return holds(False, f"{_about(seen)}: both are said to be of {seen.parent}, but {known.words}", subjects=2)
    told = known.words if known.alike else f"both are published as of {seen.parent}"
    return holds(True, f"{_about(seen)}: two Pods run; {told}", subjects=2)


@assertion("virtual_devices_are_isolated", "Two Pods with a virtual device each see their own and not the other's")
def virtual_devices_are_isolated(seen: Virtual) -> Finding:
    first, second = seen.first, seen.second
    if seen.shared:
        return left_out(f"{_about(seen)}: Pods share them on purpose: {seen.shared}")
    if seen.total < 2 and second is None:
        return left_out(f"{_about(seen)}: there is one virtual device")
    if second is None or first.view is None or second.view is None or seen.control is None:
        return undecided(f"{_about(seen)}: {_not_running(first) or _not_running(second)}")
    both = nodes.in_common(granted(first.view, seen.control), granted(second.view, seen.control))
    told = f"{_about(seen)}: {first.pod} and {second.pod} both see {paths(both.both) or 'no device node'}"
    if both.empty:
        return undecided(f"{_about(seen)}: the holders have no device nodes to compare")
    if both.both and any(off_node(each, seen.release, seen.boot) for each in (first.view, second.view)):
        return undecided(f"{told}, which under kernels of their own can be different devices")
    if both.nothing_own and seen.way == "device-plugin" and perhaps_shared(seen.name):
        return undecided(f"{told}, and the device plugin can share devices without saying so")
    if both.nothing_own or both.devices:
        return holds(False, told, subjects=2)
    if both.unknown:
        return undecided(f"{told}: a device or a control node")
    return holds(True, f"{_about(seen)}: {first.pod} and {second.pod} have no device in common", subjects=2)


@assertion("unshared_device_is_exclusive", "A second Pod for the same virtual device stays unscheduled")
def unshared_device_is_exclusive(seen: Virtual) -> Finding:
    if seen.shared:
        return left_out(f"{_about(seen)}: Pods share them on purpose: {seen.shared}")
    excess = seen.excess
    if excess.not_tried:
        return undecided(f"{_about(seen)}: no second Pod asked for a held device: {excess.not_tried}")
    asked = f"{_about(seen)}: one more Pod asked for {excess.asked}, which {seen.first.pod} holds"
    if excess.waits:
        if not waits_for_devices(excess.waits, excess.asked or seen.name):
            return undecided(f"{asked}, and waits for something else: {excess.waits}")
        return holds(True, f"{asked}; unscheduled for {excess.window:.0f} s; scheduler: {excess.waits}", subjects=1)
    other_device = excess.allocated and not {*excess.allocated} & {*seen.first.allocated}
    if _GIVEN_AWAY.search(excess.became) or other_device or excess.others_after < excess.others_before:
        given = ", ".join(excess.allocated) or f"others held {excess.others_before}, then {excess.others_after}"
        return undecided(f"{asked}, and was placed with another device ({given}): {excess.became}")
    return holds(False, f"{asked}, and was placed on the node: {excess.became}", subjects=1)


@assertion("device_is_released", "After its holder is deleted, a virtual device is free again and the second Pod runs")
def device_is_released(seen: Virtual) -> Finding:
    released = seen.released
    if seen.shared:
        return left_out(f"{_about(seen)}: Pods share them on purpose: {seen.shared}")
    if released.not_tried:
        return undecided(f"{_about(seen)}: {released.not_tried}")
    if not released.placed:
        held = f"held: {released.held}" if released.held else "nobody is seen to hold it"
        late = f"{released.seconds:.0f} s after {seen.first.pod} was deleted the second Pod still waits"
        said = f"{_about(seen)}: {late}; {held}"
        return undecided(said) if released.taken else holds(False, said, subjects=1)
    if released.problem:
        return holds(False, f"{_about(seen)}: the second Pod does not run: {released.problem}", subjects=1)
    return holds(True, f"{_about(seen)}: after {seen.first.pod} was deleted, the second Pod ran", subjects=1)
