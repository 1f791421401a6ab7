"""The Pods of high_performance_networking: with a claimed interface, without one, and on the node's own network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiconform.checks.high_performance_networking import inside
from aiconform.checks.high_performance_networking.claims import RESOURCE_API, Beside, NetworkClaims
from aiconform.checks.high_performance_networking.observations import Interface, NetworkPod, PublishedDevice
from aiconform.checks.high_performance_networking.options import HighPerformanceNetworking
from aiconform.checks.high_performance_networking.parameters import without_interface
from aiconform.checks.high_performance_networking.unclaimed import CONTAINER, LABELS, unclaiming
from aiconform.cluster import ClusterError, Object, Stuck, TimedOut, wait
from aiconform.cluster.scratch import Scratch
from aiconform.kit.devices import allocated_claim, untold_taints
from aiconform.kit.logs import read_until
from aiconform.kit.meshes import without_sidecar
from aiconform.kit.pods import (
    container,
    pod_anywhere,
    pod_on_one_of,
    unschedulable,
    waits_for_devices,
)
from aiconform.kit.starting import holder_started
from aiconform.kit.together import gather
from aiconform.platform import Platform
from aiconform.platform.accelerators.devices import results
from aiconform.platform.accelerators.nodes import tolerations
from aiconform.platform.accelerators.resource_slices import DevicePools
from aiconform.platform.networks.interfaces import NetworkDevice, network_devices

_GONE_SECONDS = 60.0
_POLL_SECONDS = 1.0
# The Pod on the node's network looks every half a second.
_LINKS_SECONDS = 1.0


def described(each: NetworkDevice, *, held: bool = False) -> PublishedDevice:
    """What is recorded of a published device. held: whether a claim has it."""
    return PublishedDevice(
        driver=each.device.driver,
        pool=each.device.pool,
        name=each.device.name,
        node=each.device.node or "",
        interface=each.interface,
        mac=each.mac,
        kind=each.kind,
        characteristics=tuple((name, str(value)) for name, value in sorted(each.characteristics.items())),
        capacities=each.capacities,
        stays=each.known.stays if each.known else "",
        without=each.known.without if each.known else "",
        held=held,
        down=each.down,
    )


@dataclass
class Claimed:
    """A Pod and its claim. offering, elsewhere: as in NetworkPod. driver: of the devices that it asks for."""

    pod: Object
    claim: Object
    driver: str
    offering: tuple[str, ...] = ()
    elsewhere: bool = False
    running: Object | None = None
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])


class NetworkPods:
    """Makes the Pods of one run. known: all published network devices."""

    def __init__(
        self,
        platform: Platform,
        scratch: Scratch,
        options: HighPerformanceNetworking,
        patience: float,
        known: Sequence[NetworkDevice],
    ) -> None:
        self._platform, self._scratch, self._options, self._patience = platform, scratch, options, patience
        self._seconds = max(options.start_seconds, patience)
        self._known = {each.device.id: each for each in known}
        self._claims = NetworkClaims(platform, scratch, options, known)

    async def claiming(
        self,
        name: str,
        wanted: Sequence[NetworkDevice],
        script: str,
        nodes: Sequence[Object],
        environment: dict[str, str] | None = None,
        *,
        anywhere: bool = False,
        beside: Beside | None = None,
    ) -> Claimed:
        """A Pod that claims these devices of one node and driver, and what is beside them. Raises ClusterError.

        nodes: that it can be scheduled to; anywhere: to any, and `nodes` are those whose taints it tolerates.
        """
        claim = await self._claims.of(self._scratch.name(name), wanted, beside)
        spec: dict[str, Any] = {
            "resourceClaims": [{"name": "interface", "resourceClaimName": claim["metadata"]["name"]}]
        }
        main = self._container(script, environment, resources={"claims": [{"name": "interface"}]})
        named = self._scratch.name(name)
        if anywhere:
            tolerated = [each for node in nodes for each in tolerations(node)]
            made = pod_anywhere(named, [main], labels=LABELS, tolerations=tolerated, **spec)
        else:
            made = pod_on_one_of(named, nodes, [main], labels=LABELS, **spec)
        created = await self._scratch.create(without_sidecar(made))
        return Claimed(created, claim, wanted[0].device.driver)

    def _container(self, script: str, environment: dict[str, str] | None = None, **fields: Any) -> Object:
        env = [{"name": name, "value": value} for name, value in (environment or {}).items()]
        return container(CONTAINER, self.image, script, env=env, **fields)

    @property
    def image(self) -> str:
        """Of the Pods, with busybox."""
        return self._options.shell(self._platform.images)

    async def placed(self, each: Claimed) -> str:
        """The node that the scheduler chose. Raises TimedOut with its words if there is none, ClusterError."""
        what = f"Pod {each.name} to be scheduled"
        try:
            found = await wait.until(self._platform.cluster, each.pod, _placed, seconds=self._seconds, what=what)
        except TimedOut as error:
            raise TimedOut(f"{error}{await untold_taints(self._platform, 'dra')}") from error
        return str(found["spec"]["nodeName"])

    async def seen(
        self, each: Claimed, until: str = inside.LOOKED, seconds: float = 0.0
    ) -> tuple[NetworkPod, inside.Printed]:
        """What a Pod with a claim sees once it runs, or why it does not run. Raises ClusterError where others are why.

        until: the last line that it prints of this, for which it has `seconds` beside the patience.
        """
        cluster = self._platform.cluster
        about = {"pod": each.name, "offering": each.offering, "elsewhere": each.elsewhere}
        try:
            running, problem = await holder_started(self._platform, self._scratch, each.pod, seconds=self._seconds)
        except TimedOut as error:
            waits = unschedulable(await self.now(each.pod))
            if waits is None or not waits_for_devices(waits.words, each.driver):
                raise
            return NetworkPod(**about, waits=f"{waits.words} ({error})"), inside.Printed()
        if running is None:
            node = (await self.now(each.pod))["spec"].get("nodeName", "")
            return NetworkPod(**about, node=node, problem=problem), inside.Printed()
        each.running = running
        lines = await read_until(cluster, running, CONTAINER, until, seconds=self._patience + seconds)
        printed = inside.read(lines)
        if not printed.interfaces:
            raise Stuck(f"Pod {each.name} lists no interface at all: /sys/class/net cannot be read in it")
        claim = await allocated_claim(cluster, each.claim, running)
        return NetworkPod(
            **about,
            node=running["spec"]["nodeName"],
            devices=tuple(self._allocated(claim, each.driver)),
            told=_told(claim),
            addresses=_addresses(running),
            interfaces=printed.interfaces,
            digest=printed.digest,
        ), printed

    async def now(self, obj: Object) -> Object:
        """The object as it is now. Raises ClusterError."""
        about = obj["metadata"]
        return await self._platform.cluster.get(obj["apiVersion"], obj["kind"], about["name"], about["namespace"])

    def _allocated(self, claim: Object, driver: str) -> Iterable[PublishedDevice]:
        for each in results(claim):
            if each["driver"] != driver:
                continue
            known = self._known.get((each["driver"], each["pool"], each["device"]))
            plain = PublishedDevice(driver=each["driver"], pool=each["pool"], name=each["device"])
            found = described(known) if known else plain
            why = found.without or without_interface(claim)
            yield found.model_copy(update={"without": why})

    async def control(self, node: Object) -> NetworkPod:
        """What a Pod without a claim sees on this node. Raises ClusterError."""
        running, lines = await self._unclaiming("without-interface", node, inside.CONTROL)
        named, interfaces = running["metadata"]["name"], inside.read(lines).interfaces
        if not interfaces:
            raise Stuck(f"Pod {named} lists no interface at all: /sys/class/net cannot be read in it")
        return NetworkPod(
            pod=named, node=running["spec"]["nodeName"], addresses=_addresses(running), interfaces=interfaces
        )

    async def on_node(self, node: Object) -> tuple[Object | None, str]:
        """(a Pod on the node's own network that has looked once, "") or (None, why there is none)."""
        try:
            return (await self._unclaiming("on-node", node, inside.ON_NODE, on_node=True))[0], ""
        except ClusterError as error:
            return None, str(error)

    async def links(self, on_node: Object) -> tuple[tuple[Interface, ...], tuple[Interface, ...]]:
        """(the interfaces that the node had first, those that it has now). Raises ClusterError."""
        await asyncio.sleep(_LINKS_SECONDS)
        about = on_node["metadata"]
        text = await self._platform.cluster.logs(about["namespace"], about["name"], CONTAINER)
        return inside.links(text.splitlines())

    async def _unclaiming(
        self, name: str, node: Object, script: str, *, on_node: bool = False
    ) -> tuple[Object, list[str]]:
        main = self._container(script)
        return await unclaiming(self._platform, self._scratch, name, node, main, self._patience, on_node=on_node)

    async def release(self, *each: Claimed) -> None:
        """Delete these Pods and their claims, and wait until they are gone. Raises ClusterError."""
        for kind in ("pod", "claim"):
            gone = [getattr(one, kind) for one in each]
            await gather(*map(self._platform.cluster.delete, gone))
            for one in gone:
                await wait.gone(self._platform.cluster, one, seconds=_GONE_SECONDS)

    async def offered_again(self, device: NetworkDevice) -> NetworkDevice | None:
        """The device as it is published when it is offered again; None if it is not in time.

        One that had an interface has to have it again: a PCI function is published all the time.
        One that had addresses on its node gets them back there by others than its driver: they are waited for as long.
        Raises ClusterError.
        """
        api = await self._platform.resource_api() or RESOURCE_API
        begun = time.monotonic()
        while True:
            pools = DevicePools()
            async for item in self._platform.cluster.list(
                api, "ResourceSlice", fields=f"spec.driver={device.device.driver}"
            ):
                pools.add(item)
            there = network_devices(pools.result()[0])
            found = next((each for each in there if each.device.id == device.device.id), None)
            back = found if found and (found.interface or not device.interface) else None
            whole = back and back.networks >= device.networks and back.families >= device.families
            if whole or time.monotonic() - begun > self._options.return_seconds:
                return back
            await asyncio.sleep(_POLL_SECONDS)


def _placed(seen: Object) -> Object | None:
    return seen if seen["spec"].get("nodeName") else None


def _told(claim: Object) -> tuple[tuple[str, str], ...]:
    """(interface, hardware address) by the claim's status, where the driver reports them (KEP-4817)."""
    found = []
    for each in (claim.get("status") or {}).get("devices") or []:
        data = each.get("networkData") or {}
        name, mac = data.get("interfaceName") or "", (data.get("hardwareAddress") or "").lower()
        found += [(name, mac)] if name or mac else []
    return tuple(found)


def _addresses(running: Object) -> tuple[str, ...]:
    status = running["status"]
    found = [each["ip"] for each in status.get("podIPs") or []]
    return tuple(found or filter(None, [status.get("podIP", "")]))
