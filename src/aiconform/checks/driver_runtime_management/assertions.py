"""What one container has to show: it has the device that it asked for, and the driver that is advertised."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aiconform.check import Finding, assertion, holds, left_out, undecided
from aiconform.checks.driver_runtime_management.observations import Advertised, Found, Installed, NodeAdvertisement
from aiconform.kit.container_view import View, granted, off_node, other_signs, special
from aiconform.kit.device_families import paths, too_few, too_many, with_role, without_device
from aiconform.platform.accelerators.drivers import INTEGRATIONS, KERNEL_LABEL, KERNEL_VERSION, Integration, family_of
from aiconform.platform.accelerators.versions import agree, parse

WAY_OUT = "If a label or attribute has it that is not looked for, name it: --set driver_runtime_management.version=NAME"
_FILE = "If a file there has it, name the file: --set driver_runtime_management.file=PATH"
NOT_STARTED = "no Pod started with a device"


def versions_in(told: Iterable[Advertised]) -> list[Advertised]:
    """Those of the advertised values that are versions."""
    return [each for each in told if parse(each.says)]


def driver_found(seen: Installed) -> list[Found]:
    """Where the version of the node's driver is: in its module, else in what was injected; the kernel's is last.

    What is on a kernel of the container's own is not the node's.
    """
    injected = [each for each in seen.found if each.kind == "injected"]
    if _own_kernel(seen):
        return injected
    module = [each for each in seen.found if each.kind == "module"]
    return (module or injected) + [each for each in seen.found if each.kind == "kernel"]


def _own_kernel(seen: Installed) -> bool:
    return seen.holder is not None and off_node(seen.holder, seen.release, seen.boot)


def _said(found: Iterable[Found]) -> str:
    return ", ".join(f"{each.version} in {each.path}" for each in found)


@assertion(
    "driver_version_matches", "The driver version that a container with a device finds is the one that is advertised"
)
def driver_version_matches(seen: Installed) -> Finding:
    about = f"{seen.advertised.name} on {seen.advertised.node}"
    if seen.holder is None:
        return undecided(f"{NOT_STARTED}: {seen.problem}")
    found = driver_found(seen)
    if not found and _own_kernel(seen):
        return undecided(
            f"{about}: a container with a device runs on a kernel of its own, which is not that of the node's driver; "
            "show this with the runtime class that shares the node's kernel"
        )
    if not found:
        return undecided(
            f"{about}: a container with a device finds no version of the driver under /proc and /sys or in what is "
            f"injected. {_FILE}"
        )
    if unreadable := [each for each in found if not parse(each.version)]:
        return undecided(f"{about}: what a container with a device finds is no version: {_said(unreadable)}")
    advertised = versions_in(seen.advertised.driver)
    if not advertised:
        return undecided(f"{about}: no version is advertised to compare with {_said(found)}. {WAY_OUT}")
    kernel = [each for each in found if each.kind == "kernel"]
    own = [each for each in found if each not in kernel]
    if is_kernels(seen.advertised):
        others = [each for each in own if not any(each.path.startswith(f"{module.path}/") for module in kernel)]
        if others and not kernel:
            said = f"{about}: the driver has a version of its own, {_said(own)}, and only the kernel's is advertised"
            return holds(False, said, subjects=len(own))
        if others:
            return undecided(
                f"{about}: only the kernel's version is advertised, and a container finds {_said(found)}: which "
                f"of them drives the device is not known. {WAY_OUT}"
            )
        own = []
    elif not own:
        told = ", ".join(map(str, advertised))
        return undecided(
            f"{about}: advertised is {told}; a container finds only the kernel's version, {_said(kernel)}. {_FILE}"
        )
    compared = own or kernel
    wrong = [
        f"{told} is advertised, and a container finds {_said([each])}"
        for told in advertised
        for each in compared
        if not agree(told.says, each.version)
    ]
    said = "; ".join(wrong) or f"{', '.join(map(str, advertised))}; found: {_said(compared)}"
    return holds(not wrong, f"{about}: {said}", subjects=len(compared))


def is_kernels(advertised: NodeAdvertisement) -> bool:
    """Whether the kernel's version alone is advertised, which stands for a driver that is part of the kernel."""
    told = versions_in(advertised.driver)
    return bool(told) and all(each.name in (KERNEL_VERSION, KERNEL_LABEL) for each in told)


