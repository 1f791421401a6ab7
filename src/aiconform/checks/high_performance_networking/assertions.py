"""What published network devices, and the Pods that claim them, have to show."""

from __future__ import annotations

from aiconform.check import Finding, assertion, holds, left_out, undecided
from aiconform.checks.high_performance_networking.claimed import (
    claimed,
    foreign_interfaces,
    interface_of,
    usual,
    without_interface,
)
from aiconform.checks.high_performance_networking.observations import (
    Described,
    Interface,
    Networking,
    NetworkPod,
    PublishedDevice,
)

_FEW = 5


def _given(pod: NetworkPod) -> str:
    return ", ".join(each.words for each in pod.devices) or "no device"


def _names(interfaces: tuple[Interface, ...] | list[Interface]) -> str:
    return ", ".join(each.name for each in interfaces) or "none"


def no_interface(seen: Networking) -> Finding | None:
    """Why nothing can be said of the first Pod's interface; None if it has one."""
    if not seen.first.ran:
        return left_out(f"Pod {seen.first.pod} does not run: {seen.first.why_not}")
    if interface_of(seen.first, seen) is None:
        return left_out(f"no claimed interface is in Pod {seen.first.pod}")
    return None


@assertion(
    "describes_devices",
    "Each network device states its kind and a characteristic to select by",
    serves=("devices_describe_themselves",),
)
def describes_devices(seen: Described) -> Finding:
    # Of an interface that is in a Pod, a driver reads nothing: it publishes what has it.
    devices = [each for each in seen.devices if each.interface or not each.held]
    inside = len(seen.devices) - len(devices)
    besides = f"; {inside} more are held, and published without what they are meanwhile" if inside else ""
    silent = [(each, why) for each in devices if (why := _silent(each))]
    if silent:
        few = "; ".join(f"{each.words} on {each.node or 'several nodes'} {why}" for each, why in silent[:_FEW])
        return holds(False, f"{len(silent)} of {len(devices)} devices: {few}{besides}", subjects=len(devices))
    if not devices:
        return undecided(f"no free network device for workloads is published{besides}")
    kinds = sorted({"=".join(each.kind) for each in devices})
    by = sorted({name for each in devices for name, _ in each.characteristics} | {*devices[0].capacities})
    said = f"{len(devices)} devices state their kind ({', '.join(kinds[:_FEW])}) and {', '.join(by[:12])}"
    return holds(True, f"{said}{besides}", subjects=len(devices))


def _silent(each: PublishedDevice) -> str:
    """What a device does not state; empty if it states enough."""
    lacks = [] if each.kind[0] else ["no kind"]
    lacks += [] if each.characteristics or each.capacities else ["nothing to select by but names and addresses"]
    return f"states {' and '.join(lacks)}" if lacks else ""


@assertion(
    "runs_where_device_is",
    "A Pod that claims a device by its characteristics runs on a node that offers it",
    serves=("pod_runs_where_device_is",),
)
def runs_where_device_is(seen: Networking) -> Finding:
    first = seen.first
    if not first.node:
        return undecided(f"Pod {first.pod} was not placed: {first.why_not}")
    where = ", ".join(first.offering)
    if first.node not in first.offering:
        said = f"Pod {first.pod} was placed on node {first.node}; the devices that its claim selects are on {where}"
        return holds(False, said, subjects=1)
    only = "" if first.elsewhere else "; there is no other node for it"
    return holds(True, f"Pod {first.pod} was placed by the scheduler on {first.node}, of {where}{only}", subjects=1)


