"""Nodes with fast interfaces: a cluster that gives them to Pods as a driver does, and whose containers print."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

from aiconform.check import Settings
from aiconform.check.registry import load_check
from aiconform.check.testing import findings
from aiconform.checks.high_performance_networking import inside
from aiconform.checks.high_performance_networking.observations import Networking
from aiconform.checks.high_performance_networking.options import HighPerformanceNetworking
from aiconform.checks.high_performance_networking.probes import networking
from aiconform.cluster import NotFound, Object, Rejected
from aiconform.platform import Platform
from aiconform.platform.accelerators.resource_slices import published
from aiconform.platform.accelerators.selecting import DeviceClass
from aiconform.platform.images import Images
from support.shared_devices import FakeCluster, FakeScratch

DIGEST = "ab" * 32
# Names of Pods by their ends, as faults of a lab know them.
HOLDERS = ("-with-interface", "-with-interface-peer", "-next-with-interface", "-two-interfaces")


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def link(number: int, rail: int) -> Object:
    """What DRANET publishes of a macvlan: node `number`, the network of this rail."""
    text = {"ifName": f"fast{rail}", "mac": f"aa:00:00:00:0{number}:0{rail}", "type": "macvlan", "state": "up"}
    attributes: Object = {f"dra.net/{name}": {"string": value} for name, value in text.items()}
    attributes |= {f"dra.net/{name}": {"bool": value} for name, value in {"rdma": False, "virtual": True}.items()}
    attributes |= {"dra.net/mtu": {"int": 1500}, "dra.net/ipv4": {"string": f"10.9.{rail}.{number}/24"}}
    return {"name": f"fast{rail}", "attributes": attributes}


def attributes(each: Object, **changed: Any) -> Object:
    """The device with other values of attributes, or without those that are None; itself."""
    for name, value in changed.items():
        kind = "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "string"
        each["attributes"] |= {f"dra.net/{name}": {kind: value}}
        if value is None:
            del each["attributes"][f"dra.net/{name}"]
    return each


def node(name: str) -> Object:
    about = {"name": name, "labels": {}}
    status = {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"cpu": "4"}}
    return {"kind": "Node", "apiVersion": "v1", "metadata": about, "spec": {}, "status": status}


class Fabric(FakeCluster):
    """Nodes n1 and n2 with two interfaces each, and n3 without.

    faults: names of what is wrong. reports: whether the driver reports interfaces in the claim's status. links: by
    node. hardware: what a Pod on a node's network prints of that. v6: the Pod network's family. drops: attributes that
    no device has. stuck: devices that do not come back.
    """

    def __init__(self, *faults: str, nodes: int = 3, offering: int = 2, rails: int = 2) -> None:
        names = [f"n{number}" for number in range(1, nodes + 1)]
        super().__init__(*map(node, names))
        self.driver = "dra.net"
        self.faults = {*faults}
        self.links: dict[str, list[Object]] = {
            f"n{number}": [link(number, rail) for rail in range(rails)] for number in range(1, offering + 1)
        }
        self.reports = True
        self.v6 = self.refuses_host_network = False
        self.addressless: set[str] = set()
        self.link_local = True
        self.stuck: set[tuple[str, str]] = set()
        self.policies: list[Object] = []
        self.ever: list[Object] = []
        self.first_looks: dict[str, list[str]] = {}
        self.hardware: dict[str, list[str]] = {}
        self.requests = 0

    # The API

    async def groups(self) -> dict[str, tuple[str, ...]]:
        return {"resource.k8s.io": ("v1",)}

    def held(self) -> set[tuple[str, str]]:
        claims = self.of("ResourceClaim")
        found = [
            each
            for claim in claims
            for each in claim["status"].get("allocation", {}).get("devices", {}).get("results", [])
        ]
        return {(each["pool"], each["device"]) for each in found} | self.stuck

    def slices(self) -> list[Object]:
        found = []
        for name, links in self.links.items():
            there = [each for each in links if (name, each["name"]) not in self.held()]
            pool = {"name": name, "generation": 1, "resourceSliceCount": 1}
            spec = {"driver": self.driver, "nodeName": name, "pool": pool, "devices": there}
            found.append({"kind": "ResourceSlice", "metadata": {"name": name}, "spec": spec})
        return found

    async def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Object]:
        self.requests += 1
        if kind == "ResourceSlice":
            for each in self.slices():
                yield each
        elif kind == "Node" and "metadata.name=" in fields:
            for each in self.of(kind):
                if each["metadata"]["name"] == fields.partition("=")[2]:
                    yield each
        elif kind == "Node" and labels:
            for each in self.of(kind):
                key, _, value = labels.partition("=")
                if each["metadata"]["labels"].get(key) == value:
                    yield each
        elif kind == "NetworkPolicy":
            for each in self.policies:
                yield each
        else:
            async for each in super().list(api_version, kind, namespace, labels=labels, fields=fields):
                if kind != "Event" or each["involvedObject"]["uid"] in fields:
                    yield each

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object:
        self.requests += 1
        found = [each for each in self.of(kind) if each["metadata"]["name"] == name]
        if not found:
            raise NotFound(f"{kind} {name} not found")
        return found[0]

    async def delete(self, obj: Object) -> None:
        first = obj["metadata"]["name"].endswith("-with-interface")
        if obj["kind"] == "Pod" and obj.get("node") and first and "interface-not-returned" in self.faults:
            self.stuck |= {(obj["node"], each["name"]) for each in obj["given"]}
        self.created = [
            each
            for each in self.created
            if each["metadata"]["name"] != obj["metadata"]["name"] or each["kind"] != obj["kind"]
        ]
        self.deleted.append(obj)

    # Scheduler and kubelet

    def place(self, made: Object) -> None:
        self.ever.append(made)
        spec = made["spec"]
        terms = (
            spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", {})
        )
        names = [
            value
            for term in terms.get("nodeSelectorTerms", [])
            for each in term["matchFields"]
            for value in each["values"]
        ]
        names = names or [each["metadata"]["name"] for each in self.of("Node")]
        made["given"] = []
        if "claims-are-ignored" in self.faults and spec.get("resourceClaims"):
            names = ["n3"]
        elif claims := self.claims_of(made):
            names = [name for name in names if self.allocate(claims[0], name, made)][:1]
        if not names:
            waits = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "cannot allocate all claims",
            }
            made["status"] = {"phase": "Pending", "conditions": [waits]}
            return
        spec["nodeName"] = made["node"] = names[0]
        name = made["metadata"]["name"]
        containers = [{"name": each["name"], "state": {"running": {}}} for each in spec["containers"]]
        address = f"{'fd00::' if self.v6 else '10.1.0.'}{len(self.ever)}"
        made["status"] = {
            "phase": "Running",
            "containerStatuses": containers,
            "podIP": address,
            "podIPs": [{"ip": address}],
        }
        ends = [state for end, state in self.states.items() if name.endswith(end)]
        made["status"] = ends[0] if ends else made["status"]

    def allocate(self, claim: Object, name: str, made: Object) -> bool:
        taken, results = self.held(), []
        devices = {each.name: each for each in published(self.slices())[0] if each.node == name}
        for request in claim["spec"]["devices"]["requests"]:
            selectors = {"selectors": request["exactly"]["selectors"]}
            wanted = DeviceClass({"metadata": {"name": "x"}, "spec": selectors})
            free = [each for each in devices.values() if wanted.selects(each) and (name, each.name) not in taken]
            if not free:
                return False
            taken.add((name, free[0].name))
            results.append({"request": request["name"], "driver": self.driver, "pool": name, "device": free[0].name})
        made["given"] = [each for each in self.links[name] if each["name"] in [one["device"] for one in results]]
        config = claim["spec"]["devices"].get("config", [])
        claim["status"]["allocation"] = {"devices": {"results": results, "config": config}}
        if self.reports:
            claim["status"]["devices"] = [
                {"networkData": {"interfaceName": each["name"], "hardwareAddress": self.text(each, "mac")}}
                for each in made["given"]
            ]
        return True

    @staticmethod
    def text(each: Object, name: str) -> str:
        return str(each["attributes"].get(f"dra.net/{name}", {}).get("string", ""))

    # Containers

    def interfaces(self, pod: Object) -> list[tuple[str, str, str, str, list[str]]]:
        """(name, hardware address, flags, state, addresses) of what a Pod sees."""
        name, faults = pod["metadata"]["name"], self.faults
        if pod["spec"].get("hostNetwork"):
            there = [each for each in self.links.get(pod["node"], []) if (pod["node"], each["name"]) not in self.held()]
            if "interface-stays-visible" in faults:
                there = self.links[pod["node"]]
            held = [each for each in self.links.get(pod["node"], []) if each not in there]
            kept = held if "interface-stays-under-another-name" in faults else []
            parent = self.text(self.links[pod["node"]][0], "mac") if "parent" in faults else "02:00"
            return [
                ("eth0", parent, "0x1003", "up", []),
                *((f"kept-{each['name']}", self.text(each, "mac"), "0x1002", "down", []) for each in kept),
                *((each["name"], self.text(each, "mac"), "0x1003", "up", []) for each in there),
            ]
        own = ("eth0", f"02:00:{len(name):02d}", "0x1003", "up", [f"{pod['status']['podIP']}/24"])
        found = [] if pod["given"] and "interface-replaces-pod-network" in faults else [own]
        given = [] if "interface-stays-on-node" in faults else [*pod["given"]]
        if name.endswith("-two-interfaces") and "second-interface-lost" in faults:
            given = given[:1]
        for each in given:
            down = "interface-down" in faults
            global_ = [] if each["name"] in self.addressless else [self.text(each, "ipv4")]
            local = [f"fe80::{pod['node'][1:]}:{each['name'][-1]}/64"] if self.link_local else []
            state = ("0x1002", "down") if down else ("0x1003", "unknown")
            found.append((each["name"], self.text(each, "mac"), *state, [*global_, *local]))
        if name.endswith("-without-interface") and "interface-in-other-pod" in faults:
            found.append(("fast1", "0e:00", "0x1003", "up", []))
        return [("lo", "00:00:00:00:00:00", "0x9", "unknown", ["127.0.0.1/8"]), *found]

    async def logs(self, namespace: str, name: str, container: str) -> str:
        """Of the Pod on the node's network: what it had before, and has now."""
        pod = await self.get("v1", "Pod", name)
        before, now = self.first_looks[name], self.links_of(pod)
        came = [f"link {each}" for each in now if each not in before]
        went = [f"unlink {each}" for each in before if each not in now]
        return "\n".join([*(f"link {each}" for each in before), inside.LOOKED, *came, *went])

    def links_of(self, pod: Object) -> list[str]:
        there = [(each[0], each[1]) for each in self.interfaces(pod)]
        return [f"{name} {mac}" for name, mac in there]

    async def follow(self, namespace: str, name: str, container: str, *, seconds: float) -> AsyncIterator[str]:
        pod = await self.get("v1", "Pod", name)
        assert container == "networks"
        there, command = self.interfaces(pod), pod["spec"]["containers"][0]["command"][-1]
        if command == inside.HARDWARE:
            for each in self.hardware.get(pod["node"], []):
                yield each
            yield inside.LOOKED
            return
        if pod["spec"].get("hostNetwork"):
            self.first_looks[name] = self.links_of(pod)
            for each in self.first_looks[name]:
                yield f"link {each}"
            yield inside.LOOKED
            return
        text = ""
        for number, (each, mac, flags, state, addresses) in enumerate(there, 1):
            yield f"interface {each} {mac} {flags} {state} {int(state != 'down')}"
            for address in addresses:
                text += (
                    f"{number}: {each}    inet{'6' if ':' in address else ''} {address} scope global {each}\\ valid\n"
                )
        yield f"addresses {encoded(text)}"
        if command == inside.SERVER:
            yield f"digest {DIGEST}"
        yield inside.LOOKED
        if command == inside.CLIENT:
            env = {each["name"]: each["value"] for each in pod["spec"]["containers"][0]["env"]}
            for line in self.fetched(env, [each[0] for each in there]):
                yield line
            yield inside.DONE

    def fetched(self, env: Object, names: list[str]) -> list[str]:
        """What the second Pod prints of its transfers, by the environment that it is given."""
        size, lost = inside.SIZE, "interface-reaches-nobody" in self.faults
        over = "eth0" if "traffic-over-pod-network" in self.faults else names[-1]
        base = dict.fromkeys(names, 1000)
        between = base | ({} if lost else {over: base[over] + size + 90_000})
        after = between | {names[1]: between[names[1]] + size + 90_000}

        def counters(moment: str, values: dict[str, int]) -> list[str]:
            own = "".join(f"{name}: {value} 1 0 0 0 0 0 0 500 1 0 0 0 0 0 0\n" for name, value in values.items())
            peer = "".join(f"{name}: 500 1 0 0 0 0 0 0 {value} 1 0 0 0 0 0 0\n" for name, value in values.items())
            return [f"counters {moment} own {encoded(own)}", f"counters {moment} peer {encoded(peer)}"]

        said = encoded("wget: can't connect to remote host: No route to host")
        fetched = f"1 0 0 {'e3' * 32} {said}" if lost else f"0 {size} 42 {DIGEST} "
        return [
            f"route {encoded(env['PEER_ADDRESS'].strip('[]') + f' dev {over} src 10.9.0.1')}",
            *counters("before", base),
            f"transfer interface {fetched}",
            *counters("between", between),
            f"transfer pods 0 {size} 80 {DIGEST} ",
            *counters("after", after),
        ]


