"""A network device and an accelerator of one place in the topology, claimed together: where, and by which Pod."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiconform.check import PlatformComponent, Settings
from aiconform.checks.high_performance_networking import inside
from aiconform.checks.high_performance_networking.claims import Beside
from aiconform.checks.high_performance_networking.network_pods import Claimed, NetworkPods
from aiconform.checks.high_performance_networking.observations import Alignment, NetworkPod
from aiconform.checks.high_performance_networking.places import Offered, offered
from aiconform.checks.high_performance_networking.unclaimed import LABELS
from aiconform.cluster import ClusterError, Object
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import allocated_claim, request_devices
from aiconform.kit.meshes import without_sidecar
from aiconform.kit.pods import STAY, container, pod_on_one_of, started
from aiconform.platform import Device, NodeAccelerators, Platform
from aiconform.platform.accelerators.devices import results
from aiconform.platform.networks.interfaces import NetworkDevice
from aiconform.platform.networks.roots import STANDARD, common_root, roots


@dataclass(frozen=True)
class Pair:
    """A free network device, and accelerators of its node of which a free one publishes the same root."""

    device: NetworkDevice
    accelerators: NodeAccelerators
    attribute: str


@dataclass(frozen=True)
class AlignedPlace(PlatformComponent):
    """The pair that a Pod claims, as a target. nothing, untried: as in Alignment, where there is no pair."""

    found: Offered
    pair: Pair | None = None
    nothing: str = ""
    untried: str = ""

    @property
    def members(self) -> tuple[NodeAccelerators, ...]:
        return (self.pair.accelerators,) if self.pair else ()

    def __str__(self) -> str:
        return f"{self.pair.device} and {self.pair.accelerators}" if self.pair else self.name


async def places(platform: Platform, settings: Settings) -> Sequence[AlignedPlace]:
    """The one place to try. Raises NothingToLookAt or NotApplicable without network devices, ClusterError."""
    found = await offered(platform, settings)
    name = "pair"
    try:
        usable = (await platform.accelerators()).offered
    except ClusterError as error:
        return [AlignedPlace(name, found, untried=f"the accelerators are not known: {error}")]
    if pair := _best(found, usable):
        return [AlignedPlace(name, found, pair)]
    drivers = {(each.node, each.name) for each in usable if _alone(each)}
    by_node: dict[str | None, list[Device]] = defaultdict(list)
    for each in (await platform.devices())[0]:
        if (each.node, each.driver) in drivers:
            by_node[each.node].append(each)
    for device in found.all:
        for other in by_node[device.device.node]:
            if common_root(device.device, other):
                there = f"{device} and accelerator {other.name} are of one root"
                why = next((each for each in found.passed_over if each.startswith(f"{device}:")), "")
                return [
                    AlignedPlace(name, found, untried=f"{there}, and not both free: {why or 'no accelerator of it is'}")
                ]
    nothing = (
        f"no usable node publishes, with one {STANDARD}, a network device and an accelerator that can be had alone"
    )
    return [AlignedPlace(name, found, nothing=nothing)]


def _alone(each: NodeAccelerators) -> bool:
    """Whether a claim can have a single one. Where all devices of a host come together, they cannot be of one root."""
    return each.way == "dra" and each.unit == 1


def _best(found: Offered, usable: Sequence[NodeAccelerators]) -> Pair | None:
    """A pair, better of a device that the check's other Pods do not claim first."""
    by_node: dict[str, list[NodeAccelerators]] = defaultdict(list)
    for each in usable:
        if _alone(each) and each.room:
            by_node[each.node].append(each)
    claimed = found.best()[:1]
    claimed += [partner for each in claimed if (partner := found.partner(each))]
    taken = {each.device.id for each in claimed}
    pairs = [
        Pair(device, entry, attribute)
        for device in found.free
        for entry in by_node[device.device.node or ""]
        for other in entry.devices
        if (attribute := common_root(device.device, other))
    ]
    return min(
        pairs,
        key=lambda each: (
            each.device.device.id in taken,
            each.device.down,
            each.attribute != STANDARD,
            not each.device.rdma,
            str(each.device),
        ),
        default=None,
    )


@dataclass(frozen=True)
class Aligning:
    """Tries one pair."""

    platform: Platform
    scratch: Scratch
    pods: NetworkPods
    found: Offered
    pair: Pair
    patience: float

    @property
    def node(self) -> Object:
        return self.found.nodes[self.pair.accelerators.node]

    async def run(self) -> Alignment:
        """What the Pod has. What others are the reason for is told as such."""
        about: dict[str, Any] = {"attribute": self.pair.attribute}
        self.scratch.tell(f"claiming {self.pair.device} with one of {self.pair.accelerators}")
        try:
            beside = Beside(self.pair.accelerators, self.pair.attribute)
            made = await self.pods.claiming("aligned", [self.pair.device], inside.ALIGNED, [self.node], beside=beside)
            seen, _ = await self.pods.seen(made)
            if seen.problem and (why := await self._one_by_one(made)):
                about["untried"] = f"Pod {seen.pod} does not start ({seen.problem}), nor does {why}"
                return Alignment(**about)
            return Alignment(**about, pod=seen, **await self._given(made, seen))
        except ClusterError as error:
            return Alignment(**about, untried=str(error))

    async def _one_by_one(self, both: Claimed) -> str:
        """Which of two Pods, with one of the devices each, does not start, and why. Raises ClusterError."""
        await self.pods.release(both)
        interface = await self.pods.claiming("aligned-interface", [self.pair.device], inside.CONTROL, [self.node])
        seen, _ = await self.pods.seen(interface)
        if not seen.ran:
            return f"one with {self.pair.device} alone: {seen.why_not}"
        request = await request_devices(self.platform, self.scratch, self.pair.accelerators)
        main = container("accelerator", self.pods.image, STAY, resources=request.resources)
        name = self.scratch.name("aligned-accelerator")
        made = pod_on_one_of(name, [self.node], [main], labels=LABELS, **request.pod_spec)
        created = await self.scratch.create(without_sidecar(made))
        running, problem = await started(self.platform.cluster, created, seconds=self.patience)
        return "" if running else f"one with an accelerator of {self.pair.accelerators} alone: {problem}"

    async def _given(self, made: Claimed, seen: NetworkPod) -> dict[str, Any]:
        """What the claim was given, and the roots that this publishes. Raises ClusterError."""
        if not seen.ran:
            return {}
        # A driver may not publish what is in use.
        published = (*(await self.platform.devices())[0], *(each.device for each in self.found.all))
        known = {each.id: each for each in published}
        claim = await allocated_claim(self.platform.cluster, made.claim, made.running)
        given = [(each["driver"], each["pool"], each["device"]) for each in results(claim)]
        found: dict[str, Any] = {}
        for each in given:
            which = "interface" if each[0] == self.pair.device.device.driver else "accelerator"
            found[f"{which}_root"] = roots(known[each]).get(self.pair.attribute, "") if each in known else ""
            if which == "accelerator":
                found[which] = "/".join(each)
        return found