@assertion("interface_is_in_pod", "The claimed interface is inside the Pod")
def interface_is_in_pod(seen: Networking) -> Finding:
    first = seen.first
    if first.problem:
        said = f"Pod {first.pod} does not start on {first.node}, where a Pod without a claim does: {first.problem}"
        return holds(False, said, subjects=1)
    if not first.ran:
        return undecided(f"Pod {first.pod} does not run: {first.why_not}")
    if why := without_interface(first.devices):
        return undecided(
            f"an interface need not be in Pod {first.pod}: {why}; what it has instead is not looked at yet"
        )
    found = interface_of(first, seen)
    if found is None:
        others = usual(seen)
        if not others:
            return undecided(f"Pod {first.pod} has {_names(first.interfaces)}, and there is no Pod to compare it with")
        said = (
            f"Pod {first.pod} on {first.node} was given {_given(first)} and has {_names(first.interfaces)}, as a Pod "
            f"without a claim has ({_names(others)})"
        )
        return holds(False, said, subjects=1)
    return holds(True, f"Pod {first.pod} on {first.node} has {_given(first)} as interface {found.name}", subjects=1)


@assertion("interface_is_up", "The claimed interface is up inside the Pod", serves=("interface_is_in_pod",))
def interface_is_up(seen: Networking) -> Finding:
    if why := no_interface(seen):
        return why
    pods = [pod for pod in (seen.first, seen.peer) if pod]
    found = [(pod, each) for pod in pods if (each := interface_of(pod, seen))]
    down = [(pod, each) for pod, each in found if not each.works]
    # An unused port is down wherever it is.
    failed = [(pod, each) for pod, each in down if not any(device.down for device in pod.devices)]
    said = "; ".join(f"{each.name} of Pod {pod.pod}: {each.words}" for pod, each in failed or down or found)
    if down and not failed:
        return undecided(f"{said}, as it was published before: no free device of its kind is up")
    return holds(not failed, said, subjects=len(found))


@assertion(
    "keeps_pod_network",
    "A Pod with a claimed interface keeps the Pod network's",
    serves=("interface_is_in_pod",),
)
def keeps_pod_network(seen: Networking) -> Finding:
    if why := no_interface(seen):
        return why
    kept = [each for each in usual(seen) if each.works]
    if not kept:
        return undecided("the Pod without a claim has no interface of the Pod network that is up")
    mine = interface_of(seen.first, seen)
    there = {each.name: each for each in seen.first.interfaces if each != mine}
    lost = [f"{each.name} is not there" for each in kept if each.name not in there]
    lost += [
        f"{each.name} is {now.words}" for each in kept if (now := there.get(each.name)) is not None and not now.works
    ]
    said = "; ".join(lost) or f"{_names(kept)} beside {mine.name if mine else ''}"
    return holds(not lost, f"Pod {seen.first.pod}: {said}", subjects=len(kept))


@assertion(
    "leaves_the_node",
    "The claimed interface is no longer in the node's network",
    serves=("interface_is_in_pod",),
)
def leaves_the_node(seen: Networking) -> Finding:
    if why := no_interface(seen):
        return why
    device = next(iter(seen.first.devices), None)
    if device is None:
        return undecided(f"the claim of Pod {seen.first.pod} does not say which device it was given")
    if device.stays:
        return left_out(f"{device.words} stays in the node's network by design: {device.stays}")
    if not seen.node_interfaces:
        return undecided(
            f"no Pod on the network of {seen.first.node} could look: {seen.node_unseen or 'none was made'}"
        )
    if not device.interface:
        return undecided(f"{device.words} does not say what its interface is called on the node")
    there = next((each for each in seen.node_interfaces if each.name == device.interface), None)
    if there is not None:
        said = f"node {seen.first.node} still has {there.name} ({there.mac or 'no address'})"
        return holds(False, f"{said}, while Pod {seen.first.pod} has it", subjects=1)
    mine = interface_of(seen.first, seen)
    same = [each for each in seen.node_interfaces if mine and mine.mac and each.mac == mine.mac]
    if new := [each for each in same if each not in seen.node_before]:
        # What an interface was made on can have its hardware address, too, and had it before.
        said = f"node {seen.first.node} has {new[0].name} with the hardware address {new[0].mac} of {device.interface}"
        if not seen.node_before:
            return undecided(f"{said}: what it had before is not known")
        return holds(False, f"{said}, which it had not before Pod {seen.first.pod} got that", subjects=1)
    count = len(seen.node_interfaces)
    return holds(True, f"none of {count} interfaces of node {seen.first.node} is {device.interface}", subjects=1)


