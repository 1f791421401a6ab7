"""What a Pod with a network device and an accelerator of one place has to show."""

from __future__ import annotations

from aiconform.check import Finding, assertion, holds, left_out, undecided
from aiconform.checks.high_performance_networking.claimed import LOOPBACK, claimed, of_pod_network, without_interface
from aiconform.checks.high_performance_networking.observations import Alignment, Interface, NetworkPod
from aiconform.platform.networks.roots import is_kernels, root_of_path


def _interface(pod: NetworkPod) -> Interface | None:
    """The claimed one: what it has beside the interfaces of the Pod network."""
    found = next(iter(claimed(pod, _usual(pod))), None)
    told = {name for name, _ in pod.told} | {mac for _, mac in pod.told if mac}
    told |= {word for each in pod.devices for word in (each.interface, each.mac) if word}
    # What nothing tells to be it can be one that the kernel makes in every network, such as tunl0.
    return found if found is None or not told or told & {found.name, found.mac} else None


def _others(pod: NetworkPod) -> list[str]:
    """Interfaces that are up, and neither the Pod network's nor told to be the claimed one."""
    return [each.name for each in pod.interfaces if each.up and each.name not in _usual(pod)]


def _usual(pod: NetworkPod) -> set[str]:
    return {LOOPBACK, *(each.name for each in pod.interfaces if of_pod_network(each, pod))}


@assertion(
    "aligned_with_accelerator",
    "A Pod that claims an interface and an accelerator of one PCIe root has both",
)
def aligned_with_accelerator(seen: Alignment) -> Finding:
    if seen.nothing:
        return left_out(seen.nothing)
    pod = seen.pod
    if pod is None:
        return undecided(f"no Pod had both: {seen.untried or 'none was made'}")
    if pod.problem:
        said = f"Pod {pod.pod} with both does not start on {pod.node}, where Pods with one of them do: {pod.problem}"
        return holds(False, said, subjects=1)
    if not pod.ran:
        return undecided(f"Pod {pod.pod} does not run: {pod.why_not}")
    if why := without_interface(pod.devices):
        return left_out(f"an interface need not be in Pod {pod.pod}: {why}")
    given = ", ".join([*(each.words for each in pod.devices), *filter(None, [seen.accelerator])]) or "nothing"
    if not pod.devices or not seen.accelerator:
        return undecided(f"the claim of Pod {pod.pod} says that it was given {given}")
    if not seen.interface_root or not seen.accelerator_root:
        return undecided(f"Pod {pod.pod} was given {given}, of which not both are known to publish {seen.attribute}")
    if seen.interface_root != seen.accelerator_root:
        said = f"of {seen.attribute} {seen.interface_root} and {seen.accelerator_root}"
        return holds(False, f"Pod {pod.pod} on {pod.node} was given {given}, {said}", subjects=1)
    found = _interface(pod)
    if found is None and (others := _others(pod)):
        return undecided(f"Pod {pod.pod} was given {given}, and nothing tells whether that is {', '.join(others)}")
    if found is None:
        there = ", ".join(each.name for each in pod.interfaces)
        return holds(False, f"Pod {pod.pod} on {pod.node} was given {given} and has {there}", subjects=1)
    said = f"Pod {pod.pod} on {pod.node} was given {given} of {seen.interface_root} and has {found.name}"
    kernels = root_of_path(found.device)
    if not kernels:
        return holds(True, f"{said}; the kernel has it on no PCIe root, as virtual links: not compared", subjects=1)
    if not is_kernels(seen.interface_root):
        return holds(True, f"{said}; the kernel calls its root {kernels}: not compared", subjects=1)
    if kernels != seen.interface_root:
        return holds(False, f"{said}, which the kernel has on {kernels}", subjects=1)
    return holds(True, f"{said}, as the kernel says, too", subjects=1)
