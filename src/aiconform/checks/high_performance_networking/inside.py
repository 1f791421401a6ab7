"""What the containers run, shell scripts of an image with busybox, and what they print."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiconform.checks.high_performance_networking.observations import Counted, Interface, Transfer
from aiconform.kit.container_view import decoded
from aiconform.kit.pods import STAY

LOOKED = "looked"
DONE = "done"
SIZE = 8 << 20
"""Bytes of a transfer: enough that what else an interface carries meanwhile does not matter."""
PORT = 8080
FIRST_SECONDS = 5
"""For how long the first attempt is made: a connection keeps the source address that it began with."""
POD_NETWORK_SECONDS = 15
"""For how long the same is fetched over the Pod network at most: nothing depends on it."""
_LINK_SECONDS = 20
_MOST = 400
_LONGEST_LINE = 128 << 10
_LONGEST = 200

# An interface that was just moved may need a moment for its addresses of IPv6, which are tried out before any of them
# is a source; and for its link: a fast port can take ten seconds and more to agree with its switch on it.
_LOOK = """
waiting() {
  ip -o addr | grep tentative | grep -qv dadfailed && return 0
  for each in /sys/class/net/*; do
    flags=; state=
    read -r flags < "$each/flags"; read -r state < "$each/operstate"
    [ $((${flags:-0} & 1)) = 1 ] && [ "$state" = down ] && return 0
  done
  return 1
} 2>/dev/null
look() {
  i=0; while [ $i -lt LOOKS ] && waiting; do i=$((i + 1)); sleep 0.5; done
  for each in /sys/class/net/*; do
    flags=; address=; state=; carrier=
    read -r flags < "$each/flags" || continue
    read -r address < "$each/address"; read -r state < "$each/operstate"; read -r carrier < "$each/carrier"
    echo "interface ${each##*/} ${address:--} $flags ${state:--} ${carrier:--}"
  done 2>/dev/null
  echo "addresses $(ip -o addr 2>/dev/null | head -c 65536 | base64 | tr -d '\\n')"
}
look
""".replace("LOOKS", str(2 * _LINK_SECONDS))
CONTROL = f"""{_LOOK}
echo {LOOKED}; {STAY}
"""
# What the kernel has an interface on: a link to its hardware, which virtual ones lack.
ALIGNED = f"""{_LOOK}
for each in /sys/class/net/*; do
  [ -e "$each/device" ] && echo "device ${{each##*/}} $(readlink -f "$each/device")"
done 2>/dev/null
echo {LOOKED}; {STAY}
"""
# What a node has changes while Pods come and go: after the first look, it prints what came and what went.
ON_NODE = f"""
each() {{
  for each in /sys/class/net/*; do
    [ -e "$each/flags" ] || continue
    address=; read -r address < "$each/address"; echo "${{each##*/}} ${{address:--}}"
  done 2>/dev/null
}}
lacks() {{ case "$1" in *"
$2
"*) return 1;; esac; }}
(last="
"
first={LOOKED}
while :; do
  now="
$(each)
"
  echo "$now" | while read -r one; do [ -n "$one" ] && lacks "$last" "$one" && echo "link $one"; done
  echo "$last" | while read -r one; do [ -n "$one" ] && lacks "$now" "$one" && echo "unlink $one"; done
  last=$now
  [ -n "$first" ] && echo "$first" && first=
  sleep 0.5
done) &
{STAY}
"""
HARDWARE = f"""
for each in /sys/class/net/*; do
  [ -e "$each/device" ] || continue
  state=; read -r state < "$each/operstate"
  master=$(readlink "$each/master")
  echo "network ${{each##*/}} ${{state:-unknown}} ${{master##*/}}"
done 2>/dev/null
for family in -4 -6; do
  ip $family route show default 2>/dev/null | sed -n 's/.* dev \\([^ ]*\\).*/uplink \\1/p'
done
for each in /sys/class/infiniband/*; do
  [ -e "$each" ] || continue
  echo "rdma ${{each##*/}} $(ls "$each/device/net" 2>/dev/null | tr '\\n' ' ')"
