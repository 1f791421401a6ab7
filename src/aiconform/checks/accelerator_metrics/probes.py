"""accelerator_metrics: every accelerator's utilization and memory are reported, and follow what is done with it.

The endpoints are found as a monitoring system finds them. Their samples are matched with the devices that the platform
advertises, by a label that tells one device from another. Then one device is put to use, and its utilization has to
rise, that of idle ones not, and to fall again.
"""

from __future__ import annotations

from pydantic import Field

from aiconform.check import (
    Access,
    Finding,
    Inspection,
    NothingToLookAt,
    Observation,
    Options,
    Settings,
    accelerators,
    assertion,
    holds,
    inspection,
    probe,
    undecided,
)
from aiconform.checks.accelerator_metrics.device_load import Load, under_load
from aiconform.checks.accelerator_metrics.device_metrics import NodeMetrics, best, describe, devices_of
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import CLAIM_ACCESS
from aiconform.kit.pods import POD_ACCESS
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.monitoring.exporters import NodeSources, find
from aiconform.platform.monitoring.metrics import Family, load_families

# A value that was rounded up is still in range.
FULL = 100.5
# Points of a percentage that make a difference: noise stays below.
MARGIN = 10.0
METRICS_ACCESS = (
    Access("", "pods/proxy", ("get",)),
    Access("", "services", ("list",)),
    Access("monitoring.coreos.com", "podmonitors", ("list",)),
    Access("monitoring.coreos.com", "servicemonitors", ("list",)),
)


class AcceleratorMetrics(Options):
    exporter: str = Field("", description="The exporter's Pods, as a shell pattern of NAMESPACE/POD; else it is found.")
    utilization: str = Field("", description="Name of a metric of utilization (percent) that the suite does not know.")
    memory: str = Field("", description="Name of a metric of memory in use (bytes) that the suite does not know.")
    load_image: str = Field("", description="Image that puts a device under load; by default it is only held open.")
    load_command: str = Field("", description="Shell command for that image, instead of what the image runs itself.")
    seconds: float = Field(90.0, ge=1, description="How long a load may take to show in the metrics, and to leave.")


def families(options: AcceleratorMetrics) -> tuple[Family, ...]:
    """The known families, and first of all one of the names that were set."""
    known = load_families()
    units = {
        name: (quantity, unit)
        for name, quantity, unit in (
            (options.utilization, "utilization", "percent"),
            (options.memory, "memory_used", "bytes"),
        )
        if name
    }
    if not units:
        return known
    labels = tuple(dict.fromkeys(label for family in known for label in family.device_labels))
    return (Family("as set for this run", device_labels=labels, units=units), *known)


# What is reported


class Coverage(Observation):
    """What is reported of every accelerator of the platform."""

    nodes: list[NodeMetrics]


