"""A probe that looks at a Pod's interfaces, and assertions over what it saw."""

from __future__ import annotations

from aiconform.check import (
    Access,
    Finding,
    Observation,
    Options,
    Platform,
    Scratch,
    Settings,
    Target,
    assertion,
    holds,
    option,
    probe,
    undecided,
    wait,
)

# One line for each interface: its name and its largest packet in bytes.
LOOK = 'for each in /sys/class/net/*; do echo "$(basename "$each") $(cat "$each/mtu")"; done'


class Fabric(Options):
    mtu: int = option(1400, "Bytes that a packet between Pods carries at least.", ge=576)


class Interface(Observation):
    """An interface of a Pod; `mtu` is its largest packet in bytes."""

    name: str
    mtu: int


class Interfaces(Observation):
    """The interfaces of one Pod on `node`, and the MTU that was asked for."""

    node: str
    wanted_mtu: int
    interfaces: list[Interface]


@probe(
    limit=60,
    access=(
        Access("", "pods", ("create", "get", "list", "watch", "delete")),
        Access("", "pods/log", ("get",)),
    ),
)
async def interfaces(platform: Platform, scratch: Scratch, settings: Settings, target: Target) -> Interfaces:
    pod = await scratch.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": scratch.name("look")},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "containers": [
                    {
                        "name": "look",
                        "image": platform.images["shell"],
                        "command": ["sh", "-c", LOOK],
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "runAsNonRoot": True,
                            "runAsUser": 65534,
                            "capabilities": {"drop": ["ALL"]},
                            "seccompProfile": {"type": "RuntimeDefault"},
                        },
                    }
                ],
            },
        }
    )
    metadata, cluster = pod["metadata"], platform.cluster
    ended = await wait.until(cluster, pod, wait.finished, seconds=settings.patience, what="the Pod that looks")
    lines = [line async for line in cluster.follow(metadata["namespace"], metadata["name"], "look", seconds=30)]
    return Interfaces(
        node=ended["spec"]["nodeName"],
        wanted_mtu=settings.of(Fabric).mtu,
        interfaces=[Interface(name=name, mtu=int(mtu)) for name, mtu in map(str.split, lines)],
    )


@assertion("interface_present", "A Pod has a network interface beside loopback")
def interface_present(seen: Interfaces) -> Finding:
    names = [each.name for each in seen.interfaces if each.name != "lo"]
    return holds(bool(names), f"on {seen.node}: {', '.join(names) or 'loopback only'}", subjects=1)


@assertion("mtu_is_enough", "Its packets carry as many bytes as asked for")
def mtu_is_enough(seen: Interfaces) -> Finding:
    others = [each for each in seen.interfaces if each.name != "lo"]
    if not others:
        return undecided("the Pod has no interface to look at")
    small = [f"{each.name}: {each.mtu}" for each in others if each.mtu < seen.wanted_mtu]
    found = ", ".join(small) or ", ".join(f"{each.name}: {each.mtu}" for each in others)
    return holds(not small, f"{found} (wanted: {seen.wanted_mtu})", subjects=len(others))
