"""The driver of the simulated accelerators: which version a node says that it has, and what a holder finds of it.

A holder gets the driver's files by mounts, as it gets libraries of a real one. What a real kernel module shows under
/proc and /sys is in a folder that says that it is simulated: a machine without that module has no such files, and
nobody can add one. Faults make what is said and what is there differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from aiconform.lab.accelerators.config import AcceleratorConfig, DriverFault, Offer, devices_of
from aiconform.lab.accelerators.devices import Device
from aiconform.lab.accelerators.identity import Identity
from aiconform.lab.accelerators.templates import fill
from aiconform.lab.machines.files import write_text

KERNEL_FILES = ("/proc/", "/sys/")


@dataclass(frozen=True)
class Driver:
    """What a node says of its driver, and what it has.

    advertised: the version in labels, as its vendor writes it; empty if there is none. attribute: the version that DRA
    publishes, as the value of an attribute; None if it publishes none. module, library: the versions that are
    installed. integration: the runtime integration that labels declare.
    """

    advertised: str
    attribute: dict[str, str] | None
    module: str
    library: str
    integration: str


def driver(config: AcceleratorConfig) -> Driver:
    """The driver of a node, with the faults that are on."""
    identity, faults = config.identity, config.faults
    installed = said = written(identity)
    attribute: dict[str, str] | None = {"version": identity.driver_version}
    if DriverFault.DRIVER_DIFFERS in faults:
        installed = _later(installed, 1)
    if DriverFault.VERSION_IMPRECISE in faults:
        installed = _later(installed, 2)
        said = said.partition(".")[0]
        attribute = {"string": said}
    if DriverFault.VERSION_UNADVERTISED in faults:
        said = ""
    if {DriverFault.VERSION_UNADVERTISED, DriverFault.VERSION_BY_LABEL} & {*faults}:
        attribute = None
    library = _later(installed, 3) if DriverFault.LIBRARIES_DIFFER in faults else installed
    by = "cdi" if config.offer is Offer.DRA else "device-plugin"
    return Driver(said, attribute, installed, library, _declared(config, by))


def written(identity: Identity) -> str:
    """The version as the driver itself writes it."""
    return identity.driver_text or identity.driver_version


def integration_attribute(config: AcceleratorConfig) -> dict[str, str] | None:
    """The runtime integration that DRA publishes, as the value of an attribute; None if it publishes none."""
    return {"string": _declared(config, "cdi")} if config.identity.integration_attribute else None


def _declared(config: AcceleratorConfig, by: str) -> str:
    return "hook" if DriverFault.INTEGRATION_MISSTATED in config.faults else by


def _later(version: str, by: int) -> str:
    """A later version: 580.65.06 becomes 580.66.06."""
    return re.sub(r"\.(\d+)", lambda minor: f".{int(minor[1]) + by}", version, count=1)


@dataclass(frozen=True)
class DriverFile:
    """A file that a holder gets."""

    container_path: str
    host_path: Path
    content: str


def driver_files(config: AcceleratorConfig) -> list[DriverFile]:
    """The files of a node's driver that a holder gets. Real devices have their own."""
    if config.real:
        return []
    from aiconform.platform.accelerators.drivers import simulated_kernel

    has, found = driver(config), []
    for path, content in config.identity.driver_files.items():
        of_kernel = path.startswith(KERNEL_FILES)
        words = {"driver": has.module if of_kernel else has.library}
        filled = fill(path, words)
        found.append(
            DriverFile(
                container_path=simulated_kernel() + filled if of_kernel else filled,
                host_path=config.state_dir / "driver" / words["driver"] / filled.lstrip("/"),
                content=fill(content, words) + "\n",
            )
        )
    return found


_OF_DEVICES = "/sys/module/simulated_accelerator/devices"


@dataclass(frozen=True)
class DeviceFolder:
    """A folder that a holder of a device gets: what the driver tells of it."""

    container_path: str
    host_path: Path
    contents: dict[str, str]
    """Name of each file -> what is in it."""


def device_folder(config: AcceleratorConfig, device: Device) -> DeviceFolder | None:
    """What the driver tells the holder of a device: `parent`, the UUID of the physical device, `memory` in bytes,
    `virtual`, which is 1 for a virtual device, and its `profile`, if it has one.

    None for real devices, whose drivers have ways of their own. The same for every identity.
    """
    if device.real:
        return None
    from aiconform.cluster import quantity
    from aiconform.platform.accelerators.drivers import simulated_kernel

    of_whole = (DriverFault.VIRTUAL_WHOLE_MEMORY if device.virtual else DriverFault.MEMORY_OF_WHOLE) in config.faults
    memory = quantity.whole(device.whole_memory if of_whole else device.memory)
    return DeviceFolder(
        container_path=f"{simulated_kernel()}{_OF_DEVICES}/{device.uuid}",
        host_path=config.state_dir / "devices" / ("as-whole" if of_whole else "own") / device.uuid,
        contents={
            "parent": str(device.words["parent_uuid"]),
            "memory": str(memory),
            "virtual": str(int(device.virtual)),
            "profile": str(device.words["profile"]),
        },
    )


def write_driver_files(config: AcceleratorConfig) -> None:
    """Write the files. Those of other versions stay, since containers may still be started with them."""
    for device in devices_of(config):
        if folder := device_folder(config, device):
            folder.host_path.mkdir(parents=True, exist_ok=True)
            for name, content in folder.contents.items():
                write_text(folder.host_path / name, content + "\n")
    for file in driver_files(config):
        file.host_path.parent.mkdir(parents=True, exist_ok=True)
        write_text(file.host_path, file.content)


def driver_labels(config: AcceleratorConfig) -> dict[str, str]:
    """The labels of the Node that say which driver it has, and by which integration containers get devices."""
    has = driver(config)
    words = {"driver": has.advertised, "runtime": config.identity.runtime_version, "integration": has.integration}
    labels = {name: fill(template, words) for name, template in config.identity.driver_labels.items()}
    return {name: value for name, value in labels.items() if value}
