"""The configuration of one node's simulated accelerators: the file given to `--config`.

It contains every path, so nothing is assumed about the lab. The process reads it again on SIGHUP; the fields marked
(start) are read only at start.
"""

from __future__ import annotations

import uuid
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from aiconform.lab.accelerators.identity import (
    DEFAULT_IDENTITY,
    AcceleratorError,
    DnsName,
    Identity,
    Strict,
    identities,
    problems,
)
from aiconform.lab.machines.files import write_json

# Virtual consoles: character devices that exist on any Linux, and that containers may not open by default.
VT_MAJOR = 4
VT_FIRST, VT_LAST = 10, 63
# The folder on a node in which its accelerators describe themselves to the exporter of metrics.
TELEMETRY_FOLDER = "/run/aiconform-accelerators"


class Offer(StrEnum):
    """How Pods request a node's accelerators."""

    DRA = "dra"
    DEVICE_PLUGIN = "device-plugin"
    BOTH = "both"


class DriverFault(StrEnum):
    """Deliberate defects that the accelerator process itself acts out; `aiconform.lab.faults` describes them."""

    PREPARES_ALL = "driver-prepares-all"
    PREPARES_NOTHING = "driver-prepares-nothing"
    WITHHOLDS_ACCESS = "driver-withholds-access"
    NEVER_PREPARES = "driver-never-prepares"
    NO_DRIVER = "no-driver"
    RENUMBERS = "driver-renumbers-devices"
    OVERCOMMITS = "allocator-overcommits"
    METRICS_OMIT_DEVICE = "metrics-omit-a-device"
    METRICS_OMIT_UTILIZATION = "metrics-omit-utilization"
    METRICS_WITHOUT_MEMORY = "metrics-without-memory"
    METRICS_UNLABELLED = "metrics-without-labels"
    METRICS_FROZEN = "metrics-frozen"
    METRICS_OF_ANOTHER = "metrics-of-another-device"
    METRICS_OF_NODE = "metrics-of-the-whole-node"
    METRICS_KEEP_PEAKS = "metrics-keep-peaks"
    METRICS_GARBAGE = "metrics-are-garbage"


class AcceleratorConfig(Strict):
    """The content of the file."""

    node_name: DnsName
    """Name of the Node object these accelerators are on. (start)"""
    kubeconfig: Path
    """Credentials for the API server, with the permissions that `cluster_objects` gives to a group. (start)"""
    state_dir: Path
    """Where the process keeps prepared claims and `status.json`; created if missing. (start)"""
    device_dir: Path
    """Where the device nodes are created, on a file system without `nodev`. Never the machine's /dev. (start)"""
    cdi_dir: Path
    """A folder of the runtime's CDI spec folders. (start)"""
    plugins_dir: Path
    """The kubelet's folder for plugins' sockets, `<root>/plugins`. (start)"""
    registry_dir: Path
    """The kubelet's folder for registration sockets, `<root>/plugins_registry`. (start)"""
    device_plugin_dir: Path
    """The kubelet's folder for device plugins, which holds its `kubelet.sock`. (start)"""
    telemetry: Path | None = None
    """The file that the exporter of metrics reads; not written if None. (start)"""
    offer: Offer = Offer.DRA
    """How Pods request the devices. With `both`, DRA offers the first half (rounded up), the plugin the rest."""
    count: Annotated[int, Field(ge=0, le=VT_LAST - VT_FIRST + 1)] = 4
    """How many devices the node has."""
    major: Annotated[int, Field(ge=1)] = VT_MAJOR
    """Device number of all devices: the major. (start)"""
    first_minor: Annotated[int, Field(ge=0)] = VT_FIRST
    """The minor of device 0; the others follow. Nodes of one machine must not overlap. (start)"""
    identity: Identity = Field(default_factory=lambda: identities()[DEFAULT_IDENTITY])
    """The names they appear under. (start)"""
    devices_per_slice: Annotated[int, Field(ge=1, le=128)] = 128
    """The maximum number of devices in one ResourceSlice; if it is low, a pool has several slices."""
    faults: tuple[DriverFault, ...] = ()
    """The faults that are on."""
    serial: int = 0
    """Any number. A new one shows in `status.json` that this version of the file is in force."""

    @property
    def permissions(self) -> str:
        """What a container may do with its device, in the device cgroup's letters."""
        return "m" if DriverFault.WITHHOLDS_ACCESS in self.faults else "rw"

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        last = self.first_minor + self.count - 1
        if self.major == VT_MAJOR and self.count and not VT_FIRST <= self.first_minor <= last <= VT_LAST:
            raise ValueError(
                f"first_minor {self.first_minor} with count {self.count} leaves "
                f"{VT_FIRST}-{VT_LAST}, the free virtual consoles"
            )
        if self.device_dir.resolve() == Path("/dev"):
            raise ValueError("device_dir is the machine's own /dev; use a folder of the lab")
        return self


class Device(Strict):
    """One simulated accelerator: a character device and its names."""

    index: int
    name: str
    """In ResourceSlices: `accel-0`."""
    uuid: str
    major: int
    minor: int
    host_path: Path
    container_path: str


def devices_of(config: AcceleratorConfig) -> tuple[Device, ...]:
    """All devices of the node in order of their index, the same at every start."""
    identity = config.identity
    return tuple(
        Device(
            index=index,
            name=f"accel-{index}",
            uuid=identity.uuid_prefix
            + str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{index}.{config.node_name}.{identity.driver}")),
            major=config.major,
            minor=config.first_minor + index,
            host_path=config.device_dir / f"accel{index}",
            container_path=f"{identity.device_prefix}{index}",
        )
        for index in range(config.count)
    )


def split(config: AcceleratorConfig) -> tuple[tuple[Device, ...], tuple[Device, ...]]:
    """(those offered through DRA, those offered through the device plugin)."""
    devices = devices_of(config)
    to_dra = {Offer.DRA: len(devices), Offer.DEVICE_PLUGIN: 0, Offer.BOTH: (len(devices) + 1) // 2}[config.offer]
    return devices[:to_dra], devices[to_dra:]


def read_config(path: Path) -> AcceleratorConfig:
    """The configuration in a JSON file.

    Raises AcceleratorError naming the file and what is wrong with it.
    """
    try:
        return AcceleratorConfig.model_validate_json(path.read_bytes())
    except OSError as err:
        raise AcceleratorError(f"cannot read {path}: {err.strerror}") from err
    except ValidationError as err:
        raise AcceleratorError(f"{path}: {problems(err)}") from err


def write_config(path: Path, config: AcceleratorConfig) -> None:
    """Replace the file. The process reads it on SIGHUP and reports that in `status.json` (see `status`)."""
    write_json(path, config.model_dump(mode="json"))