done
echo {LOOKED}; {STAY}
"""
# The newest counters are a file of the server: who asks for them needs nothing but a request.
SERVER = f"""{_LOOK}
mkdir -p /tmp/all
head -c {SIZE} /dev/urandom > /tmp/all/data
echo "digest $(sha256sum < /tmp/all/data | cut -c 1-64)"
cat /proc/net/dev > /tmp/all/counters
httpd -p {PORT} -h /tmp/all
(while :; do cat /proc/net/dev > /tmp/new; mv /tmp/new /tmp/all/counters; sleep 0.3; done) &
echo {LOOKED}; {STAY}
"""
# PEER_ADDRESS: of the claimed interface; PEER_LINK: the same if it is a link-local one. PEER_POD: of the Pod network.
CLIENT = f"""{_LOOK}
count() {{
  echo "counters $1 own $(base64 < /proc/net/dev | tr -d '\\n')"
  for from in "http://$PEER_POD:{PORT}" "$claimed"; do
    timeout 5 wget -q -O /tmp/counters "$from/counters" 2>/dev/null || continue
    echo "counters $1 peer $(head -c 65536 /tmp/counters | base64 | tr -d '\\n')"
    return
  done
}}
now() {{ read -r up _ < /proc/uptime; echo "${{up%.*}}${{up#*.}}"; }}
fetch() {{
  end=$(($(date +%s) + $3)); code=1; start=0; stop=0; tried=0
  while left=$((end - $(date +%s))); [ $left -gt 0 ]; do
    rm -f /tmp/got; : > /tmp/got
    [ $tried = 0 ] && [ $left -gt {FIRST_SECONDS} ] && left={FIRST_SECONDS}
    tried=1
    start=$(now)
    timeout $left wget -q -O /tmp/got "$2/data" 2>/tmp/said; code=$?
    stop=$(now)
    [ $code = 0 ] && break
    sleep 1
  done
  arrived=$(($(wc -c < /tmp/got))); digest=$(sha256sum < /tmp/got | cut -c 1-64)
  said=$(tail -n 1 /tmp/said | head -c 300 | base64 | tr -d '\\n')
  echo "transfer $1 $code $arrived $((stop - start)) $digest $said"
}}
claimed="http://$PEER_ADDRESS:{PORT}"
if [ -n "$PEER_LINK" ]; then
  for each in /sys/class/net/*; do
    case " $USUAL " in *" ${{each##*/}} "*) continue;; esac
    claimed="http://[$PEER_LINK%${{each##*/}}]:{PORT}"
  done
