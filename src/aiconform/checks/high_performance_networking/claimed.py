"""Which of the interfaces inside a Pod are those that it claimed, and which are of the Pod network."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from aiconform.checks.high_performance_networking.observations import Interface, Networking, NetworkPod, PublishedDevice

LOOPBACK = "lo"
# What interfaces without a hardware address of their own have.
_NO_MAC = ("", "00:00:00:00:00:00")


def usual(seen: Networking) -> tuple[Interface, ...]:
    """The interfaces of every Pod on the node of the first: those of the control Pod that are no published device's."""
    if seen.without is None:
        return ()
    foreign = {each.name for each in foreign_interfaces(seen)}
    return tuple(each for each in seen.without.interfaces if each.name not in {LOOPBACK, *foreign})


def foreign_interfaces(seen: Networking) -> list[Interface]:
    """The interfaces of the control Pod that have the hardware address or the name of a published device.

    The interface with the Pod's address is the Pod network's: it chose the name, and an ipvlan has the hardware address
    of the link that it is on.
    """
    if seen.without is None:
        return []
    devices = [*seen.of_node, *seen.first.devices]
    macs = {each.mac for each in devices if each.mac not in _NO_MAC} | {mac for _, mac in seen.first.told if mac}
    names = {each.interface for each in devices if each.interface}
    found = []
    for each in seen.without.interfaces:
        if (
            each.name != LOOPBACK
            and not of_pod_network(each, seen.without)
            and (each.mac in macs or each.name in names)
        ):
            found.append(each)
    return found


def of_pod_network(interface: Interface, pod: NetworkPod) -> bool:
    """Whether an interface has an address of the Pod itself: the Pod network made it."""
    return any(address.partition("/")[0] in pod.addresses for address in interface.addresses)


def claimed(pod: NetworkPod, names_of_others: Collection[str]) -> list[Interface]:
    """The interfaces of the claimed devices inside a Pod, by what tells most of them first.

    names_of_others: of the interfaces that Pods without a claim have. By the claim's status, by the published hardware
    address, by the published name, else what Pods without the claim lack.
    """
    there = {each.name: each for each in pod.interfaces if each.name != LOOPBACK}
    by_mac = {each.mac: each for each in there.values() if each.mac not in _NO_MAC and not of_pod_network(each, pod)}
    more = {name: each for name, each in there.items() if name not in names_of_others}
    ways: list[Iterable[Interface | None]] = [
        (more.get(name) or by_mac.get(mac) for name, mac in pod.told),
        (by_mac.get(each.mac) for each in pod.devices),
        (more.get(each.interface) for each in pod.devices),
        more.values() if pod.devices else (),
    ]
    for way in ways:
        if found := list({each.name: each for each in way if each is not None}.values()):
            return found
    return []


def interface_of(pod: NetworkPod | None, seen: Networking) -> Interface | None:
    """The interface of the one device that a Pod claimed; None if it is not there."""
    if pod is None:
        return None
    return next(iter(claimed(pod, [each.name for each in usual(seen)])), None)


def without_interface(devices: Sequence[PublishedDevice]) -> str:
    """Why Pods with these devices need not have an interface; empty if they have to."""
    for each in devices:
        if each.without:
            return f"{each.words}: {each.without}"
        if not each.interface and not each.mac and each.kind[0] == "rdma":
            return f"{each.words} publishes RDMA without an interface"
    return ""
