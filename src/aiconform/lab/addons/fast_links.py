"""A node's fast links: a network device for data on each of two rails, as nodes with accelerators have them.

Each is a macvlan over the node's own device, so all nodes' links of one rail are on one segment. A driver moves them
into Pods and back, as it would move hardware. Hardware comes back in any case, and the node's network configuration
gives it its address again; a keeper does both here: the kernel removes a macvlan together with the namespace that it is
in, and takes the addresses of one that changes its namespace.
"""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Sequence
from pathlib import Path

from aiconform.lab.addons.model import OnNode
from aiconform.lab.config import FAST_LINKS, IpNetwork, Network, Unsupported
from aiconform.lab.machines import host
from aiconform.lab.machines.processes import ProcessSpec

PROCESS = "links"
MARK = 253
"""Protocol of routes and group of links that a fault adds on the node: the keeper removes them when it is renewed."""
_WITHHELD, _KEPT = "links-withheld", "links-kept"
_LOOK_SECONDS = 5

# In a namespace of its own, which ends with the command.
_TRY = "ip link add tried type veth peer name other && ip link add tried0 link tried type macvlan mode bridge"

# The arguments are three for each link: its name, MAC address and IP address. Events tell of a link that has come back;
# none tells of one that was removed elsewhere. A link is seen in /proc, so that looking starts no process.
_KEEP = f"""trap 'trap "" TERM; kill 0; undo; each remove "$@"; exit' TERM
trap 'undo; each settle "$@"; each find "$@"; : > "$kept"' USR1
withheld=$0/{_WITHHELD} kept=$0/{_KEPT}
each() {{ do=$1; shift; while [ $# -gt 0 ]; do "$do" "$1" "$2" "$3"; shift 3; done; }}
there() {{ while read -r found _; do [ "$found" = "$1:" ] && return; done < /proc/net/dev; return 1; }}
in_pod() {{
  for space in /run/netns/*; do ip -n "${{space##*/}}" link show "$1" >/dev/null 2>&1 && return; done; return 1
}}
settle() {{
  there "$1" || return
  case "$(ip -o address show dev "$1" 2>/dev/null)" in *" $3 "*) return ;; esac
  if grep -qx "$1" "$withheld" 2>/dev/null; then ip link delete "$1"; return; fi
  case $3 in *:*) at_once=nodad ;; *) at_once= ;; esac
  # The last command makes an event of the link: who read it without its address reads it again.
  printf '%s\\n' "address replace $3 dev $1 $at_once" "link set $1 up" "link set $1 type macvlan mode bridge" |
    ip -batch - && echo "$1 has its address"
}}
find() {{
  there "$1" && return
  in_pod "$1" && return
  grep -qx "$1" "$withheld" 2>/dev/null && return
  ip link add link eth0 name "$1" address "$2" type macvlan mode bridge && settle "$@"
}}
remove() {{ there "$1" && ip link delete "$1"; }}
undo() {{
  rm -f "$withheld"
  ip link delete group {MARK} 2>/dev/null
  for family in -4 -6; do ip "$family" route flush proto {MARK} 2>/dev/null; done
}}
follow() {{
  {{ ip monitor link & while sleep {_LOOK_SECONDS}; do echo look; done; }} | while read -r line; do
    case $line in
      look) each find "$@" ;;
      [0-9]*[,\\<]UP[,\\>]*) each settle "$@" ;;
    esac
  done
}}
undo
each settle "$@"
each find "$@"
: > "$kept"
follow "$@" & follower=$!
# A signal ends a wait, too.
while kill -0 $follower 2>/dev/null; do wait $follower; done
"""


def possible(ip_family: str) -> None:
    """Raises Unsupported, with the kernel's words, if this machine cannot have links of this kind."""
    command = ["unshare", "--net", "sh", "-c", _TRY]
    done = subprocess.run(command, env=host.environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unsupported(
            "this machine cannot have a second network for Pods: its kernel makes no macvlan "
            f"({' '.join(done.stderr.split())}). What helps: a kernel with MACVLAN"
        )


def withheld(folder: Path) -> Path:
    """The file with the names of links, one a line, that a fault keeps from coming back; by the node's state folder."""
    return folder / _WITHHELD


def kept(folder: Path) -> Path:
    """The file that the keeper of a node with this state folder writes when it has undone what faults left.

    It does that when it starts, and at SIGUSR1.
    """
    return folder / _KEPT


def rail(network: Network, link: int) -> IpNetwork:
    """The network of the links at this position of FAST_LINKS, one of each node: a range after that of the machines."""
    ranges: list[IpNetwork] = list(network.block.subnets(new_prefix=network.machines.prefixlen))
    return ranges[1 + link]


def address(network: Network, number: int, link: int) -> str:
    """The address on its rail, with the prefix length, of a link of the node with this number."""
    own = int(ipaddress.ip_address(network.node(number))) - int(network.machines.network_address)
    return f"{rail(network, link)[own]}/{network.machines.prefixlen}"


def mac(index: int, number: int, link: int) -> str:
    """Of the lab with this index, the node with this number, and the link at this position."""
    return f"02:a1:c1:{index:02x}:{number:02x}:{link:02x}"


def keeper(node: OnNode) -> Sequence[ProcessSpec]:
    """The process that keeps the node's links, and removes them when it ends; none without accelerators."""
    if not node.accelerators:
        return ()
    links = [
        word
        for link, name in enumerate(FAST_LINKS)
        for word in (name, mac(node.network.index, node.number, link), address(node.network, node.number, link))
    ]
    return (ProcessSpec(PROCESS, ("/bin/sh", "-c", _KEEP, str(node.folder), *links)),)