else
  bare=${{PEER_ADDRESS#\\[}}
  echo "route $(ip route get "${{bare%\\]}}" 2>&1 | head -n 1 | base64 | tr -d '\\n')"
fi
echo {LOOKED}
count before
fetch interface "$claimed" "$TRANSFER_SECONDS"
sleep 1
count between
fetch pods "http://$PEER_POD:{PORT}" {POD_NETWORK_SECONDS}
sleep 1
count after
echo {DONE}; {STAY}
"""


def links(lines: Iterable[str]) -> tuple[tuple[Interface, ...], tuple[Interface, ...]]:
    """(the interfaces that a node had first, those that it had last), by the output of a Pod on its network."""
    there, first = dict[str, Interface](), None
    for line in lines:
        kind, _, rest = line.partition(" ")
        name, _, mac = rest.partition(" ")
        if kind == "link" and name:
            there[rest] = Interface(name=name[:_LONGEST], mac=mac.lower()[:_LONGEST].removeprefix("-"))
        elif kind == "unlink":
            there.pop(rest, None)
        elif line == LOOKED and first is None:
            first = tuple(there.values())
    return first or (), tuple(there.values())


def hardware(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """(interfaces of hardware that a node has, with their states; its RDMA devices), as HARDWARE prints them.

    RDMA of the interface by which the node is reached, or of one that is a part of it, is not for workloads.
    """
    found: dict[str, list[str]] = {"network": [], "rdma": [], "uplink": []}
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind in found and rest.strip():
            found[kind].append(rest[:_LONGEST])
    uplinks = {each.strip() for each in found["uplink"]}
    interfaces = [(*each.split(), "", "")[:3] for each in found["network"]]
    uplinks |= {name for name, _, master in interfaces if master in uplinks}
    rdma = [each.split() for each in found["rdma"]]
    return (
        [f"{name} {state}".rstrip() for name, state, _ in interfaces],
        [name for name, *of in rdma if not of or not uplinks.issuperset(of)],
    )


@dataclass
class Printed:
    """What a container printed. counters: (moment, whose) -> of each interface. transfers: by what they went over."""

    interfaces: tuple[Interface, ...] = ()
    digest: str = ""
    route: str = ""
    counters: dict[tuple[str, str], tuple[Counted, ...]] = field(default_factory=dict)
    transfers: dict[str, Transfer] = field(default_factory=dict)


def read(lines: Iterable[str]) -> Printed:
    """What the output of a container says. Whatever its lines are, this raises nothing."""
    found, known, addresses, hardware = Printed(), dict[str, Interface](), dict[str, list[str]](), dict[str, str]()
    for line in lines:
        kind, _, rest = line[:_LONGEST_LINE].partition(" ")
        words = rest.split(" ")
        if kind == "interface" and (each := _interface(words)) and len(known) < _MOST:
            known.setdefault(each.name, each)
        elif kind == "addresses":
            for name, address in _ADDRESS.findall(decoded(rest)):
                addresses.setdefault(name, []).append(address)
        elif kind == "device" and len(words) == 2:
            hardware[words[0]] = words[1][:_LONGEST]
        elif kind == "digest" and re.fullmatch(r"[0-9a-f]{64}", rest):
            found.digest = rest
        elif kind == "route":
            found.route = " ".join(decoded(rest).split())[:_LONGEST]
        elif kind == "counters" and len(words) == 3:
            found.counters[words[0], words[1]] = counted(decoded(words[2]))
        elif kind == "transfer" and (transfer := _transfer(words)):
            found.transfers[words[0]] = transfer
    found.interfaces = tuple(
        each.model_copy(
            update={"addresses": tuple(addresses.get(each.name, ())[:_MOST]), "device": hardware.get(each.name, "")}
        )
        for each in known.values()
    )
    return found


# `2: eth0    inet 10.0.0.2/24 ...`, by `ip -o addr`.
_ADDRESS = re.compile(r"^\d{1,9}: +([^\s@]{1,50})(?:@\S{1,50})? +inet6? +([0-9a-fA-F.:]{2,50}/\d{1,3})\s", re.MULTILINE)
_COUNTERS = re.compile(r"^ {0,20}([^\s:]{1,50}): {0,30}(\d{1,20})(?: +\d{1,20}){7} +(\d{1,20})\s", re.MULTILINE)


def counted(text: str) -> tuple[Counted, ...]:
    """The counters of /proc/net/dev."""
    return tuple(
        Counted(interface=name, received=int(received), sent=int(sent))
        for name, received, sent in _COUNTERS.findall(text)[:_MOST]
    )


def _interface(words: list[str]) -> Interface | None:
    if len(words) != 5 or not re.fullmatch(r"0x[0-9a-fA-F]{1,8}", words[2]):
        return None
    name, mac, flags, state, carrier = words
    return Interface(
        name=name[:_LONGEST],
        mac=mac.lower()[:_LONGEST].removeprefix("-"),
        up=bool(int(flags, 16) & 1),
        state=state[:20].removeprefix("-"),
        carrier={"0": False, "1": True}.get(carrier),
    )


def _transfer(words: list[str]) -> Transfer | None:
    words = [*words, ""] if len(words) == 5 else words
    if len(words) != 6 or not all(re.fullmatch(r"\d{1,15}", each) for each in words[1:4]):
        return None
    _, code, arrived, hundredths, digest, said = words
    return Transfer(
        address="",
        code=int(code),
        bytes=int(arrived),
        seconds=int(hundredths) / 100,
        digest=digest[:64],
        said=" ".join(decoded(said).split())[:_LONGEST],
    )
