"""Faults in the networks of Pods: scripts that the wrapper around runc runs before a container of such a Pod starts.

By then the driver has moved the Pod's interfaces. The Pods are those of the check of them, by the last words of their
names; each script gets the path of the Pod's network namespace as POD, and runs on the Pod's node.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiconform.lab.addons.fast_links import MARK, withheld
from aiconform.lab.config import FAST_LINKS, MAX_NODES, Network

CONTAINER = "networks"
"""The name of the container in each Pod of the check."""
_SENDER, _PEER, _TWO, _WITHOUT, _ALIGNED = (
    f"(?<!-next){word}$"
    for word in ("-with-interface", "-with-interface-peer", "-two-interfaces", "-without-interface", "-aligned")
)
_BOTH = f"{_SENDER}|{_PEER}"
# A node has the same place in the networks of the machines and of each rail.
_PLACES = [int(ipaddress.ip_address(Network(0).node(n))) & 0xFF for n in (1, MAX_NODES)]

# Words of the scripts. The namespace of process 1 is the node's.
_WORDS = f"""links={" ".join(FAST_LINKS)!r}
in_pod() {{ nsenter --net="$POD" "$@"; }}
has() {{ in_pod ip link show "$1" >/dev/null 2>&1; }}
give_back() {{ in_pod ip link set "$1" netns 1 && ip link set "$1" up; }}
"""
# The Pod's own route to the rail is replaced by one over its usual interface; nodes pass it on to each other. Where the
# Pod itself is reached is known by its other address. The last part of an address is decimal or hexadecimal.
_BY_POD_NETWORK = f"""
family=-4 form=%s.%d; machine=$(ip -4 -o address show dev eth0 scope global)
[ "$machine" ] || {{ family=-6 form=%s:%x; machine=$(ip -6 -o address show dev eth0 scope global); }}
address() {{ set -- $1; echo "${{4%/*}}"; }}
machine=$(address "$machine"); usual=$(address "$(in_pod ip $family -o address show dev eth0 scope global)")
port=$(set -- $(ip $family -o route get "$usual"); while [ "$1" != dev ]; do shift; done; echo "$2")
gateway=$(set -- $(in_pod ip $family route show default); echo "$3")
for link in $links; do
  has "$link" || continue
  set -- $(in_pod ip $family -o address show dev "$link" scope global); rail=${{4%/*}}
  network=$(set -- $(in_pod ip $family route show dev "$link" proto kernel | grep -v ^fe80); echo "$1")
  in_pod ip $family route delete "$network" dev "$link"
  in_pod ip $family route add "$network" via "$gateway" dev eth0
  n={_PLACES[0]}
  while [ $n -le {_PLACES[1]} ]; do
    printf "route replace $form via $form proto {MARK}\\n" "${{rail%[.:]*}}" $n "${{machine%[.:]*}}" $n
    n=$((n + 1))
  done | ip $family -force -batch - 2>/dev/null || :
  ip $family route replace "$rail" via "$usual" dev "$port" onlink proto {MARK}
done
"""


@dataclass(frozen=True)
class _Script:
    pods: str
    """A pattern of their names."""
    text: str


def _each(command: str) -> str:
    """Have a command carried out for each fast link that is in the Pod."""
    return f'for link in $links; do if has "$link"; then {command}; fi; done\n'


SCRIPTS: Mapping[str, _Script] = {
    "interface-stays-on-node": _Script(_BOTH, _each('give_back "$link"')),
    "interface-down": _Script(_SENDER, _each('in_pod ip link set "$link" down')),
    "interface-replaces-pod-network": _Script(_SENDER, "in_pod ip link delete eth0\n"),
    "interface-stays-visible": _Script(
        _SENDER,
        # Under its own name, the driver could not move the link back. Never up, it is in nobody's way.
        _each(
            'mac=$(set -- $(in_pod ip -o link show "$link"); '
            'while [ "$1" != link/ether ]; do shift; done; echo "$2"); '
            'ip link add "kept-$link" link eth0 address "$mac" type macvlan 2>/dev/null || :; '
            f'ip link set "kept-$link" group {MARK}'
        ),
    ),
    "interface-in-other-pod": _Script(
        _WITHOUT, 'for link in $links; do ip link add "$link" link eth0 netns "$POD" type macvlan mode bridge; done\n'
    ),
    # It takes frames from nobody.
    "interface-reaches-nobody": _Script(_BOTH, _each('in_pod ip link set "$link" type macvlan mode source')),
    "traffic-over-pod-network": _Script(_BOTH, _BY_POD_NETWORK),
    "second-interface-lost": _Script(_TWO, f"if has {FAST_LINKS[1]}; then give_back {FAST_LINKS[1]}; fi\n"),
    "aligned-interface-lost": _Script(_ALIGNED, _each('give_back "$link"')),
    "interface-not-returned": _Script(_SENDER, _each('echo "$link" >> "$withheld"')),
}
"""Faults that the wrapper carries out -> what it does to which Pods."""


def network_faults(on: Iterable[str], folder: Path) -> list[dict[str, str]]:
    """What the wrapper of a node with this state folder is told while these faults are on; empty without one."""
    words = f"withheld='{withheld(folder)}'\n{_WORDS}"
    return [
        {"container": CONTAINER, "pod": script.pods, "script": words + script.text}
        for name in sorted(SCRIPTS.keys() & set(on))
        for script in (SCRIPTS[name],)
    ]
