"""The network between the machines of a lab.

A bridge in the control plane's network namespace connects the machines and routes between the nodes' Pod ranges. The
host has one end of a veth pair, and no bridge, rule or forwarding of its own. All of it ends with the namespaces.

`ip -batch` sets it up: a batch in a namespace is one process, and reads as the commands that an administrator types. A
netlink library would need a socket in each namespace and several calls for each of these lines.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from aiconform.lab.config import Network

# Numbers of the host's and the bridge's devices; those of nodes start at 1.
_HOST, _SWITCH = 0xFE, 0xFF
_IPV6 = "/proc/sys/net/ipv6/conf"
# A Pod's gateway answers at once: the kernel does not ask for a second first whether another has its address.
_ROUTED = {"all/disable_ipv6": 0, "default/disable_ipv6": 0, "default/accept_dad": 0, "all/forwarding": 1}


def connect_control_plane(network: Network, pid: int) -> None:
    """Create the bridge in the namespace of process `pid` and connect the host. Raises CalledProcessError."""
    device = network.host_device
    # It still exists if the kernel has not removed the namespace of a crashed control plane yet.
    subprocess.run(["ip", "link", "delete", device], check=False, capture_output=True)
    _route(network, pid)
    _ip(network, f"link add {device} address {_mac(network, _HOST)} type veth peer name host netns {pid}")
    if network.is_ipv6:
        # A machine whose own devices have no IPv6 can have a lab that has.
        Path(_IPV6, device, "disable_ipv6").write_text("0")
    _ip(
        network,
        "link set lo up",
        f"link add switch address {_mac(network, _SWITCH)} type bridge forward_delay 0",
        _address(network, network.control_plane, "switch"),
        "link set switch up",
        "link set host master switch up",
        namespace_of=pid,
    )
    # Pods reach nothing outside: connections fail at once instead of timing out.
    _ip(network, "route replace unreachable default", namespace_of=pid)
    _ip(
        network,
        _address(network, network.host, device),
        f"link set {device} up",
        f"route replace {network.block} via {network.control_plane} dev {device}",
    )


def connect_node(network: Network, number: int, pid: int, control_plane_pid: int) -> None:
    """Connect the node whose init is process `pid`. Raises CalledProcessError."""
    port, address = f"port{number}", network.node(number)
    subprocess.run(
        ["nsenter", "-t", str(control_plane_pid), "-n", "ip", "link", "delete", port], check=False, capture_output=True
    )
    _route(network, pid)
    _ip(
        network,
        f"link add eth0 address {_mac(network, number)} netns {pid} "
        f"type veth peer name {port} netns {control_plane_pid}",
    )
    _ip(
        network,
        "link set lo up",
        _address(network, address, "eth0"),
        "link set eth0 up",
        f"route replace default via {network.control_plane}",
        namespace_of=pid,
    )
    _ip(
        network,
        f"link set {port} master switch up",
        f"route replace {network.pods(number)} via {address}",
        namespace_of=control_plane_pid,
    )


def forget_node(network: Network, number: int, control_plane_pid: int) -> None:
    """Remove the route to a node that is gone."""
    subprocess.run(
        [
            *("nsenter", "-t", str(control_plane_pid), "-n", "ip", *_family(network)),
            *("route", "delete", str(network.pods(number))),
        ],
        check=False,
        capture_output=True,
    )


def nat_rules(network: Network, pid: int) -> str:
    """The NAT rules in the namespace of process `pid`, as iptables-save prints them; empty if the process is gone."""
    save = "ip6tables-save" if network.is_ipv6 else "iptables-save"
    command = ["nsenter", "-t", str(pid), "-n", save, "-t", "nat"]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def _mac(network: Network, number: int) -> str:
    """The same after each restart of a machine: others keep it in their ARP caches for half a minute or more."""
    return f"02:a1:c0:00:{network.index:02x}:{number:02x}"


def _family(network: Network) -> tuple[str, ...]:
    """`ip` takes commands that name no address for IPv4."""
    return ("-6",) if network.is_ipv6 else ()


def _address(network: Network, address: str, device: str) -> str:
    """The command that gives this address to a device, where it can be used at once: nobody else has it."""
    return f"address add {address}/{network.machines.prefixlen} dev {device}" + (" nodad" if network.is_ipv6 else "")


def _route(network: Network, pid: int) -> None:
    """Let the machine with init `pid` route IPv6, as each machine routes IPv4 (see `machine`)."""
    if not network.is_ipv6:
        return
    settings = "".join(f"echo {value} > {_IPV6}/{name}\n" for name, value in _ROUTED.items())
    enter = ["nsenter", "-t", str(pid), "-n"]
    subprocess.run([*enter, "sh", "-e"], input=settings, text=True, check=True, capture_output=True)


def _ip(network: Network, *commands: str, namespace_of: int | None = None) -> None:
    enter = ["nsenter", "-t", str(namespace_of), "-n"] if namespace_of is not None else []
    subprocess.run(
        [*enter, "ip", *_family(network), "-batch", "-"],
        input="\n".join(commands) + "\n",
        text=True,
        check=True,
        capture_output=True,
    )


def disconnect(network: Network) -> None:
    """Remove the host's end of the veth pair, which otherwise is removed with the control plane's namespace."""
    subprocess.run(["ip", "link", "delete", network.host_device], check=False, capture_output=True)
