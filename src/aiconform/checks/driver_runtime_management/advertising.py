"""What a platform advertises of the driver and the runtime behind the accelerators of a node."""

from __future__ import annotations

from collections.abc import Iterable

from aiconform.checks.driver_runtime_management.observations import Advertised, NodeAdvertisement
from aiconform.checks.driver_runtime_management.options import DriverRuntimeManagement
from aiconform.platform import Device, NodeAccelerators, Platform
from aiconform.platform.accelerators.drivers import Told, family_of


async def advertisement(
    platform: Platform, target: NodeAccelerators, options: DriverRuntimeManagement
) -> NodeAdvertisement:
    """What is advertised for these accelerators, free or not."""
    family, node = family_of(target.profile), await platform.node(target.node)
    devices = [each for each in (await platform.devices())[0] if _is_of(each, target, platform)]
    # Attributes are of devices: what a device plugin gives has none of them.
    given = devices if target.way == "dra" else []
    integration = observed(family.integrations(given, node))
    if options.integration and not integration:
        integration = (Advertised(place="option", name="integration", value=options.integration),)
    return NodeAdvertisement(
        **target.facts,
        profile=target.profile,
        told_by_vendor=family.is_told(by_dra=target.way == "dra"),
        published=family.published,
        driver=observed(family.driver(devices, node, options.names)),
        runtime=observed(family.runtimes(devices, node)),
        integration=integration,
    )


def _is_of(device: Device, target: NodeAccelerators, platform: Platform) -> bool:
    if device.node != target.node:
        return False
    profile = platform.said.profiles.by_driver(device.driver)
    return device.driver == target.name or bool(profile and profile.name == target.profile)


def observed(told: Iterable[Told]) -> tuple[Advertised, ...]:
    """What is told, as it is recorded."""
    return tuple(Advertised(place=each.place, name=each.name, value=each.value) for each in told)
