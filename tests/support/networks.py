"""Network namespaces to try what the lab does to networks: those of a node, with its fast links, and of a Pod."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aiconform.lab.addons.fast_links import keeper
from aiconform.lab.addons.model import OnNode
from aiconform.lab.config import Network

_NAMESPACES = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc")


class Machine:
    """The namespaces of a node, number 1 of its lab, with a keeper of fast links in them."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.node = OnNode(1, folder, network, accelerators=2)
        (process,) = keeper(self.node)
        address = f"{network.node(1)}/{network.machines.prefixlen}"
        # Where accepting an address took a second, a test would see one that nobody can use yet.
        script = f"""
            mount -t tmpfs tmpfs /run; mkdir /run/netns
            echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
            ip link add eth0 type veth peer name port
            ip link set eth0 up; ip link set port up; ip link set lo up; ip address add {address} dev eth0
            start() {{ setsid {shlex.join(process.argv)} >{folder}/log 2>&1 & keeper=$!; }}
            start
            while read -r line; do eval "$line" 2>&1; echo "done"; done
        """
        self._shell = subprocess.Popen(
            [*_NAMESPACES, "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def do(self, command: str) -> str:
        """Run one line in the node's namespaces; what it says."""
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.write(command + "\n")
        self._shell.stdin.flush()
        return "".join(iter(self._shell.stdout.readline, "done\n"))

    def links(self, of: str = "") -> dict[str, Any]:
        """Name -> link, as `ip` describes it, of the node or of the Pod whose namespace has this name."""
        # It says when something changed meanwhile.
        found = json.loads(self.do(f"ip {f'-n {of}' if of else ''} -details -json address show 2>/dev/null"))
        return {link["ifname"]: link for link in found}

    def addresses(self, of: str = "") -> dict[str, list[str]]:
        """Name of each macvlan that is up -> its global addresses with the length of their prefix."""
        return {
            name: [f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"] if each["scope"] == "global"]
            for name, link in self.links(of).items()
            if "UP" in link["flags"] and link.get("linkinfo", {}).get("info_kind") == "macvlan"
        }

    def until(self, **expected: list[str]) -> None:
        """Wait until the node has exactly these links that are up, with these addresses; as long as a test may last."""
        while self.addresses() != expected:
            time.sleep(0.05)

    def end(self) -> None:
        # The namespaces end with their first process.
        self._shell.communicate()


@contextmanager
def running(folder: Path, network: Network) -> Iterator[Machine]:
    """A node's namespaces; the test is skipped where none can be made."""
    trial = [*_NAMESPACES, "ip", "link", "add", "bridge0", "type", "bridge"]
    if subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("no network namespaces can be made here")
    made = Machine(folder, network)
    try:
        yield made
    finally:
        made.end()