class PciFunctions(Fabric):
    """As Fabric, of interfaces of hardware: what has an interface is published while a Pod has that, too."""

    def slices(self) -> list[Object]:
        found = super().slices()
        for each in found:
            node, names = each["metadata"]["name"], [one["name"] for one in each["spec"]["devices"]]
            for other in self.links[node]:
                if other["name"] not in names:
                    kept = {"dra.net/rdma": {"bool": False}, "dra.net/pciAddress": {"string": other["name"]}}
                    each["spec"]["devices"].append({"name": other["name"], "attributes": kept})
        return found


class FabricScratch(FakeScratch):
    cluster: Fabric

    async def create(self, obj: Object, *, security: str | None = None) -> Object:
        if security == "privileged" and self.cluster.refuses_host_network:
            raise Rejected('pods "on-node" is forbidden: violates PodSecurity "baseline:latest": host namespaces')
        return await super().create({**obj, "spec": obj.get("spec") or {}})


def settings(**options: Any) -> Settings:
    known = {**HighPerformanceNetworking().model_dump(), "start_seconds": 0.2, "return_seconds": 0.05, **options}
    return Settings(patience=0.2, options=(HighPerformanceNetworking.model_construct(**known),))


def platform(cluster: Fabric, chosen: str = "") -> Platform:
    return Platform(cluster, Images(), chosen)  # type: ignore[arg-type]


async def observed(cluster: Fabric, chosen: str = "", **options: Any) -> Networking:
    """What the probe records; what it made is gone afterwards. chosen: as --nodes."""
    try:
        return await networking(platform(cluster, chosen), FabricScratch(cluster), settings(**options), None)  # type: ignore[arg-type]
    finally:
        cluster.made, cluster.created = cluster.created, []


def held(found: Any) -> dict[str, bool | None]:
    """What each assertion finds, without what it leaves out."""
    check = load_check("high_performance_networking")
    return {name: each.holds for name, each in findings(check, found).items() if each.applies}


def broken(found: Any) -> set[str]:
    return {name for name, value in held(found).items() if value is False}


def undecided(found: Any) -> set[str]:
    return {name for name, value in held(found).items() if value is None}


def reason(found: Any, name: str) -> str:
    return findings(load_check("high_performance_networking"), found)[name].reason
