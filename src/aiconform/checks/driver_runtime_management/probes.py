"""What driver_runtime_management does: it reads what nodes advertise, and looks from a container with a device.

One Pod on a node has a container with a device and one without. The first prints what the driver shows under /proc and
/sys, and the libraries that came with the device; the difference between the two is what was injected.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiconform.check import Access, Inspection, NothingToLookAt, Settings, accelerators, inspection, probe
from aiconform.checks.driver_runtime_management import container as containers
from aiconform.checks.driver_runtime_management.advertising import advertisements
from aiconform.checks.driver_runtime_management.observations import (
    Advertisements,
    Installed,
    NodeAdvertisement,
)
from aiconform.checks.driver_runtime_management.options import DriverRuntimeManagement
from aiconform.cluster import Object
from aiconform.cluster.scratch import Scratch
from aiconform.kit.container_view import LOOKED, look_script, parse_view
from aiconform.kit.devices import CLAIM_ACCESS, request_devices, served_by
from aiconform.kit.logs import read_until
from aiconform.kit.pods import POD_ACCESS, container, pod
from aiconform.kit.starting import BLAME_SECONDS, holder_started
from aiconform.kit.together import gather
from aiconform.platform import NodeAccelerators, Platform
from aiconform.platform.accelerators.drivers import family_of

READ_ACCESS = (
    Access("resource.k8s.io", "resourceslices", ("list",), everywhere=True),
    Access("", "nodes", ("list",), everywhere=True),
)


async def _advertised(platform: Platform, settings: Settings) -> list[NodeAdvertisement]:
    offered = (await platform.accelerators()).offered
    return await advertisements(platform, offered, settings.of(DriverRuntimeManagement))


@probe(limit=30, access=READ_ACCESS)
async def advertising(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> Advertisements:
    # What is passed over where nothing is offered.
    await accelerators(platform, settings)
    return Advertisements(nodes=await _advertised(platform, settings))


async def looked_at(platform: Platform, settings: Settings) -> Sequence[NodeAccelerators]:
    """Every accelerator node, or of each kind one for each version that is advertised and no fewer than two.

    That nodes differ and do not say so shows only if two of them are looked at. Raises NothingToLookAt.
    """
    chosen = await accelerators(platform, settings)
    if settings.every_node:
        return chosen
    options = settings.of(DriverRuntimeManagement)
    found: list[NodeAccelerators] = []
    for members in (await platform.accelerators()).ranked():
        by_version: dict[object, NodeAccelerators] = {}
        for each, advertised in zip(members, await advertisements(platform, members, options), strict=True):
            by_version.setdefault(advertised.driver, each)
        found += by_version.values()
        if len(by_version) == 1:
            found += [each for each in members[1:2] if each.room]
    return found


@probe(limit=60 + BLAME_SECONDS, targets=looked_at, devices=(1, 1), access=(*CLAIM_ACCESS, *POD_ACCESS))
async def installed(platform: Platform, scratch: Scratch, settings: Settings, target: NodeAccelerators) -> Installed:
    if target.room < 1:
        raise NothingToLookAt(f"nothing to look at: of the devices of {target}, {target.occupied}")
    options, cluster = settings.of(DriverRuntimeManagement), platform.cluster
    family, root = family_of(target.profile), containers.kernel_root(simulated=target.simulated)
    (advertised,) = await advertisements(platform, [target], options)
    created = await _created(platform, scratch, target, containers.find_script(family, root, options.file))
    running, problem = await holder_started(platform, scratch, created, seconds=settings.patience)
    if running is None:
        return Installed(advertised=advertised, served_by=target.way, asked=target.unit, problem=problem)
    told, without = await gather(
        *(read_until(cluster, running, each, LOOKED, seconds=settings.patience) for each in ("holder", "control"))
    )
    holder, control = parse_view(told), parse_view(without)
    kernel = (await platform.node(target.node))["status"].get("nodeInfo") or {}
    return Installed(
        advertised=advertised,
        served_by=served_by(target, [running]),
        asked=target.unit,
        total=target.total,
        holder=holder,
        control=control,
        found=containers.find(family, root, told, holder, control, options.file),
        runtime_class=running["spec"].get("runtimeClassName") or "",
        release=kernel.get("kernelVersion", ""),
        boot=kernel.get("bootID", ""),
    )


async def _created(platform: Platform, scratch: Scratch, target: NodeAccelerators, script: str) -> Object:
    """A Pod on the target's node: its container `holder` is given devices, its container `control` is not."""
    request = await request_devices(platform, scratch, target)
    image, node = platform.images["shell"], await platform.node(target.node)
    both = [
        container("holder", image, script, resources=request.resources),
        container("control", image, look_script()),
    ]
    return await scratch.create(pod(scratch.name("pod"), node, both, **request.pod_spec))


@inspection
async def advertised_versions(platform: Platform, settings: Settings) -> Inspection:
    nodes = await _advertised(platform, settings)
    found = [f"{each.name} on {each.node}: {', '.join(map(str, each.driver))}" for each in nodes if each.driver]
    silent = [
        f"{each.name} on {each.node}: no version of the driver is advertised where it is looked for; name the label or "
        "attribute that has it: --set driver_runtime_management.version=NAME"
        for each in nodes
        if not each.driver
    ]
    # Kinds of one driver say the same.
    return Inspection(tuple(dict.fromkeys(found)), problems=tuple(dict.fromkeys(silent)))
