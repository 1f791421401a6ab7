"""What the metrics have to show: every device, with plausible values that follow its use."""

from __future__ import annotations

from collections.abc import Callable

from aiconform.check import Finding, assertion, holds, left_out, undecided
from aiconform.checks.accelerator_metrics.observations import IN_USE, MARGIN, Coverage, DeviceMetrics, Load, NodeMetrics

# Rounding may exceed 100 percent a little.
FULL = 100.5
_ELSEWHERE = "run the check on a node whose accelerators are idle (--nodes SELECTOR)"


# Coverage


def _answered(seen: Coverage) -> list[NodeMetrics]:
    return [node for node in seen.nodes if node.endpoint]


@assertion("standard_format", "The exporters that were found answer a scrape in a standard format")
def standard_format(seen: Coverage) -> Finding:
    bad = [node.message for node in seen.nodes if node.problem in ("slow", "format")]
    closed = [node for node in seen.nodes if node.problem in ("authentication", "unreachable")]
    if bad:
        return holds(False, "; ".join(dict.fromkeys(bad)), subjects=len(bad))
    if closed:
        told = "; ".join(dict.fromkeys(node.message for node in closed))
        return undecided(". ".join((told, *dict.fromkeys(node.way_out for node in closed if node.way_out))))
    places = dict.fromkeys(f"{node.endpoint} ({node.found_by})" for node in _answered(seen))
    return holds(True, ", ".join(places), subjects=len(places))


@assertion("every_device", "Every advertised device is in the metrics, by a label of its own")
def every_device(seen: Coverage) -> Finding:
    wrong: list[str] = []
    unsure: list[str] = []
    notes: dict[str, None] = {}
    count = 0
    for node in seen.nodes:
        if node.problem:
            continue
        expected = node.devices_expected
        count += expected
        if node.undecided and len(node.devices) >= expected:
            unsure.append(f"{node.node}: {node.undecided}")
        elif len(node.devices) < expected:
            missing = node.missing or [f"{expected - len(node.devices)} of {expected} devices"]
            why = node.message if not node.endpoint else f"not in {node.endpoint}"
            also = f", which has {node.unnamed} readings without a device" if node.unnamed else ""
            told = f"{node.node}: {', '.join(missing)} {why}{also}"
            if node.undecided:
                unsure.append(f"{told}: {node.undecided}")
            elif node.endpoint and not node.unnamed and {"utilization", "memory_used"} <= {*node.only_in_use}:
                unsure.append(f"{told}: {node.convention} reports nothing of devices that are idle; {IN_USE}")
            else:
                wrong.append(told)
        elif node.endpoint:
            names = (
                "OpenTelemetry's names" if node.opentelemetry else f"names of {node.convention}, not OpenTelemetry's"
            )
            others = [each for each in ("temperature", "power", "interconnect") if each in node.reported]
            counted = f" ({node.counted})" if node.counted else ""
            notes[f"{names}{counted}; also reported: {', '.join(others) or 'nothing else'}"] = None
    if not count:
        return undecided("no exporter could be read")
    if wrong or not unsure:
        return holds(not wrong, "; ".join(wrong) or f"{count} devices; {'; '.join(notes)}", subjects=count)
    return undecided("; ".join(unsure))


@assertion(
    "utilization_reported",
    "Utilization is reported for every device that the metrics name, in range",
    serves=("utilization_reported", "values_in_range"),
)
def utilization_reported(seen: Coverage) -> Finding:
    def problem(device: DeviceMetrics) -> str:
        value = device.utilization
        return "" if value is None or 0 <= value <= FULL else f"{value:g} %"

    return _reported(seen, "utilization", lambda device: device.utilization, problem)


@assertion(
    "memory_reported",
    "Memory in use is reported for every device that the metrics name, in range",
    serves=("memory_reported", "values_in_range"),
)
def memory_reported(seen: Coverage) -> Finding:
    def problem(device: DeviceMetrics) -> str:
        used, total = device.memory_used, device.memory_total
        if device.memory_unit == "percent":
            return "" if used is None or 0 <= used <= FULL else f"{used:g} % of memory"
        wrong = used is not None and (used < 0 or (total is not None and used > total))
        return f"{used:g} of {total or 0:g} bytes" if wrong else ""

    return _reported(seen, "memory_used", lambda device: device.memory_used, problem)


def _reported(
    seen: Coverage,
    quantity: str,
    value: Callable[[DeviceMetrics], float | None],
    problem: Callable[[DeviceMetrics], str],
) -> Finding:
    """Whether every device has a value without a problem. Exporters that report it only in use decide nothing else."""
    wrong: list[str] = []
    idle: dict[str, None] = {}
    unsure: dict[str, None] = {}
    count = 0
    for node in _answered(seen):
        count += len(node.devices)
        # What stands for these by number is judged as they are.
        others = [each for each in node.by_number if value(each) is not None]
        lacking = [device for device in node.devices if value(device) is None]
        by_number = bool(lacking) and len(others) == len(node.by_number) == len(node.devices)
        for device in (*node.devices, *(others if by_number else ())):
            if told := problem(device):
                wrong.append(f"{node.node}: {told} for {device.label}")
        for device in () if by_number else lacking:
            if quantity in node.only_in_use:
                idle[f"{node.convention} reports it only of devices in use, and has none on {node.node}"] = None
            elif quantity in node.unsure:
                unsure[f"{node.node}: none for {device.label}: {node.unsure[quantity]}"] = None
            else:
                wrong.append(f"{node.node}: none for {device.label}")
    if not count:
        return undecided("the metrics name no device")
    if wrong or not (idle or unsure):
        return holds(not wrong, "; ".join(wrong) or f"reported for {count} devices", subjects=count)
    return undecided("; ".join((*unsure, *idle, *([IN_USE] if idle else []))))


