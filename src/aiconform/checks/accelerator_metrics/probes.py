"""What accelerator_metrics does: it reads the exporters' metrics, and puts one device under load.

Endpoints are discovered as a monitoring system discovers them. Their samples are matched with the devices that the
platform advertises, by a label that identifies the device.
"""

from __future__ import annotations

from aiconform.check import Access, Inspection, NothingToLookAt, Settings, accelerators, inspection, probe
from aiconform.checks.accelerator_metrics.device_load import under_load
from aiconform.checks.accelerator_metrics.device_metrics import best, describe, devices_of
from aiconform.checks.accelerator_metrics.observations import Coverage, Load, NodeMetrics
from aiconform.checks.accelerator_metrics.options import AcceleratorMetrics, conventions
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import CLAIM_ACCESS
from aiconform.kit.pods import POD_ACCESS
from aiconform.kit.starting import BLAME_SECONDS
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.monitoring.exporters import NodeSources, find

METRICS_ACCESS = (
    Access("", "pods/proxy", ("get",)),
    Access("", "services", ("list",)),
    Access("monitoring.coreos.com", "podmonitors", ("list",)),
    Access("monitoring.coreos.com", "servicemonitors", ("list",)),
)


@probe(limit=120, access=METRICS_ACCESS)
async def coverage(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> Coverage:
    options = settings.of(AcceleratorMetrics)
    offered = (await platform.accelerators()).offered
    if not offered:
        await accelerators(platform, settings)
    found = await find(platform, [each.node for each in offered], conventions(options), only=options.exporter)
    nodes: list[NodeMetrics] = []
    # Devices with names first: the remaining readings are of devices that are only counted.
    for each in sorted(offered, key=lambda entry: entry.way != "dra"):
        taken = {device.label for node in nodes if node.node == each.node for device in node.devices}
        nodes.append(describe(each, await devices_of(platform, each), found[each.node], taken))
    if not any(node.endpoint or node.problem in ("slow", "format") for node in nodes):
        raise NothingToLookAt(nowhere(found))
    return Coverage(nodes=nodes)


def nowhere(found: dict[str, NodeSources]) -> str:
    tried = "; ".join(dict.fromkeys(line for each in found.values() for line in each.tried))
    return (
        f"nothing to look at: no endpoint reports accelerators ({tried or 'no Pod of these nodes has one'}). "
        "Install the vendor's exporter, or name its Pods: --set accelerator_metrics.exporter=NAMESPACE/POD* "
        "(and .utilization, .memory if the suite does not know its metrics)"
    )


def _limit(settings: Settings) -> float:
    return 2 * settings.of(AcceleratorMetrics).load_seconds + 60 + BLAME_SECONDS


# It reserves all free devices of the node: no other probe of this run uses one at the same time.
@probe(limit=_limit, targets=accelerators, devices=(1, 1024), access=(*METRICS_ACCESS, *CLAIM_ACCESS, *POD_ACCESS))
async def load(platform: Platform, scratch: Scratch, settings: Settings, target: NodeAccelerators) -> Load:
    if target.free < 1:
        raise NothingToLookAt(f"nothing to look at: every device of {target} is in use")
    options = settings.of(AcceleratorMetrics)
    found = await find(platform, [target.node], conventions(options), only=options.exporter)
    devices = await devices_of(platform, target)
    source = best(found[target.node].sources, devices)
    if source is None:
        raise NothingToLookAt(nowhere(found))
    if not any(each.label for each in source.readings(source.first)):
        raise NothingToLookAt(f"nothing to look at: {source.place} does not label its samples by device")
    return await under_load(
        platform,
        scratch,
        target,
        source,
        devices,
        image=options.load_image,
        command=options.load_command,
        seconds=options.load_seconds,
        patience=settings.patience,
    )


@inspection
async def sources(platform: Platform, settings: Settings) -> Inspection:
    options = settings.of(AcceleratorMetrics)
    offered = (await platform.accelerators()).offered
    found = await find(platform, [each.node for each in offered], conventions(options), only=options.exporter)
    told = {
        f"{source.place} on {node}: {source.convention.name}, found by {source.found_by}": None
        for node, each in found.items()
        for source in each.sources
    }
    if not told:
        return Inspection(missing=(nowhere(found),) if offered else ())
    silent = [node for node, each in found.items() if not each.sources]
    problems = [
        f"no metrics of the accelerators on {node}: {'; '.join(found[node].tried) or 'no endpoint'}" for node in silent
    ]
    return Inspection(tuple(told), problems=tuple(problems))
