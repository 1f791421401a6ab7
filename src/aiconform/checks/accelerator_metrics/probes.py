"""What accelerator_metrics does: it reads the exporters' metrics, and puts one device under load.

Endpoints are discovered as a monitoring system discovers them. Their samples are matched with the devices that the
platform advertises, by a label that identifies the device.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from aiconform.check import Access, Inspection, NothingToLookAt, Settings, accelerators, inspection, probe
from aiconform.checks.accelerator_metrics.device_load import under_load
from aiconform.checks.accelerator_metrics.device_metrics import Advertised, advertised, describe
from aiconform.checks.accelerator_metrics.families import apart, labels, unsure_of_parts
from aiconform.checks.accelerator_metrics.observations import Coverage, Load, NodeMetrics
from aiconform.checks.accelerator_metrics.options import AcceleratorMetrics, conventions
from aiconform.checks.accelerator_metrics.together import ranked
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import CLAIM_ACCESS
from aiconform.kit.pods import POD_ACCESS
from aiconform.kit.starting import BLAME_SECONDS
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.monitoring.exporters import find
from aiconform.platform.monitoring.monitors import KINDS
from aiconform.platform.monitoring.sources import NodeSources, Source

METRICS_ACCESS = (
    Access("", "pods/proxy", ("get",), everywhere=True),
    Access("", "services", ("list",), everywhere=True),
    *(Access(kind.group, kind.plural, ("list",), everywhere=True, optional=kind.optional) for kind in KINDS),
)


# Endpoints are asked for as long as the user is patient: the limit is for the last ones.
@probe(limit=120, access=METRICS_ACCESS)
async def coverage(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> Coverage:
    options = settings.of(AcceleratorMetrics)
    offered = (await platform.accelerators()).offered
    if not offered:
        await accelerators(platform, settings)
    return Coverage(nodes=await _covered(platform, offered, options, settings.patience))


async def _covered(
    platform: Platform, offered: Sequence[NodeAccelerators], options: AcceleratorMetrics, patience: float
) -> list[NodeMetrics]:
    """What is reported of these accelerators. Raises NothingToLookAt if no endpoint reports any."""
    found = await find(platform, offered, conventions(options), only=options.exporter, seconds=patience)
    every = [await advertised(platform, each, options.shares) for each in offered]
    by_node: dict[str, list[tuple[Advertised, NodeMetrics]]] = defaultdict(list)
    of_each: list[NodeSources] = []
    for about in sorted(every, key=lambda each: each.exactness):
        target = about.target
        beside = _beside(target, offered)
        before = by_node[target.node]
        of_others = {
            device.label for other, seen in before if other.target.profile in beside for device in seen.devices
        }
        taken = {label for other, seen in before if apart(other, about) for label in labels(seen)}
        of_each.append(found[target.node].of(target.profile, beside))
        before.append((about, describe(about, of_each[-1], of_others, taken)))
    nodes = [seen for of_node in by_node.values() for seen in unsure_of_parts(of_node)]
    order = {(each.node, each.kind): number for number, each in enumerate(offered)}
    nodes.sort(key=lambda seen: order[seen.node, (seen.way, seen.name, seen.product)])
    if not any(node.endpoint or node.problem in ("slow", "format") for node in nodes):
        raise NothingToLookAt(nowhere(of_each))
    return nodes


def _beside(target: NodeAccelerators, offered: Sequence[NodeAccelerators]) -> set[str]:
    """The profiles of the other accelerators of its node."""
    return {each.profile for each in offered if each.node == target.node} - {target.profile}


def nowhere(found: Sequence[NodeSources]) -> str:
    """Why nothing reports these accelerators, and the ways out. Each is of one kind of them on one node."""
    unread = dict.fromkeys(scrape.message for each in found for scrape in each.unread)
    tried = "; ".join(
        line for line in dict.fromkeys(line for each in found for line in each.tried) if line not in unread
    )
    ways_out = list(dict.fromkeys(way_out for each in found for way_out in each.ways_out))
    if unread:
        told = [f"nothing to look at: exporters cannot be read: {'; '.join(unread)}"]
        told += [f"No other endpoint reports accelerators ({tried})"] if tried else []
        ways_out = ways_out or ["Name others: --set accelerator_metrics.exporter=NAMESPACE/POD*"]
    else:
        told = [f"nothing to look at: no endpoint reports accelerators ({tried or 'no Pod of these nodes has one'})"]
    ways_out += list(dict.fromkeys(each.hidden for each in found if each.hidden))
    if not all(each.is_closed for each in found):
        ways_out.append(
            "Install the vendor's exporter, or name its Pods: --set accelerator_metrics.exporter=NAMESPACE/POD* "
            "(and .utilization, .memory if the suite does not know its metrics)"
        )
    return ". ".join((*told, *ways_out))


def _limit(settings: Settings) -> float:
    # Patience twice more: for the endpoints of the node, and for the end of the Pod.
    waits = 2 * settings.patience + BLAME_SECONDS
    return 2 * settings.of(AcceleratorMetrics).load_seconds + waits + 60


# It reserves all free devices of the node: no other probe of this run uses one at the same time.
@probe(
    limit=_limit,
    targets=accelerators,
    devices=(1, 1024),
    access=(
        *METRICS_ACCESS,
        *CLAIM_ACCESS,
        *POD_ACCESS,
        # Whoever holds accelerators meanwhile.
        Access("", "pods", ("list", "watch"), everywhere=True),
        Access("resource.k8s.io", "resourceclaims", ("list", "watch"), everywhere=True),
    ),
)
async def load(platform: Platform, scratch: Scratch, settings: Settings, target: NodeAccelerators) -> Load:
    if target.room < 1:
        raise NothingToLookAt(f"nothing to look at: of the devices of {target}, {target.occupied}")
    options = settings.of(AcceleratorMetrics)
    found = await find(
        platform,
        [target],
        conventions(options),
        only=options.exporter,
        quantities=("utilization",),
        seconds=settings.patience,
    )
    sources = found[target.node].of(target.profile, _beside(target, (await platform.accelerators()).offered))
    about = await advertised(platform, target, options.shares)
    if not sources.sources:
        raise NothingToLookAt(nowhere([sources]))
    source, *others = ranked(sources.sources, about.devices, "utilization")
    if not any(each.label for each in source.devices):
        raise NothingToLookAt(f"nothing to look at: {source.place} does not label its samples by device")
    if not _followed(source) and (why := _may_be_followed(sources)):
        raise NothingToLookAt(f"nothing to look at: {source.place} reports no utilization, and {why}")
    seen = await under_load(platform, scratch, about, source, options, settings.patience)
    more = [each.place for each in others if _followed(each)]
    if more and _followed(source) < about.covered(source.devices).expected:
        why = (
            f"{source.place} reports utilization of {_followed(source)} devices; {', '.join(more)} may have the others"
        )
        seen = seen.model_copy(update={"unread": {"during": why, **seen.unread}})
    return seen


def _followed(source: Source) -> int:
    """Of how many devices the source reports the utilization, in use at least."""
    return sum(1 for each in source.devices if each.label and source.may_report(each, "utilization"))


def _may_be_followed(found: NodeSources) -> str:
    """Which exporter may report utilization that none of the sources does; empty if none may."""
    for each in found.unread:
        return ". ".join(filter(None, (each.message, each.way_out)))
    idle = [each.name for each in found.idle if "utilization" in each.only_in_use]
    return (
        f"{', '.join(idle)} does only of devices in use: run the check while workloads use some"
        if idle
        else found.hidden
    )


@inspection
async def sources(platform: Platform, settings: Settings) -> Inspection:
    offered = (await platform.accelerators()).offered
    if not offered:
        # The probe of the load says what was passed over.
        return Inspection()
    nodes = await _covered(platform, offered, settings.of(AcceleratorMetrics), settings.patience)
    silent = [
        ". ".join(filter(None, (f"no metrics of {node.name} on {node.node}: {node.message}", node.way_out)))
        for node in nodes
        if not node.endpoint
    ]
    why: dict[tuple[str, str], list[str]] = defaultdict(list)
    for node in nodes:
        for told in dict.fromkeys((node.undecided, *node.unsure.values())) if node.endpoint else ():
            if told:
                why[node.node, told].append(node.name)
    unsure = [f"{', '.join(names)} on {place}: {text}" for (place, text), names in why.items()]
    return Inspection(tuple(_told(node) for node in nodes if node.endpoint), problems=(*silent, *unsure))


def _told(node: NodeMetrics) -> str:
    devices = (*node.devices, *node.by_number)
    utilization = sum(device.utilization is not None for device in devices)
    memory = sum(device.memory_used is not None for device in devices)
    found_by = "" if node.convention in node.found_by else f" ({node.found_by})"
    count, expected = len(node.devices), node.devices_expected
    reports = f"reports {count} of {expected} {node.name}"
    if count > expected:
        reports = f"reports {count} devices for {expected} {node.name}"
    of_them = f"utilization of {utilization}, memory of {memory}"
    return f"{node.endpoint} on {node.node}: {node.convention}{found_by}, {reports}: {of_them}"
