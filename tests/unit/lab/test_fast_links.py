"""A node's fast links: their addresses, and the process that keeps them, in namespaces of its own."""

from __future__ import annotations

import ipaddress
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.lab.addons.fast_links import FAST_LINKS, MARK, address, keeper, mac, possible, rail, withheld
from aiconform.lab.addons.model import OnNode
from aiconform.lab.config import IP_FAMILIES, MAX_LABS, MAX_NODES, Network, Unsupported

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

networks = st.builds(Network, st.integers(0, MAX_LABS - 1), st.sampled_from(IP_FAMILIES))
_NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc")


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


class Machine:
    """Namespaces with a keeper in them."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.node = OnNode(1, folder, network, accelerators=2)
        (process,) = keeper(self.node)
        script = f"""
            mount -t tmpfs tmpfs /run; mkdir /run/netns
            ip link add eth0 type veth peer name port && ip link set eth0 up && ip link set port up
            start() {{ setsid {shlex.join(process.argv)} >{folder}/log 2>&1 & keeper=$!; }}
            start
            while read -r line; do eval "$line" 2>&1; echo "done"; done
        """
        self._shell = subprocess.Popen(
            [*_NAMESPACES, "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def do(self, command: str) -> str:
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.write(command + "\n")
        self._shell.stdin.flush()
        return "".join(iter(self._shell.stdout.readline, "done\n"))

    def until(self, *expected: str, of: str = "") -> None:
        """Wait until the links have exactly these `name address`, in the Pod's namespace `of` or the machine's."""
        look = f"ip {f'-n {of}' if of else ''} -json address show type macvlan up"
        wanted = sorted(expected)
        while self._addresses(look) != wanted:
            subprocess.run(["sleep", "0.1"], check=True)

    def _addresses(self, look: str) -> list[str]:
        return sorted(
            f"{link['ifname']} {each['local']}/{each['prefixlen']}"
            for link in json.loads(self.do(look) or "[]")
            if link
            for each in link["addr_info"]
            if each["scope"] == "global"
        )

    def end(self) -> None:
        # The namespaces end with their first process.
        self._shell.communicate()


@pytest.fixture(params=IP_FAMILIES)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    able = subprocess.run(
        [*_NAMESPACES, "ip", "link", "add", "bridge0", "type", "bridge"], capture_output=True, check=False
    )
    if able.returncode:
        pytest.skip("no network namespaces can be made here")
    made = Machine(tmp_path, Network(3, request.param))
    yield made
    made.end()


def test_links_come_back_with_their_addresses_and_end_with_their_keeper(machine: Machine) -> None:
    fast0, fast1 = (f"{name} {address(machine.node.network, 1, link)}" for link, name in enumerate(FAST_LINKS))
    machine.until(fast0, fast1)
    # As a driver moves a link into a Pod and back: no address comes back with it.
    machine.do("ip netns add pod; ip link set fast0 netns pod; ip -n pod link set fast0 up")
    machine.until(fast1)
    machine.do("ip -n pod link set fast0 netns 1; ip link set fast0 up")
    machine.until(fast0, fast1)
    # The namespace is gone before the driver acts.
    machine.do("ip link set fast1 netns pod; ip netns delete pod")
    machine.until(fast0, fast1)
    machine.do(f"ip link add decoy link eth0 type macvlan; ip link set decoy group {MARK}")
    # `setsid` runs the keeper in its own process: the end of that is the end of all.
    machine.do("kill -TERM $keeper; wait $keeper")
    assert machine.do("ip -brief link show type macvlan") == ""


def test_a_link_that_a_fault_withholds_comes_back_with_the_next_keeper_only(machine: Machine) -> None:
    fast0, fast1 = (f"{name} {address(machine.node.network, 1, link)}" for link, name in enumerate(FAST_LINKS))
    machine.until(fast0, fast1)
    withheld(machine.node.folder).write_text("fast1\n")
    machine.do("ip netns add pod; ip link set fast1 netns pod; ip -n pod link set fast1 netns 1; ip link set fast1 up")
    while "fast1" in machine.do("ip link show"):
        subprocess.run(["sleep", "0.1"], check=True)
    machine.until(fast0)
    machine.do("kill -TERM $keeper; wait $keeper; start")
    machine.until(fast0, fast1)
