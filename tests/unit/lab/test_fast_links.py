"""A node's fast links: their addresses, and the process that keeps them, in namespaces of its own."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.networks import Machine, running

from aiconform.lab.addons.fast_links import MARK, address, keeper, kept, mac, possible, rail, withheld
from aiconform.lab.addons.model import OnNode
from aiconform.lab.config import FAST_LINKS, IP_FAMILIES, MAX_LABS, MAX_NODES, Network, Unsupported

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

networks = st.builds(Network, st.integers(0, MAX_LABS - 1), st.sampled_from(IP_FAMILIES))


@given(network=networks)
def test_rails_are_the_lab_s_and_overlap_nothing_else_of_it(network: Network) -> None:
    rails = [rail(network, link) for link in range(len(FAST_LINKS))]
    others = [network.machines, network.services, network.all_pods, *rails]
    for position, each in enumerate(rails):
        assert each.subnet_of(network.block)  # type: ignore[arg-type]
        assert not any(each.overlaps(other) for other in others if other is not each)
        given_out = [ipaddress.ip_interface(address(network, number, position)) for number in range(1, MAX_NODES + 1)]
        assert {interface.network for interface in given_out} == {each}
        assert len(set(given_out)) == MAX_NODES
    every = {mac(network.index, number, link) for number in range(1, MAX_NODES + 1) for link in range(len(FAST_LINKS))}
    assert len(every) == MAX_NODES * len(FAST_LINKS)


def test_a_node_without_accelerators_has_no_links(tmp_path: Path) -> None:
    assert keeper(OnNode(1, tmp_path, Network(0), accelerators=0)) == ()


@pytest.mark.parametrize("code", [0, 2])
def test_a_machine_whose_kernel_has_no_such_links_is_told_so(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = subprocess.CompletedProcess("ip", code, "", "Error: Unknown device type.\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    told = pytest.raises(Unsupported, match=r"no macvlan \(Error: Unknown device type.\)") if code else nullcontext()
    with told:
        possible("ipv4")


@pytest.fixture(params=IP_FAMILIES)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    with running(tmp_path, Network(3, request.param)) as made:
        yield made


def both(machine: Machine) -> dict[str, list[str]]:
    return {name: [address(machine.node.network, 1, link)] for link, name in enumerate(FAST_LINKS)}


def test_links_come_back_with_their_addresses_and_end_with_their_keeper(machine: Machine) -> None:
    every = both(machine)
    machine.until(**every)
    # As a driver moves a link into a Pod and back: no address comes back with it.
    machine.do("ip netns add pod; ip link set fast0 netns pod; ip -n pod link set fast0 up")
    machine.until(fast1=every["fast1"])
    machine.do("ip -n pod link set fast0 netns 1; ip link set fast0 up")
    machine.until(**every)
    # The namespace is gone before the driver acts.
    machine.do("ip link set fast1 netns pod; ip netns delete pod")
    machine.until(**every)
    machine.do(f"ip link add decoy link eth0 type macvlan; ip link set decoy group {MARK}")
    machine.do("kill -TERM $keeper; wait $keeper")
    assert set(machine.links()) == {"lo", "eth0", "port"}


def test_a_link_that_a_fault_withholds_is_gone_until_the_keeper_undoes_what_faults_left(machine: Machine) -> None:
    every = both(machine)
    machine.until(**every)
    withheld(machine.node.folder).write_text("fast1\n")
    machine.do("ip netns add pod; ip link set fast1 netns pod; ip -n pod link set fast1 netns 1; ip link set fast1 up")
    machine.until(fast0=every["fast0"])
    machine.do(f"ip link add decoy link eth0 type macvlan; ip link set decoy group {MARK}")
    machine.do(f"ip route add unreachable {every['fast0'][0].partition('/')[0]} proto {MARK}")
    done = kept(machine.node.folder)
    done.unlink(missing_ok=True)
    machine.do("kill -USR1 $keeper")
    while not done.exists():
        time.sleep(0.05)
    machine.until(**every)
    assert "decoy" not in machine.links()
    assert not machine.do(f"ip route show proto {MARK}; ip -6 route show proto {MARK}")
