"""What high_performance_networking does: Pods claim interfaces, look at what they got, and send data over them.

A first Pod claims a device by what that device publishes, wherever the scheduler puts it. Beside it start a Pod without
a claim and one on the node's own network. A second Pod with the device that goes best with the first one's fetches data
from it. Afterwards a Pod claims two devices of a node, and the next one the device of the first. Meanwhile, another one
claims a device and an accelerator of one place by one claim.
"""

from __future__ import annotations

from aiconform.check import Access, Inspection, NotApplicable, NothingToLookAt, Settings, inspection, probe
from aiconform.checks.high_performance_networking import inside
from aiconform.checks.high_performance_networking.aligning import AlignedPlace, Aligning, places
from aiconform.checks.high_performance_networking.network_pods import NetworkPods, described
from aiconform.checks.high_performance_networking.observations import Alignment, Described, Networking
from aiconform.checks.high_performance_networking.options import HighPerformanceNetworking
from aiconform.checks.high_performance_networking.places import Offered, nothing_free, offered
from aiconform.checks.high_performance_networking.session import Session
from aiconform.checks.high_performance_networking.unoffered import not_offered
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import CLAIM_ACCESS
from aiconform.kit.network import NETWORK_ACCESS, allow
from aiconform.kit.pods import POD_ACCESS
from aiconform.kit.starting import BLAME_SECONDS
from aiconform.platform import Platform

_LOOK_ACCESS = (
    Access("resource.k8s.io", "resourceslices", ("list",), everywhere=True),
    Access("resource.k8s.io", "resourceclaims", ("list",), everywhere=True),
    Access("resource.k8s.io", "deviceclasses", ("list",), everywhere=True),
    Access("resource.k8s.io", "devicetaintrules", ("list",), everywhere=True, optional=True),
    Access("", "nodes", ("list",), everywhere=True),
    Access("k8s.cni.cncf.io", "network-attachment-definitions", ("list",), everywhere=True, optional=True),
)


def _limit(settings: Settings) -> float:
    options = settings.of(HighPerformanceNetworking)
    starts = options.start_seconds + BLAME_SECONDS + settings.patience
    return 4 * starts + options.transfer_seconds + inside.POD_NETWORK_SECONDS + 3 * options.return_seconds + 120


@probe(limit=60, access=_LOOK_ACCESS)
async def published(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> Described:
    found = await offered(platform, settings)
    devices = tuple(described(each, held=each.device.id in found.held) for each in found.meant)
    return Described(devices=devices, incomplete=found.incomplete)


@probe(limit=_limit, access=(*POD_ACCESS, *CLAIM_ACCESS, *NETWORK_ACCESS, *_LOOK_ACCESS))
async def networking(platform: Platform, scratch: Scratch, settings: Settings, target: None) -> Networking:
    try:
        found = await offered(platform, settings)
    except NotApplicable as nobody:
        raise await not_offered(platform, scratch, settings, nobody) from None
    if not found.free:
        raise nothing_free(found)
    options = settings.of(HighPerformanceNetworking)
    pods = NetworkPods(platform, scratch, options, settings.patience, found.all)
    await allow(scratch, "traffic", "Ingress", "Egress")
    return await Session(platform, scratch, options, pods, found).run()


def _alignment_limit(settings: Settings) -> float:
    starts = max(settings.of(HighPerformanceNetworking).start_seconds, settings.patience) + BLAME_SECONDS
    return 2 * starts + settings.patience + 120


@probe(
    limit=_alignment_limit,
    targets=places,
    devices=(0, 1),
    access=(*POD_ACCESS, *CLAIM_ACCESS, *_LOOK_ACCESS),
)
async def alignment(platform: Platform, scratch: Scratch, settings: Settings, target: AlignedPlace) -> Alignment:
    pair = target.pair
    if pair is None:
        return Alignment(nothing=target.nothing, untried=target.untried)
    options = settings.of(HighPerformanceNetworking)
    pods = NetworkPods(platform, scratch, options, settings.patience, target.found.all)
    return await Aligning(platform, scratch, pods, target.found, pair, settings.patience).run()


@inspection
async def offered_networks(platform: Platform, settings: Settings) -> Inspection:
    try:
        found = await offered(platform, settings)
    except (NothingToLookAt, NotApplicable) as reason:
        return Inspection(missing=(str(reason),))
    if not found.free:
        return Inspection(missing=(str(nothing_free(found)),))
    return Inspection(tuple(map(str, found.free)), (), (*found.passed_over, *found.incomplete, *_alone(found)))


def _alone(found: Offered) -> tuple[str, ...]:
    """That no data can be sent between two Pods, if so."""
    if found.partner(found.best()[0]):
        return ()
    return ("no two free devices of one driver and kind: no data is sent between two Pods",)
