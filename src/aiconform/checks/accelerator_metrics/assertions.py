"""What the metrics have to show: every device, with plausible values that follow its use."""

from __future__ import annotations

from aiconform.check import Finding, assertion, holds, undecided
from aiconform.checks.accelerator_metrics.observations import MARGIN, Coverage, Load, NodeMetrics

# Rounding may exceed 100 percent a little.
FULL = 100.5


# Coverage


def _answered(seen: Coverage) -> list[NodeMetrics]:
    return [node for node in seen.nodes if node.endpoint]


@assertion("standard_format", "The exporters that were found answer a scrape in a standard format")
def standard_format(seen: Coverage) -> Finding:
    bad = [node.message for node in seen.nodes if node.problem in ("slow", "format")]
    closed = [node.message for node in seen.nodes if node.problem in ("authentication", "unreachable")]
    if bad:
        return holds(False, "; ".join(dict.fromkeys(bad)), subjects=len(bad))
    if closed:
        return undecided("; ".join(dict.fromkeys(closed)))
    places = dict.fromkeys(f"{node.endpoint} ({node.found_by})" for node in _answered(seen))
    return holds(True, ", ".join(places), subjects=len(places))


@assertion("every_device", "Every advertised device is in the metrics, by a label of its own")
def every_device(seen: Coverage) -> Finding:
    wrong: list[str] = []
    notes: dict[str, None] = {}
    count = 0
    for node in seen.nodes:
        if node.problem:
            continue
        count += node.advertised
        missing = node.missing or [f"{node.advertised - len(node.devices)} of {node.advertised} devices"]
        if len(node.devices) < node.advertised:
            why = node.message if not node.endpoint else f"not in {node.endpoint}"
            also = f", which has {node.unnamed} readings without a device" if node.unnamed else ""
            wrong.append(f"{node.node}: {', '.join(missing)} {why}{also}")
        elif node.endpoint:
            names = (
                "OpenTelemetry's names" if node.opentelemetry else f"names of {node.convention}, not OpenTelemetry's"
            )
            others = [each for each in ("temperature", "power", "interconnect") if each in node.reported]
            notes[f"{names}; also reported: {', '.join(others) or 'nothing else'}"] = None
    if not count:
        return undecided("no exporter could be read")
    return holds(not wrong, "; ".join(wrong) or f"{count} devices; {'; '.join(notes)}", subjects=count)


@assertion(
    "utilization_reported",
    "Utilization is reported for every device that the metrics name, in range",
    serves=("utilization_reported", "values_in_range"),
)
def utilization_reported(seen: Coverage) -> Finding:
    wrong, count = [], 0
    for node in _answered(seen):
        for device in node.devices:
            count += 1
            if device.utilization is None:
                wrong.append(f"{node.node}: none for {device.label}")
            elif not 0 <= device.utilization <= FULL:
                wrong.append(f"{node.node}: {device.utilization:g} % for {device.label}")
    if not count:
        return undecided("the metrics name no device")
    return holds(not wrong, "; ".join(wrong) or f"reported for {count} devices", subjects=count)


@assertion(
    "memory_reported",
    "Memory in use is reported for every device that the metrics name, in range",
    serves=("memory_reported", "values_in_range"),
)
def memory_reported(seen: Coverage) -> Finding:
    wrong, count = [], 0
    for node in _answered(seen):
        for device in node.devices:
            count += 1
            used, total = device.memory_used, device.memory_total
            if used is None:
                wrong.append(f"{node.node}: none for {device.label}")
            elif used < 0 or (total is not None and used > total):
                wrong.append(f"{node.node}: {used:g} of {total or 0:g} bytes for {device.label}")
    if not count:
        return undecided("the metrics name no device")
    return holds(not wrong, "; ".join(wrong) or f"reported for {count} devices", subjects=count)


# Under load


def _rose(seen: Load, label: str) -> bool:
    return label in seen.during and seen.during[label] - seen.before.get(label, 0.0) >= MARGIN


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
    if seen.device and not seen.label:
        return f"{seen.device}, which was in use, is not in the metrics of {seen.endpoint}"
    if not _risen(seen) and seen.load == "open" and not seen.simulated:
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
    if not seen.idle:
        return undecided(f"no other device of {seen.node} was idle")
    if seen.label:
        wrong = [label for label in risen if label in seen.idle]
        allowed = seen.foreign
    else:
        wrong, allowed = risen, 1 + seen.foreign
    told = "; ".join(_moved(seen, label) for label in (wrong or seen.idle))
    return holds(len(wrong) <= allowed, told, subjects=len(seen.idle))


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
    fell = label in seen.after and seen.after[label] - seen.before.get(label, 0.0) < MARGIN
    return holds(fell, f"{_moved(seen, label)}, {seen.seconds_after:.0f} s after the Pod ended", subjects=1)
