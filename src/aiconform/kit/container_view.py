"""What a container sees of devices, and how the views of several containers differ.

This works for any vendor: device nodes are compared by number, environment variables and mounts by name.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

from aiconform.check import Observation
from aiconform.kit.pods import STAY

# Device nodes of every container by the OCI runtime specification, and terminals that runtimes add.
EVERYWHERE = re.compile(r"/dev/(null|zero|full|random|urandom|tty|console|ptmx|pts/.*|fd|std(in|out|err))")
LOOKED = "looked"
# Prints all device nodes with their numbers, the environment and the mounts, one per line, and which kernel this is.
LOOK = """
echo "kernel $(uname -r) $(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
find /dev \\( -type c -o -type b \\) -exec stat -c 'node %n %t %T %F' {} \\;
echo "env $(base64 /proc/self/environ | tr -d '\\n')"
awk '{print "mount " $5}' /proc/self/mountinfo
"""
# Prints the path of each device node that is not in every container.
OWN_NODES = f"find /dev -type c -o -type b | grep -vE '^{EVERYWHERE.pattern}$'"
# Opens each of them.
OPEN_OWN = f"""
{OWN_NODES} |
while read -r path; do
  result=$( (timeout 5 sh -c 'exec 3<"$1"' sh "$path" && echo opened) 2>&1 | tail -n 1)
  echo "own $path ${{result:-blocked}}"
done
"""
# The number of /dev/null, which every container may open: what happens to it is not the device policy's doing.
HARMLESS = "c:1:3"
# Creates a device node for each number in $NUMBERS (kind:major:minor) and opens it, in the first of some folders where
# this works with a harmless number: one may be read-only, another mounted without devices.
FORGE = f"""
forge() {{
  if made=$(mknod "$2" $(echo "$1" | tr : ' ') 2>&1); then
    result=$( (timeout 5 sh -c 'exec 3<"$1"' sh "$2" && echo opened) 2>&1 | tail -n 1)
    echo "forged $1 ${{result:-blocked}}"
  else
    echo "unmade $1 $made"
  fi
}}
for folder in / /dev/ /tmp/; do
  tried=$(forge {HARMLESS} "${{folder}}forged")
  [ "$tried" = "forged {HARMLESS} opened" ] && break
done
echo "control $tried"
i=0
for number in $NUMBERS; do
  i=$((i + 1))
  forge "$number" "${{folder}}forged-$i"
done
"""


class DeviceNode(Observation):
    """A device node in a container; `number` is kind:major:minor, the kind `c` or `b`."""

    path: str
    number: str


class View(Observation):
    """What one container sees. `release` and `boot`: of the kernel it runs on, empty where that is not told."""

    nodes: list[DeviceNode]
    environment: dict[str, str]
    mounts: list[str]
    release: str = ""
    boot: str = ""


class OpenAttempt(Observation):
    """The outcome of opening a device: `opened`, or the kernel's error message."""

    device: str
    made: bool
    outcome: str


def parse_view(lines: list[str]) -> View:
    """The view that the output of LOOK describes. Other lines are ignored."""
    nodes, mounts, environment = [], [], {}
    release = boot = ""
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == "node":
            match = re.fullmatch(r"(.+) ([0-9a-f]+) ([0-9a-f]+) (character|block) special file", rest)
            if match:
                path, major, minor, sort = match.groups()
                nodes.append(DeviceNode(path=path, number=f"{sort[0]}:{int(major, 16)}:{int(minor, 16)}"))
        elif kind == "kernel":
            release, _, boot = rest.partition(" ")
        elif kind == "mount":
            mounts.append(rest)
        elif kind == "env":
            for entry in decoded(rest, unreadable=f"UNREADABLE={rest}").split("\0"):
                name, equals, value = entry.partition("=")
                if equals:
                    environment[name] = value
    nodes.sort(key=lambda node: node.path)
    return View(nodes=nodes, environment=environment, mounts=sorted(mounts), release=release, boot=boot)


def look_script() -> str:
    """What a container without a device runs: it prints what parse_view reads, and stays."""
    return f"{LOOK}echo {LOOKED}; {STAY}"


def is_in(path: str, mounts: Iterable[str]) -> bool:
    """Whether a path is one of these mounts, or below one."""
    return any(path == mount or path.startswith(f"{mount}/") for mount in mounts)


def decoded(text: str, unreadable: str = "") -> str:
    """Text that a container printed as base64; `unreadable` if it is no base64."""
    try:
        return base64.b64decode(text).decode("utf-8", "replace")
    except ValueError:
        return unreadable


def parse_attempts(lines: list[str], word: str) -> tuple[OpenAttempt, ...]:
    attempts = []
    for line in lines:
        kind, _, rest = line.partition(" ")
        device, _, outcome = rest.partition(" ")
        if kind == word:
            attempts.append(OpenAttempt(device=device, made=True, outcome=outcome))
        elif kind == "unmade" and word == "forged":
            attempts.append(OpenAttempt(device=device, made=False, outcome=outcome))
    return tuple(attempts)


def parse_control(lines: list[str]) -> OpenAttempt | None:
    """What became of the harmless number that FORGE tries first; None if it tried nothing."""
    told = [line.removeprefix("control ") for line in lines if line.startswith("control ")]
    return next(iter(parse_attempts(told, "forged")), None)


def special(view: View) -> list[DeviceNode]:
    """The device nodes that are not in every container."""
    return [node for node in view.nodes if not EVERYWHERE.fullmatch(node.path)]


def granted(view: View, stranger: View) -> list[DeviceNode]:
    """The device nodes, by number, that only the holder has. Paths are not compared: a runtime can renumber them.

    Under different kernels numbers say nothing, and paths are compared.
    """
    key = _path if other_kernel(view, stranger) else _number
    known = {key(node) for node in special(stranger)}
    return [node for node in special(view) if key(node) not in known]


def _path(node: DeviceNode) -> str:
    return node.path


def _number(node: DeviceNode) -> str:
    return node.number


def other_kernel(one: View, other: View) -> bool:
    """Whether two containers run on different kernels: a sandbox of its own kernel, or another machine."""
    if one.boot and other.boot:
        return one.boot != other.boot
    return bool(one.release and other.release and one.release != other.release)


def off_node(view: View, release: str, boot: str) -> bool:
    """Whether a container's kernel is not its node's, as under gVisor and Kata. release, boot: of the node's kernel."""
    return other_kernel(view, View(nodes=[], environment={}, mounts=[], release=release, boot=boot))


def family(node: DeviceNode) -> str | None:
    """The path without its index: `/dev/nvidia` for `/dev/nvidia0`; None for a path without an index.

    Besides the device, drivers give a container control nodes, which all holders share and which have no index.
    """
    match = re.fullmatch(r"(.*?)\d+", node.path)
    return match.group(1) if match else None


def other_signs(view: View, stranger: View) -> list[str]:
    """Environment variables and mounts that only the holder has."""
    return sorted({*view.environment} - {*stranger.environment}) + sorted({*view.mounts} - {*stranger.mounts})