@assertion(
    "other_pods_have_none",
    "A Pod without the claim has none of the node's network devices",
    serves=("other_pods_have_no_interface",),
)
def other_pods_have_none(seen: Networking) -> Finding:
    if seen.without is None:
        return undecided("there was no Pod without a claim")
    if not seen.of_node and not seen.first.devices:
        return left_out(f"node {seen.without.node}, where the Pods run, publishes no device")
    told = any(each.interface or each.mac for each in (*seen.of_node, *seen.first.devices)) or any(seen.first.told)
    if not told:
        return undecided("the devices say neither what their interfaces are called nor their hardware addresses")
    foreign = foreign_interfaces(seen)
    named = ", ".join(f"{each.name} ({each.mac or 'no address'})" for each in foreign)
    if foreign:
        return holds(False, f"Pod {seen.without.pod} without a claim on {seen.without.node} has {named}", subjects=1)
    there = _names(seen.without.interfaces)
    return holds(True, f"Pod {seen.without.pod} on {seen.without.node} has {there}", subjects=1)


@assertion("two_interfaces_in_one_pod", "A Pod that claims two devices of one node has two interfaces")
def two_interfaces_in_one_pod(seen: Networking) -> Finding:
    if why := no_interface(seen):
        return why
    if without_interface(seen.first.devices):
        return left_out("its devices need not have interfaces")
    two = seen.two
    if two is None:
        if seen.no_two.startswith("no node offers"):
            return left_out(seen.no_two)
        return undecided(f"no Pod claimed two devices: {seen.no_two}")
    if two.problem:
        said = f"Pod {two.pod} with two devices does not start on {two.node}, where one without does: {two.problem}"
        return holds(False, said, subjects=1)
    if not two.ran:
        return undecided(f"Pod {two.pod} does not run: {two.why_not}")
    if len(two.devices) != 2:
        return undecided(f"the claim of Pod {two.pod} says that it was given {_given(two)}")
    others = [each.name for each in usual(seen)]
    more = [each for each in two.interfaces if each.name not in ("lo", *others)]
    found = max(claimed(two, others), more, key=len)
    said = f"Pod {two.pod} on {two.node} was given {_given(two)} and has {_names(found)}"
    return holds(len(found) > 1, said, subjects=2)


@assertion("interface_comes_back", "After a Pod's end, the next Pod gets its interface as that Pod had it")
def interface_comes_back(seen: Networking) -> Finding:
    if why := no_interface(seen):
        return why
    if seen.not_returned:
        return holds(False, seen.not_returned, subjects=1)
    later = seen.next_pod
    if later is None:
        return undecided(f"no next Pod claimed it: {seen.no_next or 'none was made'}")
    if later.problem or later.waits:
        said = f"Pod {later.pod}, the next one with the device, does not run: {later.problem or later.waits}"
        return holds(False, said, subjects=1)
    before, now = interface_of(seen.first, seen), interface_of(later, seen)
    if before is None or now is None:
        return holds(False, f"Pod {later.pod} was given {_given(later)} and has {_names(later.interfaces)}", subjects=1)
    lacks = [f"is {now.words}, where it was {before.words}"] if before.works and not now.works else []
    lacks += ["has no address"] if _has_address(before) and not _has_address(now) else []
    said = " and ".join(lacks) or f"is there as before: {now.words}, {', '.join(now.addresses) or 'without an address'}"
    return holds(not lacks, f"interface {now.name} of the next Pod, {later.pod}, {said}", subjects=1)


def _has_address(interface: Interface) -> bool:
    return any(not each.lower().startswith("fe80:") for each in interface.addresses)
