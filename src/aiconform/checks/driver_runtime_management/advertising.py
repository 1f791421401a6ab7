"""What a platform advertises of the driver and the runtime behind the accelerators of a node."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from aiconform.checks.driver_runtime_management.observations import LONGEST, Advertised, NodeAdvertisement
from aiconform.checks.driver_runtime_management.options import DriverRuntimeManagement
from aiconform.cluster import Object
from aiconform.platform import Device, NodeAccelerators, Platform
from aiconform.platform.accelerators.drivers import Told, family_of


async def advertisements(
    platform: Platform, targets: Iterable[NodeAccelerators], options: DriverRuntimeManagement
) -> list[NodeAdvertisement]:
    """What is advertised for each of these accelerators, free or not."""
    on_node: dict[str | None, list[Device]] = defaultdict(list)
    for device in (await platform.devices())[0]:
        on_node[device.node].append(device)
    return [
        _advertisement(
            each,
            await platform.node(each.node),
            [device for device in on_node[each.node] if _is_of(device, each, platform)],
            options,
        )
        for each in targets
    ]


def _advertisement(
    target: NodeAccelerators, node: Object, devices: list[Device], options: DriverRuntimeManagement
) -> NodeAdvertisement:
    family = family_of(target.profile)
    # Attributes are of devices: what a device plugin gives has none of them.
    integration = observed(family.integrations(devices if target.way == "dra" else [], node))
    # By DRA it is CDI, whatever the user says of device plugins.
    if options.integration and not integration and target.way == "device-plugin":
        integration = (Advertised(place="option", name="integration", says=options.integration),)
    return NodeAdvertisement(
        **target.facts,
        profile=target.profile,
        published=family.published,
        driver=observed(family.driver(devices, node, options.names)),
        runtime=observed(family.runtimes(devices, node)),
        integration=integration,
    )


def _is_of(device: Device, target: NodeAccelerators, platform: Platform) -> bool:
    """Whether a device of the target's node is of the same family."""
    profile = platform.said.profiles.by_driver(device.driver)
    return device.driver == target.name or bool(profile and profile.name == target.profile)


def observed(told: Iterable[Told]) -> tuple[Advertised, ...]:
    """What is told, as it is recorded."""
    return tuple(Advertised(place=each.place, name=each.name, says=each.value[:LONGEST]) for each in told)
