"""The accelerators among the devices that DRA drivers publish."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from aiconform.cluster import Object
from aiconform.platform.accelerators.counting import Kind, count, holdings, to_request, without_overlap
from aiconform.platform.accelerators.devices import Device
from aiconform.platform.accelerators.nodes import closed_node, worries
from aiconform.platform.accelerators.offered import Accelerators, NodeAccelerators, ask
from aiconform.platform.accelerators.options import NOTHING_SAID, AcceleratorOptions
from aiconform.platform.accelerators.resource_slices import IncompletePool
from aiconform.platform.accelerators.selecting import DeviceClass, choose, expression
from aiconform.platform.networks.known import names_interface

# What a driver says of the number of devices of a host. That of TPUs publishes only those that are well, and prepares a
# claim only if it has all of the host: https://github.com/kubernetes-sigs/dra-driver-google-tpu
_ON_HOST = ("chipCount",)


def by_dra(
    nodes: Iterable[Object],
    devices: Iterable[Device],
    incomplete: Iterable[IncompletePool],
    claims: Iterable[Object],
    classes: Iterable[Object],
    options: AcceleratorOptions = NOTHING_SAID,
) -> Accelerators:
    """The accelerators among these devices. `incomplete` are pools that are not complete."""
    profiles = options.profiles
    known = {node["metadata"]["name"]: node for node in nodes}
    states = {name: closed_node(node, profiles, options.tolerated) for name, node in known.items()}
    held = holdings(claims)
    known_classes = [DeviceClass(item) for item in classes]
    passed_over = [f"pool {pool.name} of driver {pool.driver}: {pool.problem}" for pool in incomplete]
    groups: dict[tuple[str, str], list[Device]] = defaultdict(list)
    examples: dict[str, dict[str, Device]] = defaultdict(dict)
    unwell: dict[tuple[str, str], list[str]] = defaultdict(list)
    closed: dict[tuple[str, str], list[Device]] = defaultdict(list)
    skipped: set[str] = set()
    untied: dict[str, list[str]] = defaultdict(list)
    unknown: Counter[str] = Counter()
    for device in devices:
        profile = profiles.by_driver(device.driver)
        if profile is None:
            if names_interface(device.attributes) and not profiles.is_other(device.driver):
                skipped.add(f"driver {device.driver}: its devices are network interfaces, not accelerators")
            elif profiles.is_other(device.driver):
                skipped.add(f"driver {device.driver}: its devices are not accelerators")
            else:
                unknown[device.driver] += 1
            continue
        if (form := device.attribute("type")) in profile.other_types:
            skipped.add(f"devices of driver {device.driver} with type {form}: not for containers")
            closed[device.node or "", device.driver].append(device)
            continue
        examples[device.driver].setdefault(device.product, device)
        if device.trouble:
            skipped.add(f"device {device.name} of pool {device.pool}: {device.trouble}")
            unwell[device.node or "", device.driver].append(
                f"device {device.name} is {'tainted' if device.tainted else 'not healthy'}"
            )
            closed[device.node or "", device.driver].append(device)
        elif device.node is None:
            untied[device.pool].append(device.name)
        elif problem := states.get(device.node, f"node {device.node} does not exist"):
            skipped.add(problem)
        else:
            groups[device.node, device.driver].append(device)
    for pool, names in untied.items():
        # A pool of a fabric can have hundreds.
        which = f"device {names[0]}" if len(names) == 1 else f"{len(names)} devices, such as {names[0]},"
        skipped.add(f"{which} of pool {pool}: not tied to one node")
    offered = []
    for (node, driver), members in sorted(groups.items()):
        used, unused = without_overlap(count(members, held, closed[node, driver]))
        if unused:
            partitions = sum(len(kind.devices) for kind in unused)
            skipped.add(
                f"{partitions} devices of {driver} on node {node} are other partitions of the same hardware: only "
                f"{used[0].devices[0].product} is counted"
            )
        profile = profiles.by_driver(driver)
        for kind in used:
            hardware = tuple(sorted({device.physical for device in kind.devices}))
            first = kind.devices[0]
            others = [each for product, each in examples[driver].items() if product != first.product]
            # Whole devices can have the product of their parts, and lack what names the part.
            lacked = sorted({name for each in others for name in each.kind} - {*first.attributes})
            there = kind.total + len(unwell[node, driver])
            unit = max(there, _on_host(kind)) if profile and profile.whole_host else 1
            missing = (f"{driver} publishes {there} of {unit} devices",) if unit > there else ()
            offered.append(
                NodeAccelerators(
                    way="dra",
                    node=node,
                    name=driver,
                    product=first.product,
                    total=kind.total,
                    free=len(kind.free),
                    profile=profile.name if profile else "",
                    simulated=bool(profile and profile.simulated) or _simulated(kind),
                    device_class=choose(known_classes, kind.devices, others),
                    devices=kind.free,
                    selector=expression(driver, first.kind, lacked) if others else "",
                    capacity=tuple(sorted(to_request(kind.free, held).items())),
                    published=len(kind.devices),
                    unit=unit,
                    worries=(*worries(known[node]), *unwell[node, driver], *missing),
                    physical=len(hardware),
                    hardware=hardware,
                    divisible=any(device.consumes for device in kind.devices),
                )
            )
    asked = [ask(f"driver {name} publishes {number} device(s)", name) for name, number in sorted(unknown.items())]
    return Accelerators(tuple(offered), (*asked, *passed_over, *sorted(skipped)))


def _on_host(kind: Kind) -> int:
    """How many devices the host has by their driver's own word, which may publish fewer; 0 if it does not say."""
    said = kind.devices[0].attribute(*_ON_HOST)
    return said if isinstance(said, int) else 0


def _simulated(kind: Kind) -> bool:
    return any(device.attribute("simulated") is True for device in kind.devices)