@probe(limit=120, access=METRICS_ACCESS)
async def coverage(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> Coverage:
    options = settings.of(AcceleratorMetrics)
    offered = (await platform.accelerators()).offered
    if not offered:
        await accelerators(platform, settings)
    found = await find(platform, [each.node for each in offered], families(options), only=options.exporter)
    nodes: list[NodeMetrics] = []
    # Those whose devices have names go first: what is left is of those that are only counted.
    for each in sorted(offered, key=lambda entry: entry.way != "dra"):
        taken = {device.label for node in nodes if node.node == each.node for device in node.devices}
        nodes.append(describe(each, await devices_of(platform, each), found[each.node], taken))
    if not any(node.endpoint or node.problem in ("slow", "format") for node in nodes):
        raise NothingToLookAt(nowhere(found))
    return Coverage(nodes=nodes)


def nowhere(found: dict[str, NodeSources]) -> str:
    tried = "; ".join(dict.fromkeys(line for each in found.values() for line in each.tried))
    return (
        f"nothing to look at: no endpoint tells of accelerators ({tried or 'no Pod of these nodes has one'}). "
        "Install the vendor's exporter, or name it: --set accelerator_metrics.exporter=NAMESPACE/POD* "
        "(and .utilization, .memory if its names are not known)"
    )


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


@assertion("utilization_reported", "Utilization is reported for every device that the metrics name, in range")
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


@assertion("memory_reported", "Memory in use is reported for every device that the metrics name, in range")
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


# What they say under load


def _limit(settings: Settings) -> float:
    return 2 * settings.of(AcceleratorMetrics).seconds + 60


# All free devices of the node: nobody else of this run may use one meanwhile.
@probe(limit=_limit, targets=accelerators, devices=(1, 1024), access=(*METRICS_ACCESS, *CLAIM_ACCESS, *POD_ACCESS))
async def load(platform: Platform, scratch: Scratch, settings: Settings, target: NodeAccelerators) -> Load:
    if target.free < 1:
        raise NothingToLookAt(f"nothing to look at: every device of {target} is taken")
    options = settings.of(AcceleratorMetrics)
    found = await find(platform, [target.node], families(options), only=options.exporter)
    devices = await devices_of(platform, target)
    source = best(found[target.node].sources, devices)
    if source is None:
        raise NothingToLookAt(nowhere(found))
    if not any(each.label for each in source.readings(source.first)):
        raise NothingToLookAt(f"nothing to look at: {source.place} does not tell one device from another")
    return await under_load(
        platform,
        scratch,
        target,
        source,
        devices,
        image=options.load_image,
        command=options.load_command,
        seconds=options.seconds,
        patience=settings.patience,
        margin=MARGIN,
    )


def _rose(seen: Load, label: str) -> bool:
    return label in seen.during and seen.during[label] - seen.before.get(label, 0.0) >= MARGIN


def _moved(seen: Load, label: str) -> str:
    values = [each.get(label) for each in (seen.before, seen.during, seen.after)]
    return f"{label}: " + " → ".join("-" if value is None else f"{value:g} %" for value in values)


def _risen(seen: Load) -> list[str]:
    """All devices whose utilization rose while one was in use."""
    return [label for label in seen.during if _rose(seen, label)]


def _unloaded(seen: Load) -> str:
    """Why nothing can be said: empty if the device was really put to use and is in the metrics."""
    if seen.problem:
        return f"no Pod started with a device on {seen.node}: {seen.problem}"
    if seen.device and not seen.label:
        return f"{seen.device}, which was in use, is not in the metrics of {seen.endpoint}"
    if not _risen(seen) and seen.load == "open" and not seen.simulated:
        return (
            "a Pod held the device open, which is no load for this hardware: name an image that computes, "
            "--set accelerator_metrics.load_image=IMAGE"
        )
    return ""


@assertion("utilization_rises", "Utilization of a device that a Pod uses rises")
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
        return undecided("the utilization of no device rose")
    if not seen.idle:
        return undecided(f"no other device of {seen.node} was idle")
    if seen.label:
        wrong = [label for label in risen if label in seen.idle]
        allowed = seen.foreign
    else:
        wrong, allowed = risen, 1 + seen.foreign
    told = "; ".join(_moved(seen, label) for label in (wrong or seen.idle))
    return holds(len(wrong) <= allowed, told, subjects=len(seen.idle))


@assertion("utilization_falls", "It falls again when the Pod is gone")
def utilization_falls(seen: Load) -> Finding:
    if why := _unloaded(seen):
        return undecided(why)
    label = seen.label or next(iter(_risen(seen)), "")
    if not label or not _rose(seen, label):
        return undecided("it did not rise")
    fell = label in seen.after and seen.after[label] - seen.before.get(label, 0.0) < MARGIN
    return holds(fell, f"{_moved(seen, label)}, {seen.seconds_after:.0f} s after the Pod's end", subjects=1)


@inspection
async def sources(platform: Platform, settings: Settings) -> Inspection:
    options = settings.of(AcceleratorMetrics)
    offered = (await platform.accelerators()).offered
    found = await find(platform, [each.node for each in offered], families(options), only=options.exporter)
    told = {
        f"{source.place} on {node}: {source.family.name}, found by {source.found_by}": None
        for node, each in found.items()
        for source in each.sources
    }
    silent = [node for node, each in found.items() if not each.sources]
    missing = [
        f"no metrics of the accelerators on {node}: {'; '.join(found[node].tried) or 'no endpoint'}" for node in silent
    ]
    return Inspection(tuple(told), tuple(missing) if offered else ("accelerators",))
