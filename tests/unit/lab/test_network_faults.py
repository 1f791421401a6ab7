"""Faults of claimed interfaces: which Pods each is for, what it does to their networks, and how it ends."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import cel
import pytest
from support.networks import Machine, running

from aiconform.lab.addons.dranet import NAME
from aiconform.lab.addons.fast_links import MARK, address, rail, withheld
from aiconform.lab.config import FAST_LINKS, IP_FAMILIES, LabError, Network
from aiconform.lab.faults import networks
from aiconform.lab.faults.fault import InCluster, InNetworks
from aiconform.lab.faults.networks import FAULTS
from aiconform.lab.faults.pod_networks import CONTAINER, SCRIPTS
from aiconform.lab.faults.runtime import set_runtime, write_wrapper

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

Object = dict[str, Any]
FAST0, FAST1 = FAST_LINKS
PODS = (
    "with-interface",
    "with-interface-peer",
    "without-interface",
    "two-interfaces",
    "next-with-interface",
    "aligned",
    "aligned-interface",
    "on-node",
)
SENDER, BOTH = PODS[:1], PODS[:2]


def test_each_fault_needs_the_driver_and_is_carried_out_by_somebody() -> None:
    assert {fault.name for fault in FAULTS if isinstance(fault.how, InNetworks)} == set(SCRIPTS)
    assert all(fault.needs == (NAME,) for fault in FAULTS)
    assert all(isinstance(fault.how, (InNetworks, InCluster)) for fault in FAULTS)


@pytest.mark.parametrize(
    ("name", "pods"),
    [
        ("interface-stays-on-node", BOTH),
        ("interface-down", SENDER),
        ("interface-replaces-pod-network", SENDER),
        ("interface-stays-visible", SENDER),
        ("interface-in-other-pod", ("without-interface",)),
        ("interface-reaches-nobody", BOTH),
        ("traffic-over-pod-network", BOTH),
        ("second-interface-lost", ("two-interfaces",)),
        ("aligned-interface-lost", ("aligned",)),
        ("interface-not-returned", SENDER),
    ],
)
def test_a_fault_is_for_some_of_the_check_s_pods(name: str, pods: tuple[str, ...]) -> None:
    assert tuple(pod for pod in PODS if re.search(SCRIPTS[name].pods, f"run-0a1b-{pod}")) == pods


# The wrapper around runc


class Node:
    """A node's wrapper, with a runc that does nothing."""

    def __init__(self, folder: Path) -> None:
        self.switch, self.wrapper, self.bundle = folder / "switch.json", folder / "runc", folder / "bundle"
        self.bundle.mkdir()
        write_wrapper(self.wrapper, runc=Path("/bin/true"), switch=self.switch)

    def create(self, pod: str, container: str | None = CONTAINER) -> subprocess.CompletedProcess[str]:
        about = {"io.kubernetes.cri.sandbox-name": f"run-0a1b-{pod}"}
        if container:
            about["io.kubernetes.cri.container-name"] = container
        namespaces = [{"type": "pid"}, {"type": "network", "path": "/proc/7/ns/net"}]
        config = {"annotations": about, "linux": {"namespaces": namespaces}}
        (self.bundle / "config.json").write_text(json.dumps(config))
        command = [self.wrapper, "create", "--bundle", self.bundle, "id"]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_only_containers_of_the_check_are_touched_and_only_while_the_fault_is_on(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = SCRIPTS["interface-down"]
    saying = type(script)(script.pods, 'echo "in $POD"')
    monkeypatch.setattr("aiconform.lab.faults.pod_networks.SCRIPTS", {"interface-down": saying})
    set_runtime(node.switch, ["interface-down"], None)
    assert node.create("with-interface").stdout == "in /proc/7/ns/net\n"
    for pod, container in (("with-interface-peer", CONTAINER), ("with-interface", "other"), ("with-interface", None)):
        assert node.create(pod, container).stdout == ""
    set_runtime(node.switch, [], None)
    assert not node.switch.exists()
    assert node.create("with-interface").stdout == ""


def test_a_script_that_fails_is_no_healthy_container(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    script = SCRIPTS["interface-down"]
    failing = type(script)(script.pods, "echo nothing there >&2; exit 3")
    monkeypatch.setattr("aiconform.lab.faults.pod_networks.SCRIPTS", {"interface-down": failing})
    set_runtime(node.switch, ["interface-down"], None)
    done = node.create("with-interface")
    assert done.returncode != 0
    assert "nothing there" in done.stderr


# What the scripts do


@pytest.fixture(params=IP_FAMILIES)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """A node with a Pod that has both links, as the driver and the network plugin leave it."""
    with running(tmp_path, Network(2, request.param)) as made:
        network = made.node.network
        made.until(**{name: [address(network, 1, link)] for link, name in enumerate(FAST_LINKS)})
        pods = network.pods(1)
        alone = pods.max_prefixlen
        usable = "nodad" if network.is_ipv6 else ""
        for line in (
            "ip netns add pod; ip link add veth0 type veth peer name eth0 netns pod; ip link set veth0 up",
            f"ip address add {pods[1]}/{alone} dev veth0 {usable}; ip -n pod link set eth0 up",
            f"ip -n pod address add {pods[2]}/{alone} dev eth0 {usable}; ip route add {pods[2]} dev veth0",
            f"ip -n pod route add {pods[1]} dev eth0; ip -n pod route add default via {pods[1]} dev eth0",
            *(
                f"ip link set {name} netns pod; ip -n pod address add {address(network, 1, link)} dev {name}; "
                f"ip -n pod link set {name} up"
                for link, name in enumerate(FAST_LINKS)
            ),
        ):
            assert made.do(line) == ""
        yield made


def carry_out(machine: Machine, name: str) -> None:
    switch = machine.node.folder / "switch.json"
    set_runtime(switch, [name], None)
    (told,) = json.loads(switch.read_bytes())["networks"]
    script = machine.node.folder / "script"
    script.write_text(told["script"])
    # As the wrapper does, with another name of the same namespace.
    assert machine.do(f"POD=/run/netns/pod sh -e {script} || echo failed") == ""


def test_an_interface_that_stays_is_on_the_node_with_its_address(machine: Machine) -> None:
    carry_out(machine, "interface-stays-on-node")
    assert machine.addresses("pod") == {}
    machine.until(**{name: [address(machine.node.network, 1, link)] for link, name in enumerate(FAST_LINKS)})


def test_an_interface_that_was_claimed_with_an_accelerator_is_on_the_node_again(machine: Machine) -> None:
    carry_out(machine, "aligned-interface-lost")
    assert machine.addresses("pod") == {}
    machine.until(**{name: [address(machine.node.network, 1, link)] for link, name in enumerate(FAST_LINKS)})


def test_an_interface_that_is_down_is_in_the_pod(machine: Machine) -> None:
    carry_out(machine, "interface-down")
    assert machine.addresses("pod") == {}
    assert FAST0 in machine.links("pod")


def test_the_pod_network_can_be_replaced(machine: Machine) -> None:
    carry_out(machine, "interface-replaces-pod-network")
    assert "eth0" not in machine.links("pod")
    assert set(machine.addresses("pod")) == set(FAST_LINKS)


def test_a_link_with_the_same_address_stays_on_the_node_in_nobody_s_way(machine: Machine) -> None:
    mac = machine.links("pod")[FAST0]["address"]
    for _ in range(2):  # a container can be created again
        carry_out(machine, "interface-stays-visible")
    kept = machine.links()[f"kept-{FAST0}"]
    assert kept["address"] == mac
    assert "UP" not in kept["flags"]
    machine.do(f"ip -n pod link set {FAST0} netns 1; ip link set {FAST0} up")
    machine.until(**{FAST0: [address(machine.node.network, 1, 0)]})


def test_another_pod_gets_links_of_the_same_names(machine: Machine) -> None:
    machine.do(f"for link in {' '.join(FAST_LINKS)}; do ip -n pod link delete $link; done")
    carry_out(machine, "interface-in-other-pod")
    assert set(machine.links("pod")) == {"lo", "eth0", *FAST_LINKS}


def test_an_interface_that_reaches_nobody_looks_healthy(machine: Machine) -> None:
    before = machine.addresses("pod")
    carry_out(machine, "interface-reaches-nobody")
    assert machine.addresses("pod") == before
    assert {machine.links("pod")[name]["linkinfo"]["info_data"]["mode"] for name in FAST_LINKS} == {"source"}


def test_traffic_takes_the_pod_network_both_ways(machine: Machine) -> None:
    network = machine.node.network
    before = machine.addresses("pod")
    carry_out(machine, "traffic-over-pod-network")
    assert machine.addresses("pod") == before
    pod = network.pods(1)[2]
    for link in range(len(FAST_LINKS)):
        peer, own = (address(network, number, link).partition("/")[0] for number in (2, 1))
        (route,) = json.loads(machine.do(f"ip -n pod -json route get {peer}"))
        assert (route["dev"], route["prefsrc"]) == ("eth0", str(pod))
        (route,) = json.loads(machine.do(f"ip -json route get {peer}"))
        assert (route["dev"], route["gateway"]) == ("eth0", network.node(2))
        (route,) = json.loads(machine.do(f"ip -json route get {own}"))
        # By its usual address: nobody asks for another one on this interface.
        assert (route["dev"], route["gateway"]) == ("veth0", str(pod))
        family = "-6" if network.is_ipv6 else "-4"
        marked = machine.do(f"ip {family} -json route show proto {MARK} root {rail(network, link)}")
        assert len(json.loads(marked)) == 32


def test_the_second_of_two_interfaces_can_be_lost(machine: Machine) -> None:
    carry_out(machine, "second-interface-lost")
    assert set(machine.addresses("pod")) == {FAST0}
    machine.until(**{FAST1: [address(machine.node.network, 1, 1)]})


def test_an_interface_does_not_come_back_from_the_pod_that_had_it(machine: Machine) -> None:
    machine.do(f"ip -n pod link set {FAST1} netns 1; ip link set {FAST1} up")
    carry_out(machine, "interface-not-returned")
    assert withheld(machine.node.folder).read_text().split() == [FAST0]
    machine.do(f"ip -n pod link set {FAST0} netns 1; ip link set {FAST0} up")
    while FAST0 in machine.links():
        pass
    machine.until(**{FAST1: [address(machine.node.network, 1, 1)]})


# What is published, and what asks for it


def device(name: str, **more: Object) -> Object:
    names = {"dra.net/ifName": {"string": name}, "dra.net/mac": {"string": "02:00"}, "dra.net/ipv4": {"string": "1/24"}}
    return {"name": name, "attributes": names | {f"dra.net/{key}": value for key, value in more.items()}}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_devices_keep_their_names_and_addresses_alone(count: int) -> None:
    devices = [device(name, type={"string": "macvlan"}, rdma={"bool": False}) for name in FAST_LINKS[:count]]
    plain = " + ".join(map(networks._removing, range(len(FAST_LINKS))))
    plain = re.sub(r"JSONPatch\{op: 'remove', path: (.*?)\}\)", r"\1)", plain).replace("jsonpatch.escapeKey", "string")
    removed = cel.evaluate(plain, {"object": {"spec": {"devices": devices}}})
    assert sorted(removed) == [
        f"/spec/devices/{position}/attributes/dra.net/{key}" for position in range(count) for key in ("rdma", "type")
    ]


class FakeCluster:
    """Nodes and slices; whatever is applied is in force at once."""

    def __init__(self, *offering: str) -> None:
        self.applied: list[Object] = []
        self.slices = [
            {
                "metadata": {"name": f"{name}-1"},
                "spec": {"driver": "dra.net", "nodeName": name, "devices": [device("a")]},
            }
            for name in offering
        ]
        self.patched: list[str] = []

    async def list(self, _: str, kind: str) -> AsyncIterator[Object]:
        names = ("node-1", "node-2", "node-3")
        for each in self.slices if kind == "ResourceSlice" else [{"metadata": {"name": name}} for name in names]:
            yield each

    async def apply(self, obj: Object) -> None:
        self.applied.append(obj)

    async def delete(self, obj: Object) -> None:
        self.applied = [each for each in self.applied if each["kind"] != obj["kind"]]

    async def create(self, obj: Object, *, dry_run: bool) -> Object:
        obj["metadata"]["labels"] = {"fault": "on"} if self.applied else {}
        return obj

    async def patch(self, obj: Object, change: Object) -> None:
        self.patched.append(obj["metadata"]["name"])
        if not self.applied:
            obj["spec"]["devices"] = [device("a", type={"string": "macvlan"}, mtu={"int": 1500}, rdma={"bool": False})]


@pytest.mark.parametrize(
    ("offering", "node"),
    [(("node-1", "node-2", "node-3"), "node-3"), (("node-2", "node-3"), "node-1")],
)
async def test_who_asks_in_vain_is_sent_where_no_interface_is_if_there_is_such_a_node(
    offering: tuple[str, ...], node: str
) -> None:
    fault = next(fault for fault in FAULTS if fault.name == "claims-are-ignored")
    assert isinstance(fault.how, InCluster)
    cluster = FakeCluster(*offering)
    await fault.how.on(cluster)  # type: ignore[arg-type]
    policy = cluster.applied[0]["spec"]
    assert f"{{'kubernetes.io/hostname': '{node}'}}" in policy["mutations"][0]["jsonPatch"]["expression"]
    (condition,) = policy["matchConditions"]
    for pod in PODS:
        about = {
            "object": {"metadata": {"name": f"run-{pod}"}, "spec": {"resourceClaims": []}},
            "request": {"resource": {"resource": "pods"}},
        }
        assert cel.evaluate(condition["expression"], about) is (pod == "with-interface")
    await fault.how.off(cluster)  # type: ignore[arg-type]
    assert cluster.applied == []


async def test_devices_are_published_anew_before_the_fault_is_on_and_before_it_is_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault = next(fault for fault in FAULTS if fault.name == "interfaces-without-attributes")
    assert isinstance(fault.how, InCluster)
    cluster = FakeCluster("node-1", "node-2")
    await fault.how.on(cluster)  # type: ignore[arg-type]
    assert cluster.patched == ["node-1-1", "node-2-1"]
    await fault.how.off(cluster)  # type: ignore[arg-type]
    assert len(cluster.slices[0]["spec"]["devices"][0]["attributes"]) == 6
    # A driver that publishes nothing leaves nothing to see.
    monkeypatch.setattr(networks, "SECONDS", 0.0)
    with pytest.raises(LabError, match="published without their attributes"):
        await fault.how.on(FakeCluster())  # type: ignore[arg-type]