# Under load


def _rose(seen: Load, label: str) -> bool:
    return label in seen.during and seen.during[label] - seen.before.get(label, 0.0) >= MARGIN


def _fell(seen: Load, label: str) -> bool:
    return label in seen.after and seen.after[label] - seen.before.get(label, 0.0) < MARGIN


def _moved(seen: Load, label: str) -> str:
    values = [each.get(label) for each in (seen.before, seen.during, seen.after)]
    return f"{label}: " + " → ".join("-" if value is None else f"{value:g} %" for value in values)


def _risen(seen: Load) -> list[str]:
    """All devices whose utilization rose while one was in use."""
    return [label for label in seen.during if _rose(seen, label)]


def _unloaded(seen: Load) -> str:
    """Why the observation decides nothing; empty if the device was under load and is in the metrics."""
    if seen.problem:
        return f"no Pod started with a device on {seen.node}: {seen.problem}"
    if not seen.before and (why := seen.unread.get("before")):
        return f"the metrics could not be read before the load: {why}"
    if seen.ended:
        return (
            f"the Pod with the device ended before its use showed: {seen.ended}; name an image or a command that keeps "
            "the device busy, --set accelerator_metrics.load_image=IMAGE, .load_command=COMMAND"
        )
    if seen.device and not seen.label:
        return f"{seen.device}, which was in use, is not in the metrics of {seen.endpoint}"
    if seen.sharing:
        return f"{', '.join(seen.sharing)} also held {seen.label or 'the device'}: {_ELSEWHERE}"
    if seen.before.get(seen.label, 0.0) > FULL - MARGIN:
        return f"{seen.label} was at {seen.before[seen.label]:g} % before the load: {_ELSEWHERE}"
    if not seen.label and seen.foreign and _risen(seen):
        return (
            f"other Pods held {seen.foreign} device(s) of {seen.node}, and nothing tells which one rose by the load: "
            f"let the exporter name Pods, or {_ELSEWHERE}"
        )
    rose = _rose(seen, seen.label) if seen.label else bool(_risen(seen))
    if not rose and (why := seen.unread.get("during")):
        return f"the metrics could not be read during the load: {why}"
    if not rose and seen.load == "open" and not seen.simulated:
        return (
            "a Pod held the device open, which puts no load on this hardware: name an image that computes, "
            "--set accelerator_metrics.load_image=IMAGE"
        )
    return ""


@assertion(
    "utilization_rises",
    "Utilization of a device that a Pod uses rises",
    serves=("utilization_rises", "values_are_not_frozen"),
)
def utilization_rises(seen: Load) -> Finding:
    if why := _unloaded(seen):
        return undecided(why)
    if seen.label:
        return holds(_rose(seen, seen.label), _moved(seen, seen.label), subjects=1)
    risen = _risen(seen)
    told = "; ".join(_moved(seen, label) for label in risen) or f"none of {len(seen.during)} devices rose"
    return holds(bool(risen), told, subjects=1)


@assertion("idle_devices_stay", "Utilization of idle devices does not rise meanwhile")
def idle_devices_stay(seen: Load) -> Finding:
    if why := _unloaded(seen):
        return undecided(why)
    risen = _risen(seen)
    if not risen:
        return undecided("no device's utilization rose")
    if len(seen.during) <= seen.held:
        return left_out(f"{seen.node} has no other device")
    # Who uses the devices of another kind, nobody has looked at.
    if 0 < seen.of_kind <= seen.held:
        return left_out(f"{seen.node} has no other device of this kind")
    if not seen.idle:
        return undecided(f"no other device of {seen.node} was idle")
    idle = [label for label in risen if label in seen.idle]
    # These are in use, if it is not known which.
    allowed = 0 if seen.label else seen.held
    if len(idle) <= allowed:
        told = "; ".join(_moved(seen, label) for label in idle or seen.idle)
        return holds(True, told, subjects=len(seen.idle))
    # Somebody else's work does not end with the load.
    follow = [label for label in idle if not seen.after or _fell(seen, label)]
    told = "; ".join(_moved(seen, label) for label in idle)
    if len(follow) > allowed and not (seen.label and len(follow) <= seen.foreign):
        return holds(False, told, subjects=len(seen.idle))
    return undecided(f"{told}: something else than the load may have used them; {_ELSEWHERE}")


@assertion(
    "utilization_falls",
    "Utilization of the device falls again after the Pod ends",
    serves=("utilization_falls", "values_are_not_frozen"),
    formerly=("It falls again when the Pod is gone",),
)
def utilization_falls(seen: Load) -> Finding:
    if why := _unloaded(seen):
        return undecided(why)
    label = seen.label or next(iter(_risen(seen)), "")
    if not label or not _rose(seen, label):
        return undecided("the device's utilization did not rise")
    fell = _fell(seen, label)
    told = f"{_moved(seen, label)}, {seen.seconds_after:.0f} s after the Pod ended"
    if not fell and (unread := seen.unread.get("after")):
        return undecided(f"the metrics could not be read after the load: {unread}")
    if not fell and seen.after and label not in seen.after:
        return undecided(f"{told}; {seen.endpoint} reported it no longer")
    if not fell and seen.followed_by:
        return undecided(f"{told}; {', '.join(seen.followed_by)} may use it now: {_ELSEWHERE}")
    return holds(fell, told, subjects=1)