@assertion("libraries_match_module", "The injected libraries of the driver have the version of its kernel module")
def libraries_match_module(seen: Installed) -> Finding:
    if seen.holder is None:
        return undecided(f"{NOT_STARTED}: {seen.problem}")
    module = [each for each in seen.found if each.kind == "module" and parse(each.version)]
    injected = [each for each in seen.found if each.kind == "injected" and parse(each.version)]
    if not module or not injected:
        return left_out(f"on {seen.advertised.node} not both have a version that a container sees")
    wrong = [each for each in injected if not agree(each.version, module[0].version)]
    said = f"the module has {_said(module[:1])}; injected: {_said(wrong or injected)}"
    return holds(not wrong, f"{seen.advertised.node}: {said}", subjects=len(injected))


@assertion("exact_device_is_injected", "The container has exactly the devices that it asked for")
def exact_device_is_injected(seen: Installed) -> Finding:
    if seen.holder is None or seen.control is None:
        return undecided(f"{NOT_STARTED}: {seen.problem}")
    node, own = seen.advertised.node, granted(seen.holder, seen.control)
    if (leaked := with_role(special(seen.control), "device", "partition")) and without_device(own):
        # secure_accelerator_access judges that.
        return undecided(f"{node}: a container without a device has {paths(leaked)}, too; what is injected is not told")
    if not own:
        if signs := other_signs(seen.holder, seen.control):
            return undecided(f"{node}: the container has {', '.join(signs)} and no device node of its own to count")
        return holds(False, f"{node}: a container with a device has nothing that one without has not", subjects=1)
    if without_device(own):
        return holds(
            False, f"{node}: injected: {paths(own)}, which are control nodes, and no device", subjects=len(own)
        )
    if many := [paths(members) for members in too_many(seen.asked, seen.total, own)]:
        return holds(False, f"{node}: asked for {seen.asked}, injected: {'; '.join(many)}", subjects=len(own))
    if too_few(seen.asked, own):
        return holds(False, f"{node}: asked for {seen.asked}, injected: {paths(own)} alone", subjects=len(own))
    return holds(True, f"{node}: asked for {seen.asked}, injected: {paths(own)}", subjects=len(own))


@assertion("runtime_integration_matches", "The runtime integration that is advertised has injected the device")
def runtime_integration_matches(seen: Installed) -> Finding:
    if seen.holder is None or seen.control is None:
        return undecided(f"{NOT_STARTED}: {seen.problem}")
    node = seen.advertised.node
    if not granted(seen.holder, seen.control) and not other_signs(seen.holder, seen.control):
        return undecided(f"{node}: nothing was injected")
    known = family_of(seen.advertised.profile).traces
    traces = injected_by(known, seen.holder, seen.control)
    if len(traces) > 1:
        return undecided(f"{node}: there are traces of more than one integration: {', '.join(traces)}")
    declared = seen.advertised.integration
    if unknown := [each for each in declared if each.says not in INTEGRATIONS]:
        return undecided(f"{node}: {unknown[0]} is none of {', '.join(INTEGRATIONS)}")
    if seen.served_by == "dra":
        # A claim's devices have no other way into a container: resource.k8s.io hands over names of CDI, nothing else.
        if {*traces} - {"cdi"}:
            return undecided(f"{node}: served by dra, which is cdi, and its traces are those of {traces[0]}")
        actual, seen_as = "cdi", "served by dra, which is cdi"
    elif not declared:
        return left_out(
            f"on {node} nothing declares how {seen.advertised.name} comes into containers; to have it compared: "
            f"--set driver_runtime_management.integration={traces[0] if traces else 'NAME'}"
        )
    elif traces:
        actual, seen_as = traces[0], f"its traces are those of {traces[0]}"
    elif known and all(each.says == "device-plugin" for each in declared):
        actual, seen_as = "device-plugin", f"there are no traces of {' or '.join(known)}"
    else:
        return undecided(f"{node}: {declared[0]}; nothing in the container tells what has injected the device")
    wrong = [str(each) for each in declared if each.says != actual]
    said = ", ".join(wrong or map(str, declared))
    return holds(not wrong, f"{node}: {'; '.join(filter(None, [said, seen_as]))}", subjects=1)


def injected_by(traces: dict[Integration, dict[str, str]], holder: View, control: View) -> list[Integration]:
    """The integrations of which only the container with the device has traces in its environment."""
    own = {name: value for name, value in holder.environment.items() if control.environment.get(name) != value}
    return [
        integration
        for integration, variables in traces.items()
        if any(re.fullmatch(pattern, own[name]) for name, pattern in variables.items() if name in own)
    ]
