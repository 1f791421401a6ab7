"""One run of high_performance_networking over the platform's network devices, step by step."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from aiconform.checks.high_performance_networking import inside
from aiconform.checks.high_performance_networking.claimed import interface_of, usual, without_interface
from aiconform.checks.high_performance_networking.network_pods import Claimed, NetworkPods, described
from aiconform.checks.high_performance_networking.observations import Data, Moment, Networking, NetworkPod, Transfer
from aiconform.checks.high_performance_networking.options import HighPerformanceNetworking
from aiconform.checks.high_performance_networking.places import Offered
from aiconform.checks.high_performance_networking.ways import Way, way_to
from aiconform.cluster import ClusterError, Object, Stuck
from aiconform.cluster.scratch import Scratch
from aiconform.kit.network import denied
from aiconform.kit.pods import lost_node
from aiconform.kit.together import gather
from aiconform.platform import Platform
from aiconform.platform.accelerators.counting import holdings
from aiconform.platform.networks.interfaces import NetworkDevice

_LEAVES_SECONDS = 15.0


@dataclass
class Session:
    """found: what is offered. about: the fields of the observation so far."""

    platform: Platform
    scratch: Scratch
    options: HighPerformanceNetworking
    pods: NetworkPods
    found: Offered
    about: dict[str, Any] = field(default_factory=dict)

    async def run(self) -> Networking:
        """All steps. What follows from an earlier step's failure is not tried. Raises ClusterError."""
        wanted = self.found.best()[0]
        self.scratch.tell(f"claiming {wanted}")
        # A Pod on the node's network has to look before anybody claims the device, if the claim leaves no other.
        early = self.found.nodes.get(wanted.device.node or "") if len(self._alike(wanted)) == 1 else None
        beside = await self._beside(early, wanted) if early else None
        first = await self._first(wanted)
        placed = await self.pods.placed(first)
        if beside is None:
            node = await self._node(placed)
            (seen, _), beside = await gather(self.pods.seen(first), self._beside(node, wanted))
        else:
            seen, _ = await self.pods.seen(first)
        control, on_node, self.about["node_unseen"] = beside
        self.about |= {"first": seen, "without": control}
        self.about["of_node"] = tuple(described(each) for each in self.found.all if each.device.node == placed)
        if not self._has_interface():
            return Networking(**self.about)
        device = self._device(seen) or wanted
        self.about["no_peer"], peer = await self._peer(first, device)
        if on_node:
            await self._of_node(on_node, known_before=early is not None)
        await self._afterwards([first, *([peer] if peer else [])], device)
        return Networking(**self.about)

    def _has_interface(self) -> bool:
        """Whether what follows can be tried."""
        seen = Networking(**self.about)
        return (
            seen.first.ran and interface_of(seen.first, seen) is not None and not without_interface(seen.first.devices)
        )

    async def _first(self, wanted: NetworkDevice) -> Claimed:
        chosen = self.found.chosen
        usable = {name: node for name, node in self.found.nodes.items() if chosen is None or name in chosen}
        offering = tuple(sorted({each.device.node or "" for each in self._alike(wanted)}))
        if chosen is not None:
            offering = tuple(name for name in offering if name in chosen)
        # Whom nobody told which nodes to use has to tolerate only those that offer.
        nodes = [node for name, node in usable.items() if chosen is not None or name in offering]
        made = await self.pods.claiming("with-interface", [wanted], inside.SERVER, nodes, anywhere=chosen is None)
        made.offering, made.elsewhere = offering, bool(usable.keys() - {*offering})
        return made

    def _alike(self, wanted: NetworkDevice) -> list[NetworkDevice]:
        """The devices that a claim of this one selects, which has the user's selector, too."""
        of_driver = (each for each in self.found.meant if each.device.driver == wanted.device.driver)
        return [each for each in of_driver if each.selection.items() >= wanted.selection.items()]

    async def _node(self, name: str | None) -> Object:
        """The Node of this name, which can have come since the platform was read. Raises Stuck if it is gone."""
        if known := self.found.nodes.get(name or ""):
            return known
        found = [each async for each in self.platform.cluster.list("v1", "Node", fields=f"metadata.name={name}")]
        if not found:
            raise Stuck(f"node {name} is gone")
        return found[0]

    async def _beside(self, node: Object, wanted: NetworkDevice) -> tuple[NetworkPod, Object | None, str]:
        """(what a Pod without a claim sees on this node, a Pod on its own network, why there is none of those)."""
        if wanted.known and wanted.known.stays:
            return await self.pods.control(node), None, ""
        control, (on_node, why) = await gather(self.pods.control(node), self.pods.on_node(node))
        return control, on_node, why

    def _device(self, pod: NetworkPod) -> NetworkDevice | None:
        """The device that a Pod was given."""
        given = {(each.driver, each.pool, each.name) for each in pod.devices}
        return next((each for each in self.found.all if each.device.id in given), None)

    async def _of_node(self, on_node: Object, *, known_before: bool) -> None:
        """What the node's own network has, while the first Pod has its interface, and had before."""
        device, end = next(iter(self.about["first"].devices), None), time.monotonic() + _LEAVES_SECONDS
        try:
            # On a busy node, the Pod that looks there may be behind.
            while True:
                before, now = await self.pods.links(on_node)
                there = device and not device.stays and device.interface in {each.name for each in now}
                if not there or time.monotonic() > end:
                    break
        except ClusterError as error:
            self.about["node_unseen"] = str(error)
            return
        self.about |= {"node_before": before if known_before else (), "node_interfaces": now}

    async def _peer(self, first: Claimed, device: NetworkDevice) -> tuple[str, Claimed | None]:
        """(why no second Pod fetched from the first, the Pod if there is one)."""
        partner = self.found.partner(device)
        if partner is None:
            return "there is no second free device of its driver and kind to send data to", None
        so_far = Networking(**self.about)
        claimed = interface_of(so_far.first, so_far)
        if claimed is None or not claimed.works:
            return "", None
        address = way_to(claimed)
        if address is None:
            self.about["no_data"] = (
                f"interface {claimed.name} of Pod {first.name} has no address, not even a link-local one"
            )
            return "", None
        environment = {
            "PEER_ADDRESS": address.written,
            "PEER_LINK": address.link,
            "PEER_POD": _bracketed(next(iter(so_far.first.addresses), "")),
            "USUAL": " ".join(["lo", *(each.name for each in usual(so_far))]),
            "TRANSFER_SECONDS": f"{self.options.transfer_seconds:.0f}",
        }
        seconds = self.options.transfer_seconds + inside.POD_NETWORK_SECONDS + 30
        made = None
        try:
            node = await self._node(partner.device.node)
            made = await self.pods.claiming("with-interface-peer", [partner], inside.CLIENT, [node], environment)
            seen, printed = await self.pods.seen(made, inside.DONE, seconds)
        except ClusterError as error:
            return str(error), made
        self.about["peer"] = seen
        if seen.ran:
            self.about["data"] = _data(seen, printed, address, so_far)
            if made.running is not None and first.running is not None:
                self.about["denied"] = await self._denied(made.running, first.running)
        return "", made

    async def _denied(self, client: Object, server: Object) -> str:
        data: Data = self.about["data"]
        transfers = (data.over_interface, data.over_pods)
        if all(each is not None and each.code == 0 for each in transfers):
            return ""
        cluster = self.platform.cluster
        return await denied(cluster, client, "Egress") or await denied(cluster, server, "Ingress")

    async def _afterwards(self, held: list[Claimed], device: NetworkDevice) -> None:
        """Two interfaces in one Pod, and the next Pod with the interface of the first."""
        given = [each for each in (self._device(pod) for pod in self._holders()) if each is not None]
        early = self.found.two_on(given, device.device.node or "")
        two = await self._two(early) if early else None
        try:
            await self.pods.release(*held, *([two] if two else []))
            awaited = [*{each.device.id: each for each in (device, *given)}.values()]
            returned = await gather(*map(self.pods.offered_again, awaited))
            # A Pod may have changed what its device is published as.
            now = {each.device.id: each for each in returned if each}
            lost = [each for each in awaited if each.device.id not in now]
            if lost:
                said = f"{lost[0]} was not offered again within {self.options.return_seconds:.0f} s"
                why = await self._taken(lost[0])
                self.about["no_next" if why else "not_returned"] = f"{said} after the end of its Pod and claim{why}"
                if not early and (late := self.found.two_on(lost)):
                    await self._two(late)
                self.about.setdefault("no_two", "the devices of the first Pods had to be offered again for it")
                return
            again = now[device.device.id]
            late = [] if early else self.found.two_on((), device.device.node or "")
            late = [now.get(each.device.id, each) for each in late]
            if early or not late:
                self.about.setdefault("no_two", "no node offers two free devices of one driver and kind")
                await self._next(again)
                return
            if late[0].device.node != device.device.node:
                await gather(self._two(late), self._next(again))
                return
            following = await self._next(again)
            if following:
                await self.pods.release(following)
                again = await self.pods.offered_again(device) or again
            await self._two([again if each.device.id == again.device.id else each for each in late])
        except ClusterError as error:
            self.about.setdefault("no_next", str(error))
            self.about.setdefault("no_two", str(error))

    def _holders(self) -> list[NetworkPod]:
        return [self.about[key] for key in ("first", "peer") if key in self.about]

    async def _two(self, wanted: list[NetworkDevice]) -> Claimed | None:
        return await self._more("two-interfaces", wanted, "two")

    async def _next(self, device: NetworkDevice) -> Claimed | None:
        made = await self._more("next-with-interface", [device], "next_pod", "no_next")
        seen: NetworkPod | None = self.about.get("next_pod")
        if seen and seen.waits and (why := await self._taken(device)):
            self.about |= {"next_pod": None, "no_next": f"Pod {seen.pod} waits for {device}{why}"}
        return made

    async def _taken(self, device: NetworkDevice) -> str:
        """What keeps a device from the run that is not its driver's doing; empty if nothing is known to."""
        if lost := await lost_node(self.platform.cluster, device.device.node or ""):
            return f": {lost}"
        own = self.scratch.labels.items()
        for claim in await self.platform.afresh().claims():
            about = claim["metadata"]
            if device.device.id in holdings([claim]) and not own <= (about.get("labels") or {}).items():
                return f": claim {about.get('namespace')}/{about['name']} has it meanwhile"
        return ""

    async def _more(self, name: str, wanted: list[NetworkDevice], key: str, no: str = "") -> Claimed | None:
        """A Pod with these devices, put down under `key`, or why there is none under `no`."""
        made = None
        try:
            node = await self._node(wanted[0].device.node)
            made = await self.pods.claiming(name, wanted, inside.CONTROL, [node])
            self.about[key], _ = await self.pods.seen(made)
        except ClusterError as error:
            self.about[no or f"no_{key}"] = str(error)
        return made


def _data(seen: NetworkPod, printed: inside.Printed, address: Way, so_far: Networking) -> Data:
    def moment(name: str) -> Moment:
        return Moment(own=printed.counters.get((name, "own"), ()), peer=printed.counters.get((name, "peer"), ()))

    def transfer(over: str, source: str) -> Transfer | None:
        found = printed.transfers.get(over)
        return found.model_copy(update={"address": source}) if found else None

    mine = next(iter([each for each in [interface_of(seen, so_far)] if each]), None)
    return Data(
        size=inside.SIZE,
        address=address.text,
        way=address.reached_over(mine, printed.route) if mine else "",
        route=printed.route,
        over_interface=transfer("interface", address.text),
        over_pods=transfer("pods", next(iter(so_far.first.addresses), "")),
        before=moment("before"),
        between=moment("between"),
        after=moment("after"),
    )


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
