"""Labs whose addresses are of one family: what is set up for IPv6, and that IPv4 is set up as ever."""

from __future__ import annotations

import ipaddress
import json
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from aiconform.lab import plan, planning
from aiconform.lab.addons import envoy_gateway, manifests
from aiconform.lab.addons.model import Site
from aiconform.lab.build.assets import Assets
from aiconform.lab.config import IP_FAMILIES, MAX_LABS, MAX_NODES, LabConfig, LabError, Network, Paths
from aiconform.lab.kubernetes import controlplane, nodes
from aiconform.lab.machines import host, network

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

ASSETS = Assets({name: Path("/built", name) for name in ("containerd", "ctr", "ptp")}, {})
V4, V6 = Network(1), Network(1, "ipv6")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What would be run, each followed by the lines of its input."""
    found: list[tuple[str, ...]] = []

    def run(argv: list[str], *, input: str = "", **_: Any) -> SimpleNamespace:
        found.append((" ".join(argv), *input.splitlines()))
        return SimpleNamespace(stdout="", returncode=0)

    monkeypatch.setattr(network.subprocess, "run", run)
    return found


def test_machines_of_an_ipv4_lab_are_connected_by_ipv4_alone(commands: list[tuple[str, ...]]) -> None:
    network.connect_control_plane(V4, 7)
    network.connect_node(V4, 1, 8, 7)
    network.forget_node(V4, 1, 7)
    assert commands == [
        ("ip link delete aiconform1",),
        (
            "ip -batch -",
            "link add aiconform1 address 02:a1:c0:00:01:fe type veth peer name host netns 7",
        ),
        (
            "nsenter -t 7 -n ip -batch -",
            "link set lo up",
            "link add switch address 02:a1:c0:00:01:ff type bridge forward_delay 0",
            "address add 198.18.64.2/24 dev switch",
            "link set switch up",
            "link set host master switch up",
        ),
        ("nsenter -t 7 -n ip -batch -", "route replace unreachable default"),
        (
            "ip -batch -",
            "address add 198.18.64.1/24 dev aiconform1",
            "link set aiconform1 up",
            "route replace 198.18.64.0/18 via 198.18.64.2 dev aiconform1",
        ),
        ("nsenter -t 7 -n ip link delete port1",),
        (
            "ip -batch -",
            "link add eth0 address 02:a1:c0:00:01:01 netns 8 type veth peer name port1 netns 7",
        ),
        (
            "nsenter -t 8 -n ip -batch -",
            "link set lo up",
            "address add 198.18.64.10/24 dev eth0",
            "link set eth0 up",
            "route replace default via 198.18.64.2",
        ),
        (
            "nsenter -t 7 -n ip -batch -",
            "link set port1 master switch up",
            "route replace 198.18.96.0/24 via 198.18.64.10",
        ),
        ("nsenter -t 7 -n ip route delete 198.18.96.0/24",),
    ]


def test_machines_of_an_ipv6_lab_route_ipv6_and_have_no_other_address(
    commands: list[tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_IPV6", str(tmp_path))
    (tmp_path / V6.host_device).mkdir()
    network.connect_control_plane(V6, 7)
    network.connect_node(V6, 1, 8, 7)
    network.forget_node(V6, 1, 7)
    network.nat_rules(V6, 8)
    # The machine's own devices may have none.
    assert (tmp_path / V6.host_device / "disable_ipv6").read_text() == "0"
    for pid in (7, 8):
        (settings,) = (lines for argv, *lines in commands if argv == f"nsenter -t {pid} -n sh -e")
        assert f"echo 1 > {tmp_path}/all/forwarding" in settings
    every = [line for call in commands for line in call]
    assert not any("198.1" in line for line in every)
    assert all(" -6 " in argv for argv, *_ in commands if argv.endswith("-batch -"))
    given = [line for line in every if line.startswith("address add")]
    assert given == [
        "address add 2001:2:0:40::2/64 dev switch nodad",
        "address add 2001:2:0:40::1/64 dev aiconform1 nodad",
        "address add 2001:2:0:40::a/64 dev eth0 nodad",
    ]
    assert "route replace 2001:2:0:60::/64 via 2001:2:0:40::a" in every
    assert "nsenter -t 7 -n ip -6 route delete 2001:2:0:60::/64" in every
    assert "nsenter -t 8 -n ip6tables-save -t nat" in every


@pytest.mark.parametrize("family", IP_FAMILIES)
def test_the_files_of_a_node_hold_addresses_of_its_family_alone(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes.host, "command", lambda name: f"/usr/bin/{name}")
    paths = Paths("lab", tmp_path)
    made = planning.make(LabConfig(ip_family=family), None, tmp_path)
    node = made.nodes[0]
    authority = controlplane.certificates(paths, made.network)
    nodes.furnish(made, node, paths, made.network, ASSETS, authority)
    folder = paths.machine(node.name)
    (ranges,) = (
        plugin["ipam"]
        for plugin in json.loads((folder / "cni.d" / "10-lab.conflist").read_bytes())["plugins"]
        if "ipam" in plugin
    )
    kubelet, proxy = (yaml.safe_load((folder / f"{name}.yaml").read_text()) for name in ("kubelet", "kube-proxy"))
    server = yaml.safe_load(paths.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    found = [
        ranges["ranges"][0][0]["subnet"],
        ranges["routes"][0]["dst"],
        kubelet["address"],
        *kubelet["clusterDNS"],
        proxy["bindAddress"],
        proxy["clusterCIDR"],
        # kube-proxy calls one of another family a mistake.
        *(proxy[name].rpartition(":")[0].strip("[]") for name in ("healthzBindAddress", "metricsBindAddress")),
        server.removeprefix("https://").rpartition(":")[0].strip("[]"),
    ]
    assert {ipaddress.ip_network(each, strict=False).version for each in found} == {int(family[-1])}
    assert (":" in found[0]) is ("[" in server)


def test_ranges_of_all_ipv6_labs_are_apart_and_reserved() -> None:
    blocks = [Network(index, "ipv6").block for index in range(MAX_LABS)]
    assert len(set(blocks)) == MAX_LABS
    reserved = ipaddress.IPv6Network("2001:2::/48")
    for index, block in enumerate(blocks):
        lab = Network(index, "ipv6")
        parts = [lab.machines, lab.services, *(lab.pods(number) for number in range(1, MAX_NODES + 1))]
        assert len({*parts}) == MAX_NODES + 2
        assert all(part.subnet_of(block) for part in parts)  # type: ignore[arg-type]
        assert block.subnet_of(reserved)  # type: ignore[arg-type]
        assert all(lab.pods(number).subnet_of(lab.all_pods) for number in (1, MAX_NODES))  # type: ignore[arg-type]
        assert not lab.services.overlaps(lab.all_pods)
        assert ipaddress.ip_address(lab.dns) in lab.services
        # kubeadm's size; the API server takes none that is much larger.
        assert lab.services.prefixlen == 112


def test_the_family_of_a_lab_is_kept_and_cannot_change(tmp_path: Path) -> None:
    paths = Paths("lab", tmp_path)
    made = planning.make(LabConfig(ip_family="ipv6"), None, tmp_path)
    made.save(paths)
    kept = plan.read(paths)
    assert kept == made
    assert kept.network.is_ipv6
    assert planning.make(LabConfig(), kept, tmp_path) == made
    with pytest.raises(LabError, match="has the IP family ipv6, which cannot change to ipv4"):
        planning.make(LabConfig(ip_family="ipv4"), kept, tmp_path)
    with pytest.raises(LabError, match="use one of ipv4, ipv6"):
        LabConfig(ip_family="dual")


def test_a_lab_of_the_usual_family_is_recorded_as_earlier_releases_read_it(tmp_path: Path) -> None:
    made = planning.make(LabConfig(), None, tmp_path)
    made.save(Paths("lab", tmp_path))
    assert "family" not in Paths("lab", tmp_path).plan.read_text()
    assert plan.read(Paths("lab", tmp_path)) == made


def test_a_kernel_without_ipv6_is_no_machine_for_such_a_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)
    host.require_family("ipv4")
    with pytest.raises(LabError, match="IPv6"):
        host.require_family("ipv6")


def test_data_planes_of_gateways_listen_on_the_family_of_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "read", lambda _: [])
    monkeypatch.setattr(Assets, "of", lambda *_: Path("none"))
    for family, wanted in (("ipv4", None), ("ipv6", "IPv6")):
        address = Network(0, family).node(1)
        objects = envoy_gateway.ADD_ON.objects(Site("simulated", {}, (address,), ASSETS, family))
        (settings,) = (obj for obj in objects if obj["kind"] == "EnvoyProxy")
        assert settings["spec"].get("ipFamily") == wanted


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_registry_serves_at_an_address_of_either_family(address: str, tmp_path: Path) -> None:
    from aiconform.lab.traits.registry import server

    try:
        serving = server(tmp_path, (address, 0))
    except OSError:
        pytest.skip(f"this machine has no {address}")
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    place = f"[{address}]" if ":" in address else address
    with urlopen(f"http://{place}:{serving.server_port}/v2/", timeout=5) as answer:
        assert answer.status == 200
    serving.shutdown()
    serving.server_close()
